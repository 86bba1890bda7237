//! `ddum user add`: a new user, with a UID that nobody else has.

use std::time::Duration;

use serde_json::json;

use super::super::desk::{self, Desk, Told, failed, name, read, refused};
use super::taken;
use crate::account::{Name, PublicKey, User};
use crate::cli::user::New;
use crate::error::{Error, ErrorKind, Table, exit};
use crate::table::edit::{Change, Edit, Stored, Written};
use crate::table::ids::Ids;
use crate::table::item::encode::{self, Field, Fields};

/// How often another UID is tried. Each time the choice is four wider, so that this many are never needed.
const ATTEMPTS: usize = 16;

/// The user to be added, and what comes with it.
struct Plan<'a> {
    desk: &'a Desk,
    new: &'a New,
    name: Name,
    /// All attributes but UID, and GID when the user has a group of their own.
    fields: Fields,
    /// A group of the user's own, with their name and number.
    own_group: bool,
    groups: Vec<Name>,
    keys: Vec<PublicKey>,
}

pub(super) async fn run(desk: &Desk, new: &New) -> Result<u8, Error> {
    let plan = Plan::new(desk, new).await?;
    plan.expect_possible().await?;
    let ids = desk.tables.ids().await?;
    let mut uid = plan.uid(&ids, 0)?;
    let (stored, user) = plan.items(uid)?;
    if new.writing.dry_run {
        plan.tell(&user)?;
        return Ok(exit::DONE);
    }
    let joins: Vec<Change> = plan.groups.iter().map(|group| plan.join(group)).collect();
    if let Written::Conflict(place) = desk.tables.add(&stored, &joins).await? {
        return Err(plan.conflict(place));
    }
    uid = plan.settle(uid).await?;
    plan.tell(&plan.items(uid)?.1)?;
    Ok(exit::DONE)
}

impl<'a> Plan<'a> {
    async fn new(desk: &'a Desk, new: &'a New) -> Result<Self, Error> {
        let name = name(&new.name)?;
        if name.as_str() == "root" && !desk.config.allow_system_accounts {
            return Err(Error::new(ErrorKind::Usage, "hosts refuse a user that is called root"));
        }
        let keys = new.keys.iter().map(|file| keys(&read(file)?)).collect::<Result<Vec<_>, Error>>()?.concat();
        let groups = new.groups.iter().map(|group| desk::name(group)).collect::<Result<Vec<_>, Error>>()?;
        let mut fields = desk::edit(&new.attributes, desk.today)?.set;
        let has = |fields: &Fields, attribute: &str| fields.iter().any(|(set, _)| *set == attribute);
        let defaults = &desk.config.user_defaults;
        // The documentation of the tables calls these required. What hosts fill in themselves is left to them.
        for (attribute, value) in
            [("RealName", String::new()), ("Home", format!("/home/{name}")), ("Shell", "/bin/bash".to_owned())]
        {
            if !has(&fields, attribute) && !defaults.contains_key(attribute) {
                fields.push((attribute, Field::Text(value)));
            }
        }
        if let Some(group) = &new.group {
            let group = desk::name(group)?;
            let item = desk.tables.item(Table::Groups, &group, &["GID"]).await?;
            let item = item.ok_or_else(|| desk.missing(Table::Groups, &group))?;
            let gid = item.text("GID").ok_or_else(|| failed(format!("group {group} has no GID")))?;
            fields.push(("GID", Field::Number(gid.to_owned())));
        }
        if !has(&fields, "GID")
            && let Some(crate::config::DefaultValue::Text(gid)) = defaults.get("GID")
        {
            fields.push(("GID", Field::Number(gid.clone())));
        }
        if !keys.is_empty() {
            fields.push(("SSHPublicKeys", encode::of_keys(&keys)));
        }
        fields.push(("Name", Field::Text(name.to_string())));
        let own_group = !has(&fields, "GID");
        Ok(Self { desk, new, name, fields, own_group, groups, keys })
    }

