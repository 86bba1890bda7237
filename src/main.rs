//! The command `ddum`.
fn main() {}
