//! `ddum check`: what a sync would do, and everything doubtful. Changes nothing.

use std::path::Path;

use super::say;
use super::sync::Updater;
use super::update::{Update, today};
use crate::error::{Error, exit};
use crate::etc::SshdConfig;
use crate::host;
use crate::merge;

/// Runs the command and gives the exit status: [`exit::REFUSED`] when something would be refused.
///
/// # Errors
/// When the tables or the account files cannot be read.
pub async fn run(updater: &Updater, quiet: bool) -> Result<u8, Error> {
    let today = today()?;
    let scan = updater.scan(today).await?;
    let update =
        Update { root: &updater.root, config: &updater.config, stop: &updater.stop, turn: None, today, dry_run: true };
    let mut applied = update.apply(&scan);
    if let Some(error) = applied.error.take() {
        return Err(error);
    }
    let login_defs = update.login_defs(&mut Vec::new());
    let (databases, plan) = update.look(&scan, &login_defs)?;
    let sshd = sshd_config(updater)?;
    let is_program = |path: &str| host::is_program(&updater.root, Path::new(path));
    let host = merge::Host { is_program: &is_program, sshd: sshd.as_ref() };
    let mut doubts = merge::doubts(&scan.accounts, &plan, &databases, &update.policy(&login_defs), &host);
    doubts.append(&mut applied.notes);
    let doubts = doubts.iter().filter(|_| !quiet).map(|doubt| format!("? {doubt}"));
    say::lines(applied.lines(quiet).chain(doubts))?;
    Ok(if applied.refusals.is_empty() { exit::DONE } else { exit::REFUSED })
}

/// The configuration of the host's sshd, where it has one.
pub(super) fn sshd_config(updater: &Updater) -> Result<Option<SshdConfig>, Error> {
    let read = |path: &Path| host::load(&updater.root, path, super::update::STATE_LIMIT);
    let Some(main) = read(Path::new("/etc/ssh/sshd_config"))? else { return Ok(None) };
    let include = |pattern: &str| {
        let files = host::matching(&updater.root, Path::new("/etc/ssh"), pattern);
        files.iter().filter_map(|path| read(path).ok().flatten()).collect()
    };
    Ok(Some(SshdConfig::parse(&main, include)))
}