    /// Everything that can be known to fail before anything is written; the same again is a condition of the write.
    async fn expect_possible(&self) -> Result<(), Error> {
        // The group first: both come at once, and of both the user is worth telling.
        let has_group = self.own_group && self.desk.has(Table::Groups, &self.name).await?;
        if self.desk.has(Table::Users, &self.name).await? {
            return Err(self.conflict(0));
        }
        if has_group {
            return Err(self.conflict(1));
        }
        for group in &self.groups {
            if !self.desk.has(Table::Groups, group).await? {
                return Err(self.desk.missing(Table::Groups, group));
            }
        }
        Ok(())
    }

    fn conflict(&self, place: usize) -> Error {
        let name = &self.name;
        match (place, self.own_group) {
            (0, _) => {
                failed(format!("there is a user {name} already; nothing was written; see 'ddum user show {name}'"))
            }
            (1, true) => failed(format!(
                "there is a group {name} already; nothing was written; '--group {name}' makes it the primary group"
            )),
            (place, own) => match self.groups.get(place - 1 - usize::from(own)) {
                Some(group) => self.desk.missing(Table::Groups, group),
                None => Error::new(ErrorKind::Internal, "an item that was not written is in conflict"),
            },
        }
    }

    /// The UID that was asked for, or a free one, passing over `skip` others.
    fn uid(&self, ids: &Ids, skip: usize) -> Result<u32, Error> {
        if let Some(range) = &self.new.auto {
            self.desk.allow(*range.start())?;
            return ids.free(range, skip).ok_or_else(|| {
                let (low, high) = (range.start(), range.end());
                failed(format!("no UID from {low} to {high} is free; '--uid-range' names another range"))
            });
        }
        let given = self.new.attributes.set.iter().find(|(attribute, _)| *attribute == "UID");
        let text = given.map_or("", |(_, text)| text);
        let uid =
            crate::account::Uid::parse(text).map_err(|why| Error::new(ErrorKind::Usage, format!("--uid: {why}")))?;
        self.desk.allow(uid.get())?;
        match self.rival(ids, uid.get()) {
            Some(owner) => Err(taken(uid.get(), owner)),
            None => Ok(uid.get()),
        }
    }

