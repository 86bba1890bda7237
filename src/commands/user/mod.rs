//! `ddum user`: items of the Users table.

mod add;
mod shown;

pub(super) use add::keys;

use serde_json::json;

use super::desk::{self, Desk, Told, differences, failed, name, refused, takes_away};
use crate::account::Day;
use crate::cli::Options;
use crate::cli::user::{Attributes, Verb, Writing};
use crate::error::{Error, ErrorKind, Table, exit};
use crate::table::edit::{Edit, Stored, Written};
use crate::table::item::USER_ATTRIBUTES;
use crate::table::item::encode::{self, Field};

/// Runs the command and gives the exit status.
///
/// # Errors
/// When the tables did not do what was asked.
pub async fn run(options: &Options, verb: Verb) -> Result<u8, Error> {
    let desk = Desk::open(options).await?;
    match verb {
        Verb::List(filter, form) => shown::list(&desk, &filter, form).await,
        Verb::Show(name, form) => shown::show(&desk, &name, form).await,
        Verb::Add(new) => add::run(&desk, &new).await,
        Verb::Set(name, attributes, writing) => set(&desk, &name, &attributes, writing).await,
        Verb::Expire(name, date, writing) => expire(&desk, &name, date.as_deref(), writing).await,
        Verb::Enable(name, writing) => enable(&desk, &name, writing).await,
        Verb::Delete(name, writing) => delete(&desk, &name, writing).await,
    }
}

async fn set(desk: &Desk, given: &str, attributes: &Attributes, writing: Writing) -> Result<u8, Error> {
    let name = name(given)?;
    if let Some(required) = attributes.unset.iter().find(|attribute| matches!(**attribute, "UID" | "GID")) {
        return Err(Error::new(ErrorKind::Usage, format!("every user needs a {required}; it cannot be unset")));
    }
    let mut edit = desk::edit(attributes, desk.today)?;
    let before = desk.item(Table::Users, &name).await?;
    desk.find_id(&mut edit, "UID").await?;
    checked(desk, &before, &mut edit)?;
    let after = before.with(&edit);
    let Some(changes) = differences(&before, &after, &USER_ATTRIBUTES) else {
        log::info!("user {name} is so already");
        return desk.unchanged(writing);
    };
    let uid =
        after.text("UID").and_then(|uid| uid.parse::<u32>().ok()).filter(|_| before.text("UID") != after.text("UID"));
    if let Some(uid) = uid {
        desk.allow(uid)?;
        desk.expect_free(uid, &name).await?;
    }
    let closes = desk.is_closed(&after) && !desk.is_closed(&before);
    if (closes || takes_away(&before, &after, &USER_ATTRIBUTES))
        && !desk.confirm(&format!("Change user {name}: {changes}?"), writing)?
    {
        return desk.unchanged(writing);
    }
    if !writing.dry_run {
        desk.change(Table::Users, &name, &before, &edit).await?;
    }
    let more = uid.map_or_else(|| json!({}), |uid| json!({"uid": uid}));
    desk.tell_with(writing, &[Told::new('~', "user", &name, changes)], &more)?;
    if closes {
        log::warn!("hosts close the account of {name} with their next update; 'ddum user enable {name}' opens it");
    }
    let Some(uid) = uid.filter(|_| !writing.dry_run && !desk.config.allow_duplicate_ids) else { return Ok(exit::DONE) };
    match desk.tables.ids().await?.other_user(uid, &name) {
        None => Ok(exit::DONE),
        Some(rival) => {
            let old = before.text("UID").unwrap_or_default();
            Err(failed(format!(
                "conflict: {rival} took UID {uid} at the same time, and hosts refuse both; 'ddum user set {name} --uid \
                 {old}' puts it back"
            )))
        }
    }
}

/// Makes sure that hosts take the item as it will be, and writes values as they read them.
fn checked(desk: &Desk, before: &Stored, edit: &mut Edit) -> Result<(), Error> {
    let read = before.with(edit).user(&desk.config.user_defaults, desk.today);
    let (user, bad_keys) = read.map_err(|rejection| refused(&rejection))?;
    for rejection in bad_keys {
        log::warn!("{rejection}");
    }
    desk::canonical(edit, encode::of_user(&user));
    Ok(())
}

