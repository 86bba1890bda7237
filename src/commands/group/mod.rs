//! `ddum group`: items of the Groups table.

mod shown;

use serde_json::json;

use super::desk::{self, Desk, Told, differences, failed, name, refused, takes_away};
use crate::account::{Group, Name};
use crate::cli::Options;
use crate::cli::group::{Membership, Verb};
use crate::cli::user::{Attributes, UID_RANGE, Writing};
use crate::error::{Error, ErrorKind, Table, exit};
use crate::table::edit::{Change, Edit, Stored, Written};
use crate::table::ids::Ids;
use crate::table::item::GROUP_ATTRIBUTES;
use crate::table::item::encode::{self, Field};

/// Runs the command and gives the exit status.
///
/// # Errors
/// When the tables did not do what was asked.
pub async fn run(options: &Options, verb: Verb) -> Result<u8, Error> {
    let desk = Desk::open(options).await?;
    match verb {
        Verb::List(patterns, form) => shown::list(&desk, &patterns, form).await,
        Verb::Show(name, form) => shown::show(&desk, &name, form).await,
        Verb::Add(name, attributes, writing) => add(&desk, &name, &attributes, writing).await,
        Verb::Set(name, attributes, writing) => set(&desk, &name, &attributes, writing).await,
        Verb::Join(membership) => join(&desk, &membership).await,
        Verb::Leave(membership) => leave(&desk, &membership).await,
        Verb::Delete(name, writing) => delete(&desk, &name, writing).await,
    }
}

async fn add(desk: &Desk, given: &str, attributes: &Attributes, writing: Writing) -> Result<u8, Error> {
    let name = name(given)?;
    let mut edit = desk::edit(attributes, desk.today)?;
    edit.set.retain(|(attribute, _)| *attribute != "LastPasswordChangeDate");
    let exists =
        || failed(format!("there is a group {name} already; nothing was written; see 'ddum group show {name}'"));
    if desk.has(Table::Groups, &name).await? {
        return Err(exists());
    }
    edit.set.push(("Name", Field::Text(name.to_string())));
    let ids = desk.tables.ids().await?;
    let auto = !edit.set.iter().any(|(attribute, field)| *attribute == "GID" && *field != Field::Number("auto".into()));
    edit.set.retain(|(attribute, _)| !(auto && *attribute == "GID"));
    if auto {
        edit.set.push(("GID", Field::Number(free(&ids, 0)?)));
    }
    let (mut stored, group) = checked(&edit)?;
    let mut gid = group.gid.get();
    if !auto {
        desk.expect_gid(&ids, gid, &name)?;
    }
    if !writing.dry_run {
        if desk.tables.add(&[stored.clone()], &[]).await? != Written::Done {
            return Err(exists());
        }
        for attempt in 1..=16 {
            let ids = desk.tables.ids().await?;
            let Some(rival) = ids.other_group(gid, &name).filter(|_| auto || !desk.config.allow_duplicate_ids) else {
                break;
            };
            if !auto {
                let message = format!("conflict: {rival} took GID {gid} at the same time; nothing was kept");
                desk.tables.delete(&name, &stored, &["GID"]).await?;
                return Err(failed(message));
            }
            let next = free(&ids, fastrand::usize(0..4 * attempt))?;
            let move_on = Edit { set: vec![("GID", Field::Number(next.clone()))], remove: Vec::new() };
            desk.change(Table::Groups, &name, &stored, &move_on).await?;
            stored = stored.with(&move_on);
            gid = next.parse().unwrap_or(gid);
        }
    }
    let members = desk::shown(&shown::joined(&group.members));
    let told = Told::new('+', "group", &name, format!("gid {gid}, members {members}"));
    desk.tell_with(writing, &[told], &json!({"gid": gid}))?;
    desk.know(&group.members, &ids);
    Ok(exit::DONE)
}