    /// Who else has the UID, or the GID when the user's own group has the same number.
    fn rival<'b>(&self, ids: &'b Ids, uid: u32) -> Option<&'b str> {
        if self.desk.config.allow_duplicate_ids && self.new.auto.is_none() {
            return None;
        }
        let group = || self.own_group.then(|| ids.other_group(uid, &self.name)).flatten();
        ids.other_user(uid, &self.name).or_else(group)
    }

    /// The new items, and the user as hosts will read it.
    fn items(&self, uid: u32) -> Result<(Vec<Stored>, User), Error> {
        let number = || Field::Number(uid.to_string());
        let mut set: Fields = self.fields.iter().filter(|(attribute, _)| *attribute != "UID").cloned().collect();
        set.push(("UID", number()));
        if self.own_group {
            set.push(("GID", number()));
        }
        let stored = Stored::new(Table::Users, &set);
        let read = stored.user(&self.desk.config.user_defaults, self.desk.today);
        let (user, _) = read.map_err(|rejection| refused(&rejection))?;
        let mut edit = Edit { set, remove: Vec::new() };
        desk::canonical(&mut edit, encode::of_user(&user));
        let mut items = vec![Stored::new(Table::Users, &edit.set)];
        if self.own_group {
            let name = Field::Text(self.name.to_string());
            items.push(Stored::new(Table::Groups, &[("Name", name), ("GID", number())]));
        }
        Ok((items, user))
    }

    fn join(&self, group: &Name) -> Change {
        Change::of(Table::Groups, group).adding("Members", vec![self.name.to_string()])
    }

    /// Looks whether somebody took the UID at the same time, and moves on to another as long as that is so. A UID that
    /// was asked for is given up, and with it the user.
    async fn settle(&self, mut uid: u32) -> Result<u32, Error> {
        for attempt in 1..=ATTEMPTS {
            let ids = self.desk.tables.ids().await?;
            let Some(rival) = self.rival(&ids, uid) else { return Ok(uid) };
            if self.new.auto.is_none() {
                return Err(self.withdraw(uid, rival).await);
            }
            // Whoever saw us moves on too: not to the same one, and not at the same time.
            let next = self.uid(&ids, fastrand::usize(0..4 * attempt))?;
            self.renumber(uid, next).await?;
            uid = next;
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..50))).await;
        }
        let message = format!("others take the same UIDs again and again, {uid} at last; see 'ddum user list'");
        Err(Error::new(ErrorKind::Unreachable, message))
    }

    async fn renumber(&self, from: u32, to: u32) -> Result<(), Error> {
        let (before, after) = (self.items(from)?.0, self.items(to)?.0);
        let tables = [Table::Users, Table::Groups];
        let changes: Vec<Change> = tables
            .iter()
            .zip(before.iter().zip(&after))
            .map(|(table, (old, new))| {
                let attributes = new.differing(old, &["UID", "GID"]);
                let set = attributes.into_iter().map(|attribute| (attribute, Field::Number(to.to_string()))).collect();
                Change::of(*table, &self.name).edit(Edit { set, remove: Vec::new() }, old)
            })
            .collect();
        match self.desk.tables.add(&[], &changes).await? {
            Written::Done => Ok(()),
            Written::Conflict(_) => {
                let name = &self.name;
                Err(failed(format!(
                    "conflict: somebody else changed user {name} while a UID was sought; see 'ddum user show {name}'"
                )))
            }
        }
    }

    async fn withdraw(&self, uid: u32, rival: &str) -> Error {
        let undo = async {
            let items = self.items(uid)?.0;
            for group in &self.groups {
                let leave = Change::of(Table::Groups, group).deleting("Members", vec![self.name.to_string()]);
                self.desk.tables.change(&leave).await?;
            }
            for item in &items {
                self.desk.tables.delete(&self.name, item, &["UID", "GID"]).await?;
            }
            Ok::<(), Error>(())
        };
        match undo.await {
            Ok(()) => failed(format!("conflict: {rival} took {uid} at the same time; nothing was kept")),
            Err(error) => error.context(format!("{rival} took {uid} at the same time, and the item is still there")),
        }
    }

    fn tell(&self, user: &User) -> Result<(), Error> {
        let User { name, uid, gid, home, shell, .. } = user;
        let expires = user.expire_date.map_or(String::new(), |date| format!(", expires {date}"));
        let (home, shell) = (desk::shown(home.as_str()), desk::shown(shell.as_str()));
        let text = format!("uid {uid}, gid {gid}, home {home}, shell {shell}{expires}");
        let mut told = vec![Told::new('+', "user", name, text)];
        if self.own_group {
            told.push(Told::new('+', "group", name, format!("gid {gid}")));
        }
        told.extend(self.groups.iter().map(|group| Told::new('~', "group", group, format!("+{name}"))));
        if !self.keys.is_empty() {
            let keys: Vec<_> = user.keys.iter().map(|key| format!("+{}", super::super::key::known_as(key))).collect();
            told.push(Told::new('~', "keys", name, keys.join(" ")));
        }
        if user.is_expired(self.desk.today) {
            log::warn!("the account is closed from the start; 'ddum user enable {name}' opens it");
        }
        for key in &self.keys {
            for warning in key.warnings() {
                log::warn!("{warning}");
            }
        }
        self.desk.tell_with(self.new.writing, &told, &json!({"uid": uid.get(), "gid": gid.get()}))
    }
}

/// The keys of a file, of which there must be one.
pub(in crate::commands) fn keys(text: &str) -> Result<Vec<PublicKey>, Error> {
    let mut keys = Vec::new();
    // A private key has several lines, and should be told as one.
    if text.trim_start().starts_with("-----BEGIN ") || text.trim_start().starts_with("PuTTY-User-Key-File") {
        let why = PublicKey::new(text).err().unwrap_or_default();
        return Err(Error::new(ErrorKind::Usage, format!("the key cannot be used: {why}")));
    }
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let key = PublicKey::new(line);
        let key = key.map_err(|why| Error::new(ErrorKind::Usage, format!("the key cannot be used: {why}")))?;
        match keys.iter().any(|known: &PublicKey| known.fingerprint() == key.fingerprint()) {
            true => log::warn!("{} is in it twice; the first line counts", super::super::key::known_as(&key)),
            false => keys.push(key),
        }
    }
    if keys.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "there is no key in it"));
    }
    keys.sort_unstable();
    Ok(keys)
}
