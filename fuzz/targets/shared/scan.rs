//! What holds of everything that is taken from a table.

use ddum::table::Scan;

/// Asserts it.
pub fn judge(scan: &Scan) {
    for rejection in &scan.rejections {
        assert!(!rejection.to_string().contains(char::is_control), "{rejection}");
    }
    let accounts = &scan.accounts;
    assert!(accounts.users.is_sorted_by(|a, b| a.name < b.name));
    assert!(accounts.groups.is_sorted_by(|a, b| a.name < b.name));
    for user in &accounts.users {
        for text in [user.name.as_str(), user.real_name.as_str(), user.home.as_str(), user.shell.as_str()] {
            assert!(!text.contains([':', '\n', '\r', '\0', '\u{b}', '\u{c}']), "{text:?}");
        }
        let hash = user.password.as_ref().map_or("*", |hash| hash.expose());
        assert!(!hash.is_empty() && !hash.contains([':', '\n', '\r', '\0', ' ']));
        assert!(user.uid.get() != 65535 && user.uid.get() != u32::MAX);
        for key in &user.keys {
            assert!(!key.line().contains(['\n', '\r', '\0']));
        }
    }
    for group in &accounts.groups {
        assert!(group.members.iter().all(|name| !name.as_str().contains([':', ',', '\n'])));
    }
}
