//! `ddum check`.

use super::tree::*;

#[test]
fn check_tells_what_a_sync_would_do_and_what_is_doubtful() {
    let tree = Tree::of("check", "debian");
    std::fs::create_dir_all(tree.path("root/etc/ssh/sshd_config.d")).unwrap();
    std::fs::write(tree.path("root/etc/ssh/sshd_config"), "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM no\n")
        .unwrap();
    std::fs::write(tree.path("root/etc/ssh/sshd_config.d/x.conf"), "AuthorizedKeysFile /etc/keys/%u\n").unwrap();
    let weak = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCjiXO6GHKkMe2EsBpbZnSkOBbIktYXWFNHXdRKwogf2R7+qTjsF6mO0nWDSCpj1tGgePzFXdu50N51Q9DoHFkYWKVCYUZy5yvPGGrkU7wcH4Xc226CLcPSBGHFjH2u3IL6imEtRLrQ47omynGkRvIrUsxoGwaT/9cGNOWqx+yJiw== weak";
    let long = "a-name-that-is-longer-than-thirty-two-characters";
    tree.tables(
        &[
            user("alice", 2001, &keys(&[KEY, weak])),
            user("bob", 61200, &keys(&[KEY])),
            user("gone", 2003, r#","AccountExpireDate":{"S":"2020-01-01"}"#),
            user(long, 2005, ""),
        ],
        &[group("alice", 2001, &["stranger"])],
    );
    let before = tree.state();
    let (status, out, err) = tree.run(&["check"]);
    assert_eq!(status, 0, "{out}{err}");
    assert_eq!(tree.state(), before, "check changes nothing");
    assert!(out.contains("+ user alice: "), "{out}");
    for doubt in [
        "user bob: primary group 61200 is neither",
        "user bob: UID 61200 is in the range of systemd",
        "user gone: expired since 2020-01-01",
        "shell /bin/sh is no program on this host",
        "name is longer than 32 characters",
        "member stranger is neither",
        "is used by alice, bob",
        "AuthorizedKeysFile is /etc/keys/%u",
        "UsePAM is no",
    ] {
        assert!(out.lines().any(|l| l.starts_with("? ") && l.contains(doubt)), "{doubt}:\n{out}");
    }
    assert!(out.lines().any(|l| l.starts_with("? user alice: key SHA256:")), "the weak key:\n{out}");
}

#[test]
fn check_doubts_shared_ids_weak_kinds_of_keys_and_careless_settings_of_sshd() {
    let tree = Tree::of("doubts", "debian");
    std::fs::create_dir_all(tree.path("root/etc/ssh")).unwrap();
    let settings = "StrictModes no\nPubkeyAuthentication no\nAuthorizedKeysCommand /bin/keys\nUsePAM yes\n";
    std::fs::write(tree.path("root/etc/ssh/sshd_config"), settings).unwrap();
    tree.add_lines("passwd", "twin:x:1700:1700::/:/bin/sh\nother:x:1700:1700::/:/bin/sh\n");
    tree.add_lines("group", "twins:x:1700:\npair:x:1700:\n");
    tree.tables(
        &[
            user("alice", 2001, &keys(&[DSA])),
            user("aged", 2002, &format!(r#"{},"PasswordAgeMaxDays":{{"N":"90"}}"#, keys(&[KEY]))),
            user("bare", 2003, ""),
            user("locked", 2004, &format!(r#"{},"Password":{{"S":"!"}}"#, keys(&[KEY]))),
        ],
        &[],
    );
    let doubts = |tree: &Tree| {
        let (status, out, err) = tree.run(&["check"]);
        assert_eq!(status, 0, "{out}{err}");
        out.lines().filter_map(|line| line.strip_prefix("? ")).fold(String::new(), |all, line| all + line + "\n")
    };
    let told = doubts(&tree);
    for doubt in [
        "UID 1700 is shared by other, twin\n",
        "GID 1700 is shared by pair, twins\n",
        "a DSA key is weak; an old sshd refuses it unless it is told otherwise, a new one always\n",
        "user aged: PasswordAgeMaxDays without Password locks a key login out once that age is reached\n",
        "user bare: neither a key nor a password, so no way to log in\n",
        "sshd: StrictModes is no, so a file that others can write opens a login too\n",
        "sshd: PubkeyAuthentication is no, so no key opens a login\n",
        "sshd: AuthorizedKeysCommand /bin/keys adds keys that ddum does not revoke\n",
    ] {
        assert!(told.contains(doubt), "{doubt}{told}");
    }
    assert!(!told.contains("user locked: Password"), "with PAM a lock is no doubt:\n{told}");

    // What is well is no doubt; and without PAM the lock is one.
    std::fs::write(tree.path("root/etc/ssh/sshd_config"), "AuthorizedKeysFile .ssh/authorized_keys\nUsePAM no\n")
        .unwrap();
    let told = doubts(&tree);
    assert!(told.contains("user locked: Password starts with !, and sshd without PAM then refuses keys too"), "{told}");
    for well in ["StrictModes", "PubkeyAuthentication", "AuthorizedKeysCommand", "AuthorizedKeysFile"] {
        assert!(!told.contains(well), "{well}:\n{told}");
    }
}
