//! Files of the host that are not what they should be.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::tree::*;

#[test]
fn a_broken_or_foreign_account_file_stops_the_files_but_not_the_keys() {
    let tree = Tree::of("foreign", "debian");
    tree.tables(&[user("alice", 2001, &keys(&[KEY, OTHER]))], &[]);
    assert_eq!(tree.run(&["sync"]).0, 0);
    let shadow = tree.path("root/etc/shadow");
    std::fs::rename(&shadow, tree.path("root/etc/real")).unwrap();
    std::os::unix::fs::symlink("real", &shadow).unwrap();
    tree.tables(&[user("alice", 2001, &keys(&[KEY])), user("bob", 2002, "")], &[]);
    let (status, out, err) = tree.run(&["sync"]);
    assert_eq!(status, 1, "{out}{err}");
    assert!(err.contains("/etc/shadow") && err.contains("left as they were"), "{err}");
    assert!(!tree.read("etc/passwd").contains("bob"));
    assert!(!tree.read("home/alice/.ssh/authorized_keys").contains(OTHER), "the revoked key is gone all the same");
}

#[test]
fn a_login_defs_that_is_not_to_be_trusted_and_a_nul_in_passwd_stop_no_revocation() {
    let tree = Tree::of("revoke", "debian");
    let defs = tree.path("root/etc/login.defs");
    let passwd = tree.path("root/etc/passwd");
    let good = std::fs::read(&defs).unwrap_or_default();
    for case in ["others can write it", "a link", "a directory", "no login.defs at all", "too large", "nul"] {
        let _ = std::fs::remove_dir(&defs);
        let _ = std::fs::remove_file(&defs);
        std::fs::write(&defs, &good).unwrap();
        tree.tables(&[user("alice", 2001, &keys(&[KEY, OTHER]))], &[]);
        assert_eq!(tree.run(&["sync"]).0, 0);
        let accounts = std::fs::read(&passwd).unwrap();
        match case {
            "too large" => std::fs::File::options().write(true).open(&defs).unwrap().set_len(65 << 20).unwrap(),
            "others can write it" => std::fs::set_permissions(&defs, PermissionsExt::from_mode(0o666)).unwrap(),
            "nul" => {
                let mut bytes = accounts.clone();
                bytes.extend(b"nul\0:x:4000:4000::/:/bin/sh\n");
                std::fs::write(&passwd, bytes).unwrap();
            }
            other => {
                std::fs::remove_file(&defs).unwrap();
                match other {
                    "a link" => std::os::unix::fs::symlink("login.defs", &defs).unwrap(),
                    "a directory" => std::fs::create_dir(&defs).unwrap(),
                    _ => {}
                }
            }
        }
        tree.tables(&[user("alice", 2001, &keys(&[KEY])), user("bob", 2002, &keys(&[KEY]))], &[]);
        let (status, out, err) = tree.run(&["sync"]);
        let left = tree.read("home/alice/.ssh/authorized_keys");
        assert!(!left.contains(OTHER) && left.contains(KEY), "{case}: {out}{err}");
        let has_bob = String::from_utf8_lossy(&std::fs::read(&passwd).unwrap()).contains("bob:");
        match case {
            "nul" => {
                assert_eq!((status, has_bob), (1, false), "{out}{err}");
                assert!(err.contains("/etc/passwd: line") && err.contains("NUL byte"), "{err}");
                let follows = "accounts left as they were; homes and keys of accounts that are here were looked after";
                assert!(err.contains(follows), "{err}");
            }
            "no login.defs at all" => assert_eq!((status, has_bob), (0, true), "{out}{err}"),
            "too large" => {
                assert_eq!((status, has_bob), (1, false), "{out}{err}");
                assert!(err.contains("/etc/login.defs") && err.contains("accounts left as they were"), "{err}");
            }
            _ => {
                assert_eq!((status, has_bob), (0, true), "{case}: {out}{err}");
                assert!(err.contains("login.defs") && err.contains("UID_MIN counts as 1000"), "{case}: {err}");
                let (status, out, _) = tree.run(&["check"]);
                assert!(status == 0 && out.contains("UID_MIN counts as 1000"), "{case}: {out}");
            }
        }
        std::fs::write(&passwd, accounts).unwrap();
    }
}

#[test]
fn an_unreadable_ledger_is_kept_beside_the_new_one() {
    let tree = Tree::of("ledger", "debian");
    tree.tables(&[user("alice", 2001, "")], &[]);
    for text in ["{broken", "again"] {
        assert_eq!(tree.run(&["sync"]).0, 0);
        std::fs::write(tree.path("root/var/lib/ddum/ledger.json"), text).unwrap();
        let (status, out, err) = tree.run(&["sync"]);
        assert_eq!((status, out.as_str()), (0, ""), "{err}");
        assert!(err.contains("ledger.json.unreadable"), "{err}");
        assert_eq!(tree.read("var/lib/ddum/ledger.json.unreadable"), text);
        assert!(tree.read("var/lib/ddum/ledger.json").contains("alice"));
        let mode = std::fs::metadata(tree.path("root/var/lib/ddum/ledger.json.unreadable")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }
    assert!(!tree.run(&["sync"]).2.contains("unreadable"));
}
