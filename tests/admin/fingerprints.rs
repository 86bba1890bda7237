//! Keys as `ssh-keygen -l` sees them: every type that it knows, with comments and options of every kind.

use std::path::Path;
use std::process::Command;

use base64_simd::STANDARD;
use serde_json::{Value, json};

use super::office::*;
use super::support::emulator::Emulator;
use super::support::user_item;

/// What is said of one key.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    bits: String,
    fingerprint: String,
    comment: String,
    kind: String,
}

/// What ssh-keygen says of the file; `None` when it is no key to it.
fn keygen(file: &Path) -> Option<Seen> {
    let output = Command::new("ssh-keygen").arg("-lf").arg(file).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    let (bits, rest) = line.trim_end_matches('\n').split_once(' ')?;
    let (fingerprint, rest) = rest.split_once(' ')?;
    let (comment, kind) = rest.rsplit_once(" (")?;
    // Its way to say that there is none.
    let comment = if comment == "no comment" { "" } else { comment };
    let kind = kind.trim_end_matches(')');
    Some(Seen { bits: bits.into(), fingerprint: fingerprint.into(), comment: comment.into(), kind: kind.into() })
}

/// The base64 of a key that consists of these strings.
fn blob(strings: &[&[u8]]) -> String {
    let mut bytes = Vec::new();
    for string in strings {
        bytes.extend(u32::try_from(string.len()).unwrap().to_be_bytes());
        bytes.extend(*string);
    }
    STANDARD.encode_to_string(bytes)
}

/// An Ed25519 key that nobody has the other half of.
fn ed25519(number: u8) -> String {
    format!("ssh-ed25519 {}", blob(&[b"ssh-ed25519", &[number; 32]]))
}

/// An RSA key with a modulus of so many bits.
fn rsa(bits: usize) -> String {
    let mut modulus = vec![0xa5; bits.div_ceil(8)];
    modulus[0] = if bits.is_multiple_of(8) { 0xff } else { (1 << (bits % 8)) - 1 };
    *modulus.last_mut().unwrap() = 1;
    if modulus[0] >= 0x80 {
        modulus.insert(0, 0);
    }
    format!("ssh-rsa {}", blob(&[b"ssh-rsa", &[1, 0, 1], &modulus]))
}

/// The point of an ECDSA key: the last string of its data.
fn point(line: &str) -> Vec<u8> {
    let data = STANDARD.decode_to_vec(line.split(' ').nth(1).unwrap()).unwrap();
    data[data.len() - 65..].to_vec()
}

/// A key pair of ssh-keygen's own; `None` for a type that this one no longer makes.
fn made(office: &Office, kind: &str, bits: &str) -> Option<String> {
    let file = office.0.join(format!("{kind}{bits}"));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-C", &format!("{kind} {bits}"), "-t", kind, "-b", bits, "-f"]).arg(&file);
    let is_made = command.output().unwrap().status.success();
    is_made.then(|| std::fs::read_to_string(file.with_extension("pub")).unwrap().trim_end().to_owned())
}

/// One line for each key that there should be agreement about.
fn lines(office: &Office) -> Vec<String> {
    let mut lines = Vec::new();
    let kinds = [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "1024")];
    for (kind, bits) in kinds.into_iter().chain([("rsa", "2048"), ("rsa", "3072"), ("dsa", "1024")]) {
        match made(office, kind, bits) {
            Some(line) => lines.push(line),
            None => not_checked(&format!("a key of the type {kind}, which this ssh-keygen does not make")),
        }
    }
    let ecdsa = lines.iter().find(|line| line.starts_with("ecdsa-sha2-nistp256 ")).unwrap();
    // Keys on hardware that is not here; their public halves can be written down.
    let (sk_ecdsa, sk_ed25519) = ("sk-ecdsa-sha2-nistp256@openssh.com", "sk-ssh-ed25519@openssh.com");
    let data = blob(&[sk_ecdsa.as_bytes(), b"nistp256", &point(ecdsa), b"ssh:"]);
    lines.push(format!("{sk_ecdsa} {data} token"));
    lines.push(format!("{sk_ed25519} {} token 2", blob(&[sk_ed25519.as_bytes(), &[7; 32], b"ssh:office"])));
    lines.extend([1025, 2047, 4096, 8192, 16384].map(|bits| format!("{} rsa {bits}", rsa(bits))));
    let comments = [
        "",
        "my old phone",
        "Zoë’s Schlüssel 鍵 🔑",
        "alice@example.org",
        "\"quoted\" 'and' \\ more",
        "two  blanks",
        "# no comment of the file",
        "ssh-rsa AAAA",
        "command=\"x\" (ED25519)",
    ];
    lines.extend(
        (1..).zip(comments).map(|(number, comment)| format!("{} {comment}", ed25519(number)).trim().to_owned()),
    );
    let options = [
        "restrict",
        "no-pty,no-user-rc",
        "command=\"echo a b\"",
        "command=\"echo \\\"ssh-rsa AAAA\\\"\",from=\"192.0.2.0/24,!192.0.2.9\"",
        "environment=\"A=b c\",permitopen=\"h:22\"",
        "expiry-time=\"20310102\"",
        "cert-authority,principals=\"a,b\"",
    ];
    lines.extend((101..).zip(options).map(|(number, options)| format!("{options} {} opt {number}", ed25519(number))));
    lines
}

