//! What ddum manages on this host.
