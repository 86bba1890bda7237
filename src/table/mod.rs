//! The tables: the only code that speaks to AWS.
