//! What a well-formed account is. Pure: it opens nothing, asks no clock, logs nothing.