async fn expire(desk: &Desk, given: &str, date: Option<&str>, writing: Writing) -> Result<u8, Error> {
    let name = name(given)?;
    let date = match date {
        Some(text) => Day::parse(text).map_err(|why| Error::new(ErrorKind::Usage, why))?,
        // Not today: sshd by itself closes the account a day later than PAM.
        None => desk.today.previous(),
    };
    let before = desk.item(Table::Users, &name).await?;
    if before.text("AccountExpireDate").is_some_and(|old| Day::parse(old) == Ok(date)) {
        log::info!("user {name} is so already");
        return desk.unchanged(writing);
    }
    let edit = Edit { set: vec![("AccountExpireDate", Field::Text(date.to_string()))], remove: Vec::new() };
    let closed = if date <= desk.today { "; hosts close the account with their next update" } else { "" };
    if date <= desk.today && !desk.confirm(&format!("Close the account of {name}?"), writing)? {
        return desk.unchanged(writing);
    }
    if !writing.dry_run {
        desk.change(Table::Users, &name, &before, &edit).await?;
    }
    desk.tell(writing, &[Told::new('~', "user", &name, format!("expires {date}"))])?;
    if !writing.dry_run {
        log::info!("'ddum user enable {name}' takes that back{closed}");
    }
    Ok(exit::DONE)
}

async fn enable(desk: &Desk, given: &str, writing: Writing) -> Result<u8, Error> {
    let name = name(given)?;
    let before = desk.item(Table::Users, &name).await?;
    if !before.has("AccountExpireDate") {
        log::info!("user {name} does not expire");
        return desk.unchanged(writing);
    }
    let mut edit = Edit { set: Vec::new(), remove: vec!["AccountExpireDate"] };
    checked(desk, &before, &mut edit)?;
    if !writing.dry_run {
        desk.change(Table::Users, &name, &before, &edit).await?;
    }
    let changes = differences(&before, &before.with(&edit), &USER_ATTRIBUTES).unwrap_or_default();
    desk.tell(writing, &[Told::new('~', "user", &name, changes)])?;
    Ok(exit::DONE)
}

async fn delete(desk: &Desk, given: &str, writing: Writing) -> Result<u8, Error> {
    let name = name(given)?;
    let before = desk.item(Table::Users, &name).await?;
    let kept = "hosts keep the account and its keys as they are";
    let question = format!("delete the item of user {name}, while {kept} ('ddum user expire {name}' closes it)");
    if !desk.confirm_deletion(&question, writing)? {
        return desk.unchanged(writing);
    }
    if !writing.dry_run
        && desk.tables.delete(&name, &before, &["UID", "GID", "AccountExpireDate"]).await? != Written::Done
    {
        let now = desk.tables.item(Table::Users, &name, &["Name"]).await?;
        if now.is_some() {
            let message = format!(
                "conflict: somebody else changed user {name} in the meantime; nothing was deleted; see 'ddum user show \
                 {name}'"
            );
            return Err(failed(message));
        }
    }
    desk.tell(writing, &[Told::new('-', "user", &name, "")])?;
    if !desk.is_closed(&before) {
        log::warn!("{kept}; to close it there, expire it first: 'ddum user expire {name}'");
    }
    let groups = desk.tables.read(Table::Groups, &desk.config, desk.today).await?.accounts.groups;
    if groups.iter().any(|group| group.name == name) {
        log::info!("the group {name} is still there; 'ddum group delete {name} --yes' deletes its item");
    }
    for group in groups.iter().filter(|group| group.members.contains(&name) || group.administrators.contains(&name)) {
        log::warn!("{name} is still in group {0}; 'ddum group leave {0} {name}' takes {name} out", group.name);
    }
    Ok(exit::DONE)
}

impl Desk {
    /// Whether the account has expired, as a host reads it.
    fn is_closed(&self, item: &Stored) -> bool {
        item.user(&self.config.user_defaults, self.today).is_ok_and(|(user, _)| user.is_expired(self.today))
    }

    /// Refuses an id that hosts refuse.
    fn allow(&self, uid: u32) -> Result<(), Error> {
        if uid >= desk::LOWEST || self.config.allow_system_accounts {
            return Ok(());
        }
        let message = format!(
            "UID {uid} is below {}: hosts refuse it unless their configuration has allow_system_accounts; nothing was \
             written",
            desk::LOWEST
        );
        Err(Error::new(ErrorKind::Usage, message))
    }

    /// Refuses a UID that another item has.
    async fn expect_free(&self, uid: u32, name: &crate::account::Name) -> Result<(), Error> {
        if self.config.allow_duplicate_ids {
            return Ok(());
        }
        match self.tables.ids().await?.other_user(uid, name) {
            None => Ok(()),
            Some(owner) => Err(taken(uid, owner)),
        }
    }
}

fn taken(uid: u32, owner: &str) -> Error {
    let owner = crate::error::printable(owner);
    failed(format!(
        "UID {uid} is that of {owner}, and hosts refuse whom they do not know with it; nothing was written; '--uid auto' \
         finds a free one"
    ))
}
