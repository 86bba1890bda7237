//! `ddum key`: the SSH keys of a user, one's own above all.
//!
//! Everything here works with the rights of the self-service policy: it reads and writes no attribute of an item but
//! its name, its keys and its disabled keys.

mod shown;
mod stored;

use super::desk::{Desk, Told, failed, name, read};
use super::user;
use crate::account::{Day, Name, PublicKey};
use crate::cli::Options;
use crate::cli::key::{Chosen, Verb, Who};
use crate::cli::user::Writing;
use crate::config::Source;
use crate::error::{Error, ErrorKind, Table, exit, printable};
use crate::table;
use crate::table::edit::{Change, Stored, Written};

use shown::list;
pub(super) use shown::{known_as, lines, values};
use stored::{already, find, has_all, has_none, is_same, leaving, told, unknown};

/// The attribute with the keys that hosts take.
pub(super) const KEYS: &str = "SSHPublicKeys";
/// The attribute with those that were put aside.
pub(super) const DISABLED: &str = "DisabledSSHPublicKeys";

/// Runs the command and gives the exit status.
///
/// # Errors
/// When the table did not do what was asked.
pub async fn run(options: &Options, verb: Verb) -> Result<u8, Error> {
    let desk = Desk::open(options).await?;
    match verb {
        Verb::List(who, form) => list(&desk, &who, form).await,
        Verb::Add { who, file, expires, writing } => add(&desk, &who, &file, expires.as_deref(), writing).await,
        Verb::Disable(chosen) => disable(&desk, &chosen).await,
        Verb::Enable(chosen) => enable(&desk, &chosen).await,
        Verb::Delete(chosen) => delete(&desk, &chosen).await,
    }
}

impl Desk {
    async fn who(&self, who: &Who) -> Result<Name, Error> {
        match who {
            Who::User(given) => name(given),
            Who::Me => name(&table::caller(&self.config).await?),
            Who::MeFromEnvironment => match std::env::var("USER") {
                Ok(given) if !given.is_empty() => name(&given),
                _ => Err(Error::new(ErrorKind::Usage, "there is no $USER in the environment; name the user")),
            },
        }
    }

    /// Whose keys, and the keys. Who is named by AWS alone may not know by what name.
    async fn keys_of(&self, who: &Who) -> Result<(Name, Stored), Error> {
        let name = self.who(who).await?;
        match self.keys(&name).await {
            Err(error) if *who == Who::Me => Err(error.context(format!("AWS knows the caller as {name}"))),
            item => Ok((name, item?)),
        }
    }

    /// The keys of a user, and nothing else of the item.
    async fn keys(&self, name: &Name) -> Result<Stored, Error> {
        let item = self.tables.item(Table::Users, name, &[KEYS, DISABLED]).await?;
        // Name comes with it; an item without keys is there too.
        item.filter(|item| item.has("Name")).ok_or_else(|| self.missing(Table::Users, name))
    }

    /// Makes a change of keys that were just read. An answer that was lost and asked for again is no conflict: then
    /// the keys are as they were to be, which `is_done` tells.
    async fn change_keys(&self, name: &Name, change: &Change, is_done: impl Fn(&Stored) -> bool) -> Result<(), Error> {
        match self.tables.change(change).await? {
            Written::Done => Ok(()),
            Written::Conflict(_) if is_done(&self.keys(name).await?) => Ok(()),
            Written::Conflict(_) => Err(failed(format!(
                "conflict: somebody else changed the keys of {name} in the meantime; nothing was written; see 'ddum key \
                 list {name}'"
            ))),
        }
    }
}

