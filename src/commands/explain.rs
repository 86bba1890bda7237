//! `ddum explain`.