fn free(ids: &Ids, skip: usize) -> Result<String, Error> {
    let (low, high) = (UID_RANGE.start(), UID_RANGE.end());
    let free = ids.free(&UID_RANGE, skip);
    free.map(|gid| gid.to_string())
        .ok_or_else(|| failed(format!("no GID from {low} to {high} is free; give one with --gid")))
}

/// The item with canonical values, and the group as hosts will read it.
fn checked(edit: &Edit) -> Result<(Stored, Group), Error> {
    let group = Stored::new(Table::Groups, &edit.set).group().map_err(|rejection| refused(&rejection))?;
    let mut edit = edit.clone();
    desk::canonical(&mut edit, encode::of_group(&group));
    Ok((Stored::new(Table::Groups, &edit.set), group))
}

async fn set(desk: &Desk, given: &str, attributes: &Attributes, writing: Writing) -> Result<u8, Error> {
    let name = name(given)?;
    if attributes.unset.contains(&"GID") {
        return Err(Error::new(ErrorKind::Usage, "every group needs a GID; it cannot be unset"));
    }
    let mut edit = desk::edit(attributes, desk.today)?;
    edit.set.retain(|(attribute, _)| *attribute != "LastPasswordChangeDate");
    let before = desk.item(Table::Groups, &name).await?;
    desk.find_id(&mut edit, "GID").await?;
    let group = before.with(&edit).group().map_err(|rejection| refused(&rejection))?;
    desk::canonical(&mut edit, encode::of_group(&group));
    let after = before.with(&edit);
    let Some(changes) = differences(&before, &after, &GROUP_ATTRIBUTES) else {
        log::info!("group {name} is so already");
        return desk.unchanged(writing);
    };
    let moved = before.text("GID") != after.text("GID");
    if moved {
        desk.expect_gid(&desk.tables.ids().await?, group.gid.get(), &name)?;
    }
    if takes_away(&before, &after, &GROUP_ATTRIBUTES)
        && !desk.confirm(&format!("Change group {name}: {changes}?"), writing)?
    {
        return desk.unchanged(writing);
    }
    if !writing.dry_run {
        desk.change(Table::Groups, &name, &before, &edit).await?;
    }
    desk.tell(writing, &[Told::new('~', "group", &name, changes)])?;
    if moved && !writing.dry_run && !desk.config.allow_duplicate_ids {
        let ids = desk.tables.ids().await?;
        if let Some(rival) = ids.other_group(group.gid.get(), &name) {
            let old = before.text("GID").unwrap_or_default();
            return Err(failed(format!(
                "conflict: {rival} took GID {} at the same time, and hosts refuse both; 'ddum group set {name} --gid \
                 {old}' puts it back",
                group.gid
            )));
        }
    }
    Ok(exit::DONE)
}

async fn join(desk: &Desk, membership: &Membership) -> Result<u8, Error> {
    let (name, attribute, users, before) = desk.membership(membership).await?;
    let new: Vec<String> = users.into_iter().filter(|user| !before.texts(attribute).contains(user)).collect();
    if new.is_empty() {
        log::info!("group {name} has them already");
        return desk.unchanged(membership.writing);
    }
    let edit =
        Edit { set: vec![(attribute, Field::Set([before.texts(attribute), &new].concat()))], remove: Vec::new() };
    before.with(&edit).group().map_err(|rejection| refused(&rejection))?;
    for user in &new {
        if !desk.has(Table::Users, &desk::name(user)?).await? {
            log::warn!("there is no user {user} in the table; a host where there is one takes him in");
        }
    }
    if !membership.writing.dry_run {
        let change = Change::of(Table::Groups, &name).adding(attribute, new.clone());
        if desk.tables.change(&change).await? != Written::Done {
            return Err(desk.missing(Table::Groups, &name));
        }
    }
    desk.tell(membership.writing, &[Told::new('~', "group", &name, signed(attribute, '+', &new))])?;
    Ok(exit::DONE)
}

