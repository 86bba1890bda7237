//! `ddum user list` and `ddum user show`.

use serde_json::{Value, json};

use super::super::desk::{self, Desk, columns, fits};
use super::super::{key, say};
use crate::account::{Group, Name, User};
use crate::cli::user::{Filter, Form};
use crate::error::{Error, Table, exit, printable};
use crate::table::edit::Stored;
use crate::table::item::USER_ATTRIBUTES;

pub(super) async fn list(desk: &Desk, filter: &Filter, form: Form) -> Result<u8, Error> {
    let mut scan = desk.tables.read(Table::Users, &desk.config, desk.today).await?;
    let uids = scan.accounts.users.iter().map(|user| (user.uid.get(), &user.name));
    scan.rejections.extend(desk.doubles(Table::Users, uids));
    let group = match &filter.group {
        Some(group) => Some(group_of(desk, &desk::name(group)?).await?),
        None => None,
    };
    let wanted = |user: &&User| {
        let name = user.name.as_str();
        (filter.patterns.is_empty() || filter.patterns.iter().any(|pattern| fits(pattern, name)))
            && (!filter.expired || user.is_expired(desk.today))
            && (!filter.without_keys || user.keys.is_empty())
            && filter.uids.as_ref().is_none_or(|uids| uids.contains(&user.uid.get()))
            && group.as_ref().is_none_or(|group| group.gid == user.gid || group.members.contains(&user.name))
    };
    let users: Vec<&User> = scan.accounts.users.iter().filter(wanted).collect();
    match form {
        Form::Json => {
            let refused = scan.rejections.iter().map(|refused| {
                json!({"name": refused.name, "attribute": refused.attribute, "reason": refused.reason,
                       "whole_item": refused.whole_item})
            });
            let list: Vec<Value> = users.iter().map(|user| value(desk, user)).collect();
            say::json(&json!({"users": list, "refused": refused.collect::<Vec<_>>()}))?;
        }
        Form::Text => {
            let heading = ["NAME", "UID", "GID", "KEYS", "EXPIRES", "HOME", "SHELL", "REAL NAME"];
            let mut rows = vec![heading.map(str::to_owned).to_vec()];
            rows.extend(users.iter().map(|user| {
                vec![
                    user.name.to_string(),
                    user.uid.to_string(),
                    user.gid.to_string(),
                    user.keys.len().to_string(),
                    expires(desk, user),
                    desk::shown(user.home.as_str()),
                    desk::shown(user.shell.as_str()),
                    printable(user.real_name.as_str()),
                ]
            }));
            let refused = scan.rejections.iter().map(|refused| format!("! {refused}"));
            say::lines(columns(&rows).into_iter().chain(refused))?;
        }
    }
    Ok(if scan.rejections.is_empty() { exit::DONE } else { exit::REFUSED })
}

pub(super) async fn show(desk: &Desk, given: &str, form: Form) -> Result<u8, Error> {
    let name = desk::name(given)?;
    let item = desk.item(Table::Users, &name).await?;
    let groups = desk.tables.read(Table::Groups, &desk.config, desk.today).await?.accounts.groups;
    let (user, refusals) = match item.user(&desk.config.user_defaults, desk.today) {
        Ok((user, refusals)) => (Some(user), refusals),
        Err(rejection) => (None, vec![rejection]),
    };
    let refusals: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    match form {
        Form::Json => {
            let mut shown = user.as_ref().map_or_else(|| json!({"name": name.as_str()}), |user| value(desk, user));
            shown["groups"] = json!(memberships(&groups, &name));
            shown["disabled_keys"] = key::values(item.texts(key::DISABLED));
            shown["refused"] = json!(refusals);
            say::json(&shown)?;
        }
        Form::Text => {
            let mut lines = match &user {
                Some(user) => of_user(desk, user, &groups),
                None => of_item(&item),
            };
            lines.extend(key::lines("Disabled:", item.texts(key::DISABLED)));
            lines.extend(refusals.iter().map(|refusal| format!("! {refusal}")));
            say::lines(lines)?;
        }
    }
    Ok(if refusals.is_empty() { exit::DONE } else { exit::REFUSED })
}

async fn group_of(desk: &Desk, name: &Name) -> Result<Group, Error> {
    let item = desk.item(Table::Groups, name).await?;
    item.group().map_err(|rejection| desk::failed(rejection.to_string()))
}

fn expires(desk: &Desk, user: &User) -> String {
    match user.expire_date {
        Some(date) if user.is_expired(desk.today) => format!("{date}, closed"),
        Some(date) => date.to_string(),
        None => "never".to_owned(),
    }
}

fn memberships<'a>(groups: &'a [Group], name: &Name) -> Vec<&'a str> {
    groups.iter().filter(|group| group.members.contains(name)).map(|group| group.name.as_str()).collect()
}

/// Whether there is a password, and nothing of it.
fn password(user: &User) -> &'static str {
    match user.password.as_ref().map(crate::account::PasswordHash::expose) {
        None => "none",
        Some(hash) if hash.starts_with(['!', '*']) => "locked",
        Some(_) => "set",
    }
}

fn of_user(desk: &Desk, user: &User, groups: &[Group]) -> Vec<String> {
    let primary = groups.iter().find(|group| group.gid == user.gid);
    let primary = primary.map_or(String::new(), |group| format!(" ({})", group.name));
    let days = |days: Option<u32>| days.map_or_else(|| "-".to_owned(), |days| days.to_string());
    let changed = user.last_change.map_or(String::new(), |date| format!(", of {date}"));
    let mut lines = vec![
        format!("Name:       {}", user.name),
        format!("UID:        {}", user.uid),
        format!("GID:        {}{primary}", user.gid),
        format!("Real name:  {}", desk::shown(user.real_name.as_str())),
        format!("Home:       {}", desk::shown(user.home.as_str())),
        format!("Shell:      {}", desk::shown(user.shell.as_str())),
        format!("Password:   {}{changed}", password(user)),
        format!(
            "Ageing:     min {}, max {}, warn {}, disable {} days",
            days(user.min_age),
            days(user.max_age),
            days(user.warn_period),
            days(user.inactivity_period)
        ),
        format!("Expires:    {}", expires(desk, user)),
        format!("Groups:     {}", desk::shown(&memberships(groups, &user.name).join(", "))),
    ];
    let keys: Vec<String> = user.keys.iter().map(|key| key.line().to_owned()).collect();
    lines.extend(key::lines("Keys:", &keys));
    lines
}

/// What can be said of an item that hosts refuse.
fn of_item(item: &Stored) -> Vec<String> {
    let told = USER_ATTRIBUTES.iter().filter(|attribute| **attribute != "Password" && item.has(attribute));
    told.map(|attribute| {
        format!("{:<11} {}", format!("{attribute}:"), item.text(attribute).map_or("…".into(), printable))
    })
    .collect()
}

fn value(desk: &Desk, user: &User) -> Value {
    let keys: Vec<String> = user.keys.iter().map(|key| key.line().to_owned()).collect();
    json!({
        "name": user.name.as_str(), "uid": user.uid.get(), "gid": user.gid.get(), "real_name": user.real_name.as_str(),
        "home": user.home.as_str(), "shell": user.shell.as_str(), "password": password(user),
        "last_password_change": user.last_change.map(|date| date.to_string()), "min_days": user.min_age,
        "max_days": user.max_age, "warn_days": user.warn_period, "disable_days": user.inactivity_period,
        "expires": user.expire_date.map(|date| date.to_string()), "expired": user.is_expired(desk.today),
        "keys": key::values(&keys),
    })
}
