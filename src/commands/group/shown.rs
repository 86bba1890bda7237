//! `ddum group list` and `ddum group show`.

use serde_json::{Value, json};

use super::super::desk::{Desk, columns, fits, name};
use super::super::say;
use crate::account::{Group, Name};
use crate::cli::user::Form;
use crate::error::{Error, Table, exit};

fn value(group: &Group) -> Value {
    let names = |names: &[Name]| names.iter().map(|name| json!(name.as_str())).collect::<Value>();
    let administrators = Some(names(&group.administrators)).filter(|_| !group.administrators.is_empty());
    let members = Some(names(&group.members)).filter(|_| !group.members.is_empty());
    json!({"name": group.name.as_str(), "gid": group.gid.get(), "password": group.password.is_some(),
           "administrators": administrators.unwrap_or_else(|| json!([])), "members": members.unwrap_or_else(|| json!([]))})
}

pub(super) fn joined(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(",")
}

pub(super) async fn list(desk: &Desk, patterns: &[String], form: Form) -> Result<u8, Error> {
    let mut scan = desk.tables.read(Table::Groups, &desk.config, desk.today).await?;
    let gids = scan.accounts.groups.iter().map(|group| (group.gid.get(), &group.name));
    scan.rejections.extend(desk.doubles(Table::Groups, gids));
    let wanted =
        |group: &&Group| patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, group.name.as_str()));
    let groups = scan.accounts.groups.iter().filter(wanted);
    match form {
        Form::Json => {
            let refused = scan.rejections.iter().map(|refused| {
                json!({"name": refused.name, "attribute": refused.attribute, "reason": refused.reason,
                       "whole_item": refused.whole_item})
            });
            let refused: Vec<Value> = refused.collect();
            say::json(&json!({"groups": groups.map(value).collect::<Vec<_>>(), "refused": refused}))?;
        }
        Form::Text => {
            let mut rows = vec![["NAME", "GID", "MEMBERS", "ADMINISTRATORS"].map(str::to_owned).to_vec()];
            rows.extend(groups.map(|group| {
                let (members, administrators) = (joined(&group.members), joined(&group.administrators));
                vec![group.name.to_string(), group.gid.to_string(), shown(&members), shown(&administrators)]
            }));
            let refused = scan.rejections.iter().map(|refused| format!("! {refused}"));
            say::lines(columns(&rows).into_iter().chain(refused))?;
        }
    }
    Ok(if scan.rejections.is_empty() { exit::DONE } else { exit::REFUSED })
}

fn shown(names: &str) -> String {
    if names.is_empty() { "-".to_owned() } else { names.to_owned() }
}

pub(super) async fn show(desk: &Desk, given: &str, form: Form) -> Result<u8, Error> {
    let name = name(given)?;
    let item = desk.item(Table::Groups, &name).await?;
    let group = match item.group() {
        Ok(group) => group,
        Err(rejection) => {
            match form {
                Form::Json => say::json(&json!({"name": name.as_str(), "refused": rejection.to_string()}))?,
                Form::Text => say::lines([format!("! {rejection}")])?,
            }
            return Ok(exit::REFUSED);
        }
    };
    let users = desk.tables.read(Table::Users, &desk.config, desk.today).await?.accounts.users;
    let primary: Vec<&str> = users.iter().filter(|user| user.gid == group.gid).map(|user| user.name.as_str()).collect();
    match form {
        Form::Json => {
            let mut shown = value(&group);
            shown["primary_group_of"] = json!(primary);
            say::json(&shown)?;
        }
        Form::Text => {
            let password = if group.password.is_some() { "set" } else { "none" };
            say::lines([
                format!("Name:            {}", group.name),
                format!("GID:             {}", group.gid),
                format!("Password:        {password}"),
                format!("Members:         {}", shown(&joined(&group.members))),
                format!("Administrators:  {}", shown(&joined(&group.administrators))),
                format!("Primary of:      {}", shown(&primary.join(","))),
            ])?;
        }
    }
    Ok(exit::DONE)
}