async fn add(desk: &Desk, who: &Who, file: &Source, expires: Option<&str>, writing: Writing) -> Result<u8, Error> {
    let text = read(file).map_err(|error| match (who, file) {
        // Whoever forgot the file has named a user instead.
        (Who::Me | Who::MeFromEnvironment, Source::File(path)) if !path.exists() => {
            let given = printable(&path.to_string_lossy());
            Error::new(ErrorKind::File, format!("{error}; 'ddum key add {given} FILE' adds keys of a user {given}"))
        }
        _ => error,
    })?;
    let mut keys = user::keys(&text)?;
    let date = |text| Day::parse(text).map_err(|why| Error::new(ErrorKind::Usage, format!("--expires: {why}")));
    let until = expires.map(date).transpose()?;
    if let Some(date) = until {
        keys = keys.iter().map(|key| expiring(key, date)).collect::<Result<_, _>>()?;
    }
    let (name, item) = desk.keys_of(who).await?;
    let mut new = Vec::new();
    let mut old = Vec::new();
    for key in &keys {
        let same = |attribute| {
            let texts = item.texts(attribute).iter();
            texts.filter(|text| is_same(text, &key.fingerprint())).cloned().collect::<Vec<_>>()
        };
        if let Some(disabled) = same(DISABLED).first() {
            let known = PublicKey::new(disabled).map_or_else(|_| key.fingerprint(), |key| known_as(&key));
            let message = format!(
                "{known} is disabled; 'ddum key enable {name} {}' puts it back, 'ddum key delete' forgets it",
                key.fingerprint()
            );
            return Err(failed(message));
        }
        let known = same(KEYS);
        if known == [key.line()] {
            log::info!("{name} has {} already", known_as(key));
        } else {
            // All of them: one that stayed would let the key in without the new one's options.
            old.extend(known);
            new.push(key.line().to_owned());
        }
    }
    for warning in keys.iter().flat_map(PublicKey::warnings) {
        log::warn!("{warning}");
    }
    if new.is_empty() {
        return desk.unchanged(writing);
    }
    // The same key with other options or another comment takes the old one's place; ADD and DELETE on one attribute in
    // one request are not allowed, so the whole set is written, if it is still what was read.
    let wanted = new.clone();
    let mut change = Change::of(Table::Users, &name);
    if old.is_empty() {
        change = change.adding(KEYS, new);
    } else {
        let mut all: Vec<String> = item.texts(KEYS).iter().filter(|line| !old.contains(line)).cloned().collect();
        all.extend(new);
        let edit = table::edit::Edit { set: vec![(KEYS, table::item::encode::Field::Set(all))], remove: Vec::new() };
        change = change.edit(edit, &item);
    }
    if let Some(date) = until.filter(|date| *date <= desk.today) {
        log::warn!("sshd takes no key that expires on {date}: that day has begun");
    }
    if !writing.dry_run {
        desk.change_keys(&name, &change, |now| has_all(now, KEYS, &wanted)).await?;
    }
    let told: Vec<String> = keys.iter().map(|key| format!("+{}", known_as(key))).collect();
    desk.tell(writing, &[Told::new('~', "keys", &name, told.join(" "))])?;
    Ok(exit::DONE)
}

async fn disable(desk: &Desk, chosen: &Chosen) -> Result<u8, Error> {
    let (name, item) = desk.keys_of(&chosen.who).await?;
    let lines = find(&item, KEYS, &name, &chosen.key)?;
    if lines.is_empty() {
        already(&item, DISABLED, &name, &chosen.key, "disabled")?;
        return desk.unchanged(chosen.writing);
    }
    if !desk.confirm(&format!("Disable {} of {name}?", told(&lines, "")), chosen.writing)? {
        return desk.unchanged(chosen.writing);
    }
    let change = leaving(&name, KEYS, &lines).adding(DISABLED, lines.clone());
    let is_done = |now: &Stored| has_none(now, KEYS, &lines) && has_all(now, DISABLED, &lines);
    if !chosen.writing.dry_run {
        desk.change_keys(&name, &change, is_done).await?;
    }
    desk.tell(chosen.writing, &[Told::new('~', "keys", &name, told(&lines, "-"))])?;
    if item.texts(KEYS).len() == lines.len() {
        log::warn!("that was the last key of {name}");
    }
    Ok(exit::DONE)
}

