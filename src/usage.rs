//! The help texts.
