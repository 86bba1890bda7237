//! What the commands have in common that write the tables: they read, check as a host checks, and write only where
//! the item is as it was read.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Read, Write};

use serde_json::{Value, json};

use super::update::today;
use super::{configuration, say};
use crate::account::{Day, Name, PasswordHash};
use crate::cli::Options;
use crate::cli::user::{Attributes, UID_RANGE, Writing};
use crate::config::{Config, Source, Verbosity};
use crate::error::{Context, Error, ErrorKind, Rejection, Table, exit, printable};
use crate::logging::{self, Place};
use crate::table::Tables;
use crate::table::edit::{Change, Edit, Stored, Written};
use crate::table::item::encode::{self, Field, Fields};

pub(super) use super::told::{Told, columns, differences, fits, shown, takes_away};

/// No file with keys, and no password hash, is longer, in bytes.
const LONGEST: u64 = 1 << 20;

/// Hosts refuse ids below this (`UID_MIN` of login.defs) unless they are configured otherwise.
pub(super) const LOWEST: u32 = 1000;

/// The tables, and how one speaks with whoever types.
pub(super) struct Desk {
    pub(super) tables: Tables,
    pub(super) config: Config,
    pub(super) today: Day,
    quiet: bool,
}

impl Desk {
    pub(super) async fn open(options: &Options) -> Result<Self, Error> {
        let doubts = logging::start(Place::Foreground, options.verbosity, None);
        let (config, warnings) = configuration::load_if_there(options)?;
        for warning in doubts.iter().chain(&warnings) {
            log::warn!("{warning}");
        }
        let tables = Tables::connect(&config).await?;
        Ok(Self { tables, config, today: today()?, quiet: options.verbosity == Verbosity::Quiet })
    }

    /// The item as it is now.
    pub(super) async fn item(&self, table: Table, name: &Name) -> Result<Stored, Error> {
        self.tables.item(table, name, &[]).await?.ok_or_else(|| self.missing(table, name))
    }

    /// Whether there is such an item.
    pub(super) async fn has(&self, table: Table, name: &Name) -> Result<bool, Error> {
        Ok(self.tables.item(table, name, &["Name"]).await?.is_some())
    }

    pub(super) fn missing(&self, table: Table, name: &Name) -> Error {
        let (noun, table) = (table.noun(), self.tables.name_of(table));
        failed(format!("there is no {noun} {name} in table \"{table}\"; 'ddum {noun} list' shows who is"))
    }

    /// Says what was changed, or would be.
    pub(super) fn tell(&self, writing: Writing, told: &[Told]) -> Result<(), Error> {
        self.tell_with(writing, told, &json!({}))
    }

    /// The same, with what else programs want to know.
    pub(super) fn tell_with(&self, writing: Writing, told: &[Told], more: &Value) -> Result<(), Error> {
        if writing.json {
            let mut all = json!({"dry_run": writing.dry_run, "changes": told});
            for (name, value) in more.as_object().into_iter().flatten() {
                all[name] = value.clone();
            }
            say::json(&all)?;
        } else if !self.quiet {
            say::lines(told)?;
        }
        if writing.dry_run {
            log::info!("dry run: nothing was written");
        }
        Ok(())
    }

    /// Puts a free number in the place of the word `auto`.
    pub(super) async fn find_id(&self, edit: &mut Edit, attribute: &str) -> Result<(), Error> {
        let is_auto = |(set, field): &&mut (&str, Field)| *set == attribute && *field == Field::Number("auto".into());
        let Some((_, field)) = edit.set.iter_mut().find(is_auto) else { return Ok(()) };
        let (low, high) = (UID_RANGE.start(), UID_RANGE.end());
        let free = self.tables.ids().await?.free(&UID_RANGE, 0);
        let free = free.ok_or_else(|| failed(format!("no {attribute} from {low} to {high} is free; give one")))?;
        *field = Field::Number(free.to_string());
        Ok(())
    }

