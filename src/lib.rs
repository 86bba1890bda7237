//! ddum, the DynamoDB User Manager: keeps a host's users, groups and SSH keys in line with two DynamoDB tables.
//!
//! *sync reads tables and writes the machine; user, group, key, tables and export write tables and never the machine.*
//! *Nothing outside [`host`] changes the file system; nothing outside [`table`] speaks to AWS.*
//!
//! Data flows one way: an **item** comes from a table; validation makes it an **account** ([`account`]); merging makes
//! it an **entry**, one line of one file ([`etc`]). Only [`merge`] knows both accounts and entries.
#![forbid(unsafe_code)]

pub mod account;
pub mod cli;
pub mod commands;
pub mod config;
pub mod error;
pub mod etc;
pub mod host;
pub mod ledger;
pub mod logging;
pub mod merge;
pub mod spelling;
pub mod table;
pub mod usage;