/// The columns of `ddum key list`, of which the comment is the last.
fn of_list(line: &str) -> Seen {
    let mut rest = line;
    let mut columns = Vec::new();
    for _ in 0..5 {
        let (column, more) = rest.split_once("  ").unwrap_or((rest, ""));
        columns.push(column.to_owned());
        rest = more.trim_start();
    }
    let [fingerprint, bits, kind, _, state] = columns.try_into().unwrap();
    assert_eq!(state, "enabled");
    Seen { bits, fingerprint, comment: rest.to_owned(), kind }
}

#[test]
fn keys_are_seen_as_ssh_keygen_sees_them() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        not_checked("fingerprints, types and sizes of keys; there is no ssh-keygen here");
        return;
    }
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[user_item("alice", 2001)]);
    let office = Office::new("keygen", &emulator.url());
    let lines = lines(&office);
    let mut theirs = Vec::new();
    for line in &lines {
        let file = office.0.join("one.pub");
        std::fs::write(&file, format!("{line}\n")).unwrap();
        theirs.push(keygen(&file).unwrap_or_else(|| panic!("ssh-keygen takes no {line}")));
    }
    let (status, out, err) = office.given("key add alice -", &lines.join("\n"));
    assert_eq!(status, 0, "{out}{err}");
    let list = office.done("key list alice");
    let mut ours: Vec<Seen> = list.lines().skip(1).map(of_list).collect();
    let keys: Value = serde_json::from_str(&office.done("key list alice --json")).unwrap();
    for seen in &ours {
        let key = keys["keys"].as_array().unwrap().iter().find(|key| key["fingerprint"] == *seen.fingerprint).unwrap();
        assert_eq!((&key["comment"], key["bits"].to_string()), (&json!(seen.comment), seen.bits.clone()));
    }
    // What follows a "#" is not part of the comment to ssh-keygen; here the whole of it names the key.
    for seen in &mut ours {
        seen.comment = seen.comment.split('#').next().unwrap().to_owned();
    }
    let by_print = |one: &Seen, other: &Seen| one.fingerprint.cmp(&other.fingerprint);
    ours.sort_by(by_print);
    theirs.sort_by(by_print);
    assert_eq!(ours, theirs);
    assert!(ours.len() >= lines.len() && ours.len() > 25, "{}", ours.len());
}

#[test]
fn what_ssh_keygen_does_not_take_is_not_taken_and_no_certificate_is() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        not_checked("keys that are none; there is no ssh-keygen here");
        return;
    }
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[user_item("alice", 2001)]);
    let office = Office::new("none", &emulator.url());
    let file = office.0.join("one.pub");
    let bad = [
        rsa(1023),
        rsa(16385),
        format!("ssh-ed25519 {}", blob(&[b"ssh-ed25519", &[7; 31]])),
        format!("ssh-ed25519 {}", blob(&[b"ssh-ed25519", &[7; 32], b"more"])),
        format!("ssh-rsa {}", blob(&[b"ssh-ed25519", &[7; 32]])),
        format!("ssh-ed25519 {}", ed25519(7).split(' ').nth(1).unwrap().trim_end_matches('=').get(..60).unwrap()),
        "ssh-ed25519".to_owned(),
    ];
    for line in bad {
        std::fs::write(&file, format!("{line}\n")).unwrap();
        assert_eq!(keygen(&file), None, "{line}");
        office.fails("key add alice one.pub", 2);
    }
    // A certificate is a key to ssh-keygen and none to sshd in a file of keys, so it is refused and told why.
    made(&office, "ed25519", "256").unwrap();
    let mut kinds = vec![("ed25519", "256"), ("ecdsa", "384"), ("rsa", "2048")];
    kinds.retain(|(kind, bits)| *kind == "ed25519" || made(&office, kind, bits).is_some());
    for (kind, bits) in kinds {
        let key = office.0.join(format!("{kind}{bits}"));
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-I", "id", "-n", "alice", "-s"])
            .arg(office.0.join("ed25519256"))
            .arg(key.with_extension("pub"));
        assert!(sign.output().unwrap().status.success());
        let certificate = office.0.join(format!("{kind}{bits}-cert.pub"));
        assert!(keygen(&certificate).unwrap().kind.ends_with("-CERT"));
        let err = office.fails(&format!("key add alice {kind}{bits}-cert.pub"), 2);
        assert!(
            err.contains("it is a certificate, which sshd never matches with a listed key; list the key itself"),
            "{err}"
        );
    }
}