async fn enable(desk: &Desk, chosen: &Chosen) -> Result<u8, Error> {
    let (name, item) = desk.keys_of(&chosen.who).await?;
    let lines = find(&item, DISABLED, &name, &chosen.key)?;
    if lines.is_empty() {
        already(&item, KEYS, &name, &chosen.key, "enabled")?;
        return desk.unchanged(chosen.writing);
    }
    for line in &lines {
        PublicKey::new(line)
            .map_err(|why| failed(format!("hosts would refuse the key: {why}; nothing was written")))?;
    }
    let change = leaving(&name, DISABLED, &lines).adding(KEYS, lines.clone());
    let is_done = |now: &Stored| has_all(now, KEYS, &lines) && has_none(now, DISABLED, &lines);
    if !chosen.writing.dry_run {
        desk.change_keys(&name, &change, is_done).await?;
    }
    desk.tell(chosen.writing, &[Told::new('~', "keys", &name, told(&lines, "+"))])?;
    Ok(exit::DONE)
}

async fn delete(desk: &Desk, chosen: &Chosen) -> Result<u8, Error> {
    let (name, item) = desk.keys_of(&chosen.who).await?;
    let enabled = find(&item, KEYS, &name, &chosen.key)?;
    let (attribute, lines) = match enabled.is_empty() {
        false => (KEYS, enabled),
        true => (DISABLED, find(&item, DISABLED, &name, &chosen.key)?),
    };
    if lines.is_empty() {
        return Err(unknown(&name, &chosen.key));
    }
    if !desk.confirm(&format!("Delete {} of {name}?", told(&lines, "")), chosen.writing)? {
        return desk.unchanged(chosen.writing);
    }
    let change = leaving(&name, attribute, &lines);
    if !chosen.writing.dry_run {
        desk.change_keys(&name, &change, |now| has_none(now, attribute, &lines)).await?;
    }
    desk.tell(chosen.writing, &[Told::new('~', "keys", &name, told(&lines, "-"))])?;
    if attribute == KEYS && item.texts(KEYS).len() == lines.len() {
        log::warn!("that was the last key of {name}");
    }
    Ok(exit::DONE)
}

/// The key with an option that ends it on `date`. Without a time zone, which sshd before 9.1 does not know.
fn expiring(key: &PublicKey, date: Day) -> Result<PublicKey, Error> {
    let options: Vec<&str> = [key.options()].into_iter().filter(|options| !options.is_empty()).collect();
    let option = format!("expiry-time=\"{}\"", date.to_string().replace('-', ""));
    let options = [&options[..], &[option.as_str()]].concat().join(",");
    let rest = key.line().get(key.options().len()..).unwrap_or_default().trim_start();
    PublicKey::new(&format!("{options} {rest}"))
        .map_err(|why| Error::new(ErrorKind::Usage, format!("the key cannot expire then: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::key::shown::expiry;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA+WWckC5HovqsNXGLGG/vIPqy97mAHpc3xSmzlXbY+t my laptop";

    #[test]
    fn a_key_expires_by_an_option_that_every_sshd_knows() {
        let date = Day::parse("2031-01-02").unwrap();
        for options in ["", "restrict,pty ", "command=\"echo \\\" x\" "] {
            let key = expiring(&PublicKey::new(&format!("{options}{KEY}")).unwrap(), date).unwrap();
            let comma = if options.is_empty() { "" } else { "," };
            assert_eq!(key.line(), format!("{}{comma}expiry-time=\"20310102\" {KEY}", options.trim_end()));
            assert_eq!(expiry(&key).unwrap(), "2031-01-02");
            assert_eq!(key.comment(), "my laptop");
        }
        assert!(expiring(&PublicKey::new(KEY).unwrap(), Day::parse("1960-01-01").unwrap()).is_err());
    }
}
