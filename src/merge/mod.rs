//! Accounts and files in, a plan out. Pure, and the only room that knows both.
