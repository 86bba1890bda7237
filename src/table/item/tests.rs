use super::*;

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8C1kVh3VGg5kPBPBPO0yPbZ2j4h4Yw7Yo0rk4o8m2k laptop";

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(text: &str) -> AttributeValue {
    AttributeValue::N(text.to_owned())
}

fn ss(texts: &[&str]) -> AttributeValue {
    AttributeValue::Ss(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// An item with what is required and `more`, which may replace it.
fn item_with(more: &[(&str, AttributeValue)]) -> Item {
    let required = [("Name", s("alice")), ("UID", n("2001")), ("GID", n("2002"))];
    required.iter().chain(more).map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

fn today() -> Day {
    Day::parse("2026-11-22").unwrap()
}

fn user_with(more: &[(&str, AttributeValue)]) -> Result<(User, Vec<Rejection>), Rejection> {
    user(&item_with(more), &Defaults::new(), today())
}

fn default(text: &str) -> DefaultValue {
    DefaultValue::Text(text.to_owned())
}

#[test]
fn every_attribute_of_a_user_arrives() {
    let (user, bad_keys) = user_with(&[
        ("RealName", s("Alice Ångström")),
        ("Home", s("/home/alice")),
        ("Shell", s("/bin/bash")),
        ("Password", s("$6$salt$abcdefgh")),
        ("LastPasswordChangeDate", s("2026-11-20")),
        ("PasswordAgeMinDays", n("1")),
        ("PasswordAgeMaxDays", n("90")),
        ("PasswordWarnDays", n("7")),
        ("PasswordDisableDays", n("-1")),
        ("AccountExpireDate", s("2031-12-31")),
        ("SSHPublicKeys", ss(&[ED25519])),
        ("Department", AttributeValue::M([("x".to_owned(), n("1"))].into())),
    ])
    .unwrap();
    assert_eq!(bad_keys, []);
    assert_eq!((user.name.as_str(), user.uid.get(), user.gid.get()), ("alice", 2001, 2002));
    assert_eq!(user.real_name.as_str(), "Alice Ångström");
    assert_eq!((user.home.as_str(), user.shell.as_str()), ("/home/alice", "/bin/bash"));
    assert_eq!(user.password.as_ref().map(PasswordHash::expose), Some("$6$salt$abcdefgh"));
    assert_eq!(user.last_change, Some(Day::parse("2026-11-20").unwrap()));
    assert_eq!((user.min_age, user.max_age), (Some(1), Some(90)));
    assert_eq!((user.warn_period, user.inactivity_period), (Some(7), None));
    assert_eq!(user.expire_date, Some(Day::parse("2031-12-31").unwrap()));
    assert_eq!(user.keys.iter().map(PublicKey::line).collect::<Vec<_>>(), [ED25519]);
}

#[test]
fn name_uid_and_gid_are_enough() {
    let (user, _) = user_with(&[]).unwrap();
    assert_eq!((user.real_name.as_str(), user.home.as_str(), user.shell.as_str()), ("", "", ""));
    assert!(user.password.is_none() && user.keys.is_empty() && user.expire_date.is_none());
}

#[test]
fn a_null_is_as_good_as_nothing() {
    let null = AttributeValue::Null(true);
    let (user, _) = user_with(&[("Shell", null.clone()), ("SSHPublicKeys", null.clone())]).unwrap();
    assert_eq!(user.shell.as_str(), "");
    assert_eq!(user_with(&[("UID", null)]).unwrap_err().to_string(), "user alice: UID: it is missing; item skipped");
}

#[test]
fn what_is_wrong_is_told_by_attribute_and_type() {
    let list = AttributeValue::L(vec![s(ED25519)]);
    for (attribute, value, reason) in [
        ("UID", s("2001"), "UID: its type is S, not N"),
        ("GID", ss(&["2002"]), "GID: its type is SS, not N"),
        ("Home", n("1"), "Home: its type is N, not S"),
        ("AccountExpireDate", n("20311231"), "AccountExpireDate: its type is N, not S"),
        ("PasswordAgeMaxDays", s("90"), "PasswordAgeMaxDays: its type is S, not N"),
        ("Password", AttributeValue::Bool(false), "Password: its type is BOOL, not S"),
        ("SSHPublicKeys", s(ED25519), "SSHPublicKeys: its type is S, not SS"),
        ("SSHPublicKeys", list, "SSHPublicKeys: its type is L, not SS"),
        ("LastPasswordChangeDate", s("2026-11-24"), "LastPasswordChangeDate: it is in the future"),
    ] {
        let rejection = user_with(&[(attribute, value)]).unwrap_err();
        assert_eq!(rejection.to_string(), format!("user alice: {reason}; item skipped"));
        assert!(rejection.whole_item);
    }
}

#[test]
fn a_password_changed_tomorrow_is_taken_for_another_time_zone() {
    let (user, _) = user_with(&[("LastPasswordChangeDate", s("2026-11-23"))]).unwrap();
    assert_eq!(user.last_change, Some(Day::parse("2026-11-23").unwrap()));
}

#[test]
fn an_item_without_a_usable_name_is_still_refused_by_what_there_is() {
    for (name, message) in [
        (n("7"), "user (without a name): Name: its type is N, not S; item skipped"),
        (AttributeValue::Null(true), "user (without a name): Name: it is missing; item skipped"),
    ] {
        assert_eq!(user_with(&[("Name", name)]).unwrap_err().to_string(), message);
    }
    let rejection = user_with(&[("Name", s("eve\nroot"))]).unwrap_err();
    assert_eq!(rejection.name, "eve\\u{a}root");
    assert!(!rejection.to_string().contains('\n'), "{rejection}");
}

#[test]
fn a_marker_without_ids_is_refused_by_name() {
    let marker: Item = [("Name".to_owned(), s("_marker"))].into();
    let rejection = user(&marker, &Defaults::new(), today()).unwrap_err();
    assert_eq!(rejection.to_string(), "user _marker: UID: it is missing; item skipped");
}

#[test]
fn a_bad_password_is_not_quoted() {
    let rejection = user_with(&[("Password", s("hunter2: plain"))]).unwrap_err();
    assert_eq!(rejection.attribute, Some("Password"));
    assert!(!rejection.to_string().contains("hunter2"), "{rejection}");
}

#[test]
fn a_bad_key_is_refused_alone_and_not_quoted() {
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----";
    let two_lines = format!("{ED25519}\nssh-rsa AAAA mallory");
    let (user, bad_keys) = user_with(&[("SSHPublicKeys", ss(&["nonsense", private, ED25519, &two_lines]))]).unwrap();
    assert_eq!(user.keys.len(), 1);
    assert_eq!(bad_keys.len(), 3);
    for bad in &bad_keys {
        assert_eq!((bad.attribute, bad.whole_item, bad.name.as_str()), (Some("SSHPublicKeys"), false, "alice"));
        let text = bad.to_string();
        assert!(text.ends_with("; key skipped"), "{text}");
        assert!(!text.contains('\n') && !text.contains("c2VjcmV0") && !text.contains("AAAA"), "{text}");
    }
    let fingerprint = user.keys[0].fingerprint();
    assert!(bad_keys.iter().any(|bad| bad.reason.starts_with(&fingerprint)), "{bad_keys:?}");
}

#[test]
fn defaults_fill_what_an_item_lacks_and_nothing_else() {
    let defaults = Defaults::from([
        ("Shell".to_owned(), default("/bin/bash")),
        ("Home".to_owned(), default("/home/{name}")),
        ("GID".to_owned(), default("100")),
        ("SSHPublicKeys".to_owned(), DefaultValue::List(vec![ED25519.replace("laptop", "{name}")])),
    ]);
    let mut item = item_with(&[("Shell", s(""))]);
    item.remove("GID");
    let (user, _) = user(&item, &defaults, today()).unwrap();
    assert_eq!(user.shell.as_str(), "", "an empty value is a value");
    assert_eq!((user.home.as_str(), user.gid.get()), ("/home/alice", 100));
    assert_eq!(user.keys[0].comment(), "alice");
}

#[test]
fn a_default_passes_the_same_rules() {
    let defaults = Defaults::from([("Home".to_owned(), default("home/{name}"))]);
    let rejection = user(&item_with(&[]), &defaults, today()).unwrap_err();
    assert_eq!(rejection.attribute, Some("Home"));
    assert!(rejection.reason.starts_with("the value in user_defaults: "), "{rejection}");
}

#[test]
fn a_group_arrives_with_its_lists_sorted() {
    let group = group(&item_with(&[
        ("Members", ss(&["carol", "bob", "bob"])),
        ("Administrators", ss(&["alice"])),
        ("Password", s("!")),
    ]))
    .unwrap();
    assert_eq!((group.name.as_str(), group.gid.get()), ("alice", 2002));
    assert_eq!(group.members.iter().map(Name::as_str).collect::<Vec<_>>(), ["bob", "carol"]);
    assert_eq!(group.administrators.iter().map(Name::as_str).collect::<Vec<_>>(), ["alice"]);
    assert!(group.password.is_some());
}

#[test]
fn a_group_with_a_bad_member_is_refused_by_that_member() {
    let rejection = group(&item_with(&[("Members", ss(&["bob", "a,b"]))])).unwrap_err();
    assert_eq!((rejection.table, rejection.attribute), (Table::Groups, Some("Members")));
    assert!(rejection.reason.starts_with("\"a,b\": "), "{rejection}");
    let rejection = group(&item_with(&[("Members", s("bob"))])).unwrap_err();
    assert_eq!(rejection.to_string(), "group alice: Members: its type is S, not SS; item skipped");
}

#[test]
fn the_lists_of_attributes_are_those_that_are_read() {
    // Whoever adds an attribute and forgets the list would not see it in snapshots.
    let source = include_str!("../item.rs");
    for attribute in USER_ATTRIBUTES.iter().chain(&GROUP_ATTRIBUTES) {
        assert!(source.matches(&format!("\"{attribute}\"")).count() >= 2, "{attribute}");
    }
}