    /// The users, or the groups, that share an id, which hosts refuse. Every one is named with the others.
    pub(super) fn doubles<'a>(&self, table: Table, ids: impl Iterator<Item = (u32, &'a Name)>) -> Vec<Rejection> {
        let mut owners: BTreeMap<u32, Vec<&Name>> = BTreeMap::new();
        for (id, name) in ids.filter(|_| !self.config.allow_duplicate_ids) {
            owners.entry(id).or_default().push(name);
        }
        let noun = table.noun();
        let attribute = if table == Table::Users { "UID" } else { "GID" };
        let option = attribute.to_ascii_lowercase();
        let shared = owners.iter().filter(|(_, names)| names.len() > 1);
        let named = shared.flat_map(|(id, names)| names.iter().map(move |name| (id, *name, names)));
        named
            .map(|(id, name, names)| {
                let others = names.iter().filter(|other| **other != name).map(|other| other.as_str());
                let others = others.collect::<Vec<_>>().join(", ");
                let reason = format!(
                    "{id} is also that of {others}, and hosts refuse whom they do not know with it; 'ddum {noun} set \
                     {name} --{option} auto' gives another"
                );
                Rejection { table, name: name.to_string(), attribute: Some(attribute), reason, whole_item: false }
            })
            .collect()
    }

    /// Ends a command that had nothing to write.
    pub(super) fn unchanged(&self, writing: Writing) -> Result<u8, Error> {
        if writing.json {
            self.tell(writing, &[])?;
        }
        Ok(exit::DONE)
    }

    /// Makes the edit of an item, unless it was changed since it was read.
    pub(super) async fn change(&self, table: Table, name: &Name, before: &Stored, edit: &Edit) -> Result<(), Error> {
        let change = Change::of(table, name).edit(edit.clone(), before);
        match self.tables.change(&change).await? {
            Written::Done => Ok(()),
            Written::Conflict(_) => self.explain(table, name, before, edit).await,
        }
    }

    /// What came between. An answer that was lost and asked for again is no conflict.
    async fn explain(&self, table: Table, name: &Name, before: &Stored, edit: &Edit) -> Result<(), Error> {
        let noun = table.noun();
        let Some(now) = self.tables.item(table, name, &[]).await? else {
            return Err(failed(format!(
                "conflict: somebody deleted {noun} {name} in the meantime; nothing was written; see 'ddum {noun} list'"
            )));
        };
        let touched: Vec<_> =
            edit.set.iter().map(|(attribute, _)| *attribute).chain(edit.remove.iter().copied()).collect();
        if now.differing(&before.with(edit), &touched).is_empty() {
            return Ok(());
        }
        let changed = now.differing(before, &touched).join(", ");
        Err(failed(format!(
            "conflict: somebody else changed {changed} of {noun} {name} in the meantime; nothing was written; see 'ddum \
             {noun} show {name}', then try again"
        )))
    }

    /// Asks whoever sits at the terminal; true for everybody else.
    pub(super) fn confirm(&self, question: &str, writing: Writing) -> Result<bool, Error> {
        if writing.yes || writing.dry_run || !std::io::stdin().is_terminal() {
            return Ok(true);
        }
        // Where standard error is closed nobody is asked, and nobody answers.
        let _ = write!(std::io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).context(ErrorKind::File, "cannot read the answer")?;
        let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
        if !agreed {
            log::info!("nothing was written");
        }
        Ok(agreed)
    }

    /// Deleting is never done by a script that did not mean it.
    pub(super) fn confirm_deletion(&self, what: &str, writing: Writing) -> Result<bool, Error> {
        if !writing.yes && !writing.dry_run && !std::io::stdin().is_terminal() {
            return Err(Error::new(ErrorKind::Usage, format!("{what}: nobody can be asked here; say --yes")));
        }
        self.confirm(what, writing)
    }
}

/// The name of a user or a group that somebody typed.
pub(super) fn name(text: &str) -> Result<Name, Error> {
    Name::new(text).map_err(|why| Error::new(ErrorKind::Usage, format!("\"{}\" is no name: {why}", printable(text))))
}

/// The attributes that were typed; the hash is read from standard input.
pub(super) fn edit(attributes: &Attributes, today: Day) -> Result<Edit, Error> {
    let mut set: Fields = Vec::new();
    let mut remove = attributes.unset.clone();
    for (attribute, text) in &attributes.set {
        match encode::typed(attribute, text) {
            // DynamoDB has no empty sets.
            Field::Set(texts) if texts.is_empty() => remove.push(attribute),
            field => set.push((attribute, field)),
        }
    }
    if attributes.password_from_stdin {
        let text = read(&Source::Stdin)?;
        let hash = PasswordHash::new(text.trim_end_matches(['\n', '\r']));
        let hash = hash.map_err(|why| Error::new(ErrorKind::Usage, format!("the password hash: {why}")))?;
        set.push(("Password", Field::Text(hash.expose().to_owned())));
        // Else the new password would be as old as the one before.
        if !attributes.set.iter().any(|(attribute, _)| *attribute == "LastPasswordChangeDate") {
            set.push(("LastPasswordChangeDate", Field::Text(today.to_string())));
        }
    }
    Ok(Edit { set, remove })
}

/// The edit with values as a host writes them, such as `2026-11-22` for `20261122`.
pub(super) fn canonical(edit: &mut Edit, account: Fields) {
    for (attribute, field) in account {
        if let Some((_, value)) = edit.set.iter_mut().find(|(set, _)| *set == attribute) {
            *value = field;
        }
    }
}

/// All of a small file.
pub(super) fn read(source: &Source) -> Result<String, Error> {
    let mut text = String::new();
    let (result, what) = match source {
        Source::Stdin => (std::io::stdin().lock().take(LONGEST).read_to_string(&mut text), "standard input".to_owned()),
        Source::File(path) => {
            let read = std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
            (read, path.display().to_string())
        }
    };
    result.context(ErrorKind::File, format!("cannot read {what}"))?;
    Ok(text)
}

/// The command cannot do what was asked.
pub(super) fn failed(message: String) -> Error {
    Error::new(ErrorKind::Table, message)
}

/// What a host would refuse is not written.
pub(super) fn refused(rejection: &Rejection) -> Error {
    let Rejection { table, name, attribute, reason, .. } = rejection;
    let attribute = attribute.map_or(String::new(), |attribute| format!("{attribute}: "));
    let message = format!("{} {name}: {attribute}{reason}; hosts would refuse it, nothing was written", table.noun());
    Error::new(ErrorKind::Usage, message)
}