async fn leave(desk: &Desk, membership: &Membership) -> Result<u8, Error> {
    let (name, attribute, users, before) = desk.membership(membership).await?;
    let (gone, strangers): (Vec<String>, Vec<String>) =
        users.into_iter().partition(|user| before.texts(attribute).contains(user));
    for stranger in strangers {
        log::info!("group {name} does not have {stranger}");
    }
    if gone.is_empty() {
        return desk.unchanged(membership.writing);
    }
    if !desk.confirm(&format!("Take {} out of group {name}?", gone.join(", ")), membership.writing)? {
        return desk.unchanged(membership.writing);
    }
    if !membership.writing.dry_run {
        let change = Change::of(Table::Groups, &name).deleting(attribute, gone.clone());
        if desk.tables.change(&change).await? != Written::Done {
            return Err(desk.missing(Table::Groups, &name));
        }
    }
    desk.tell(membership.writing, &[Told::new('~', "group", &name, signed(attribute, '-', &gone))])?;
    Ok(exit::DONE)
}

fn signed(attribute: &str, sign: char, names: &[String]) -> String {
    let label = if attribute == "Administrators" { "administrators " } else { "" };
    let names: Vec<String> = names.iter().map(|name| format!("{sign}{name}")).collect();
    format!("{label}{}", names.join(" "))
}

async fn delete(desk: &Desk, given: &str, writing: Writing) -> Result<u8, Error> {
    let name = name(given)?;
    let before = desk.item(Table::Groups, &name).await?;
    let kept = "hosts keep the group and its members as they are";
    if !desk.confirm_deletion(&format!("delete the item of group {name}, while {kept}"), writing)? {
        return desk.unchanged(writing);
    }
    if !writing.dry_run
        && desk.tables.delete(&name, &before, &["GID", "Members", "Administrators"]).await? != Written::Done
        && desk.has(Table::Groups, &name).await?
    {
        return Err(failed(format!(
            "conflict: somebody else changed group {name} in the meantime; nothing was deleted; see 'ddum group show \
             {name}'"
        )));
    }
    desk.tell(writing, &[Told::new('-', "group", &name, "")])?;
    let emptied = before.texts("Members").is_empty();
    if !emptied {
        log::warn!("{kept}; to empty it there, let its members leave first and hosts update");
    }
    Ok(exit::DONE)
}

impl Desk {
    /// The group, the attribute, the users without repetition, and the item as it is.
    async fn membership(&self, given: &Membership) -> Result<(Name, &'static str, Vec<String>, Stored), Error> {
        let group = name(&given.group)?;
        let attribute = if given.administrators { "Administrators" } else { "Members" };
        let mut users = given.users.iter().map(|user| name(user)).collect::<Result<Vec<_>, Error>>()?;
        users.sort_unstable();
        users.dedup();
        let item = self.item(Table::Groups, &group).await?;
        Ok((group, attribute, users.iter().map(Name::to_string).collect(), item))
    }

    /// Refuses a GID that hosts refuse, or that another item has.
    fn expect_gid(&self, ids: &Ids, gid: u32, name: &Name) -> Result<(), Error> {
        if gid == 0 && !self.config.allow_system_accounts {
            return Err(Error::new(ErrorKind::Usage, "hosts refuse GID 0; nothing was written"));
        }
        if gid < desk::LOWEST && !self.config.allow_system_accounts {
            log::warn!("GID {gid} is a system's own: hosts that have no group {name} with it refuse the item");
        }
        match ids.other_group(gid, name).filter(|_| !self.config.allow_duplicate_ids) {
            None => Ok(()),
            Some(owner) => Err(failed(format!(
                "GID {gid} is that of group {}; nothing was written; '--gid auto' finds a free one",
                crate::error::printable(owner)
            ))),
        }
    }

    /// Says which members have no item.
    fn know(&self, members: &[Name], ids: &Ids) {
        for member in members.iter().filter(|member| !ids.has_user(member)) {
            log::warn!("there is no user {member} in the table; a host where there is one takes him in");
        }
    }
}
