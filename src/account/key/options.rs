//! The options that may stand before a key, with the grammar of OpenSSH's `sshauthopt_parse`: a line with an option
//! that sshd does not understand lets nobody in, so it is refused here, where somebody is told.

use crate::account::Day;
use crate::error::printable;

/// Without a value; those with `true` also exist with `no-` before them.
const FLAGS: [(&str, bool); 9] = [
    ("restrict", false),
    ("cert-authority", false),
    ("port-forwarding", true),
    ("agent-forwarding", true),
    ("x11-forwarding", true),
    ("touch-required", true),
    ("verify-required", true),
    ("pty", true),
    ("user-rc", true),
];

/// With a value in double quotes.
const WITH_VALUE: [&str; 8] =
    ["command", "principals", "from", "expiry-time", "environment", "permitopen", "permitlisten", "tunnel"];

/// How many bytes of `line` are its options: up to the first blank outside quotes; `None` when a quote stays open.
pub(super) fn length(line: &str) -> Option<usize> {
    let mut quoted = false;
    let mut bytes = line.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if bytes.peek().is_some_and(|&(_, next)| next == b'"') => {
                bytes.next();
            }
            b'"' => quoted = !quoted,
            b' ' | b'\t' if !quoted => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(line.len())
}

/// The names of the options, in lower case, in their order.
///
/// # Errors
/// The reason why sshd would refuse the line.
pub(super) fn names(options: &str) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = options;
    while !rest.is_empty() {
        // sshd takes empty options, as a comma after the last one leaves them.
        if let Some(after) = rest.strip_prefix(',') {
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let name = name.to_ascii_lowercase();
        rest = match after.strip_prefix('=') {
            None if is_flag(&name) => after,
            Some(value) if WITH_VALUE.contains(&name.as_str()) => {
                if matches!(name.as_str(), "command" | "principals" | "from") && names.contains(&name) {
                    return Err(format!("it has several {name} options"));
                }
                let (value, after) = unquote(value).ok_or_else(|| format!("its {name} option has no quoted value"))?;
                check_value(&name, &value)?;
                after
            }
            _ => return Err(unknown(&name)),
        };
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(format!("its {name} option does not end where it should"));
        }
        names.push(name);
    }
    Ok(names)
}

fn is_flag(name: &str) -> bool {
    let positive = name.strip_prefix("no-");
    FLAGS.iter().any(|&(flag, negatable)| name == flag || (negatable && positive == Some(flag)))
}

/// Whoever pastes something else than a public key may paste a secret, so only what looks like an option is quoted.
fn unknown(name: &str) -> String {
    if (1..=24).contains(&name.len()) {
        format!("\"{}\" is neither a key type nor an option that sshd knows", printable(name))
    } else {
        "it starts with neither a key type nor an option that sshd knows".into()
    }
}

/// A value without its quotes, and what follows it. A backslash escapes a double quote and nothing else.
fn unquote(text: &str) -> Option<(String, &str)> {
    let quoted = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' if quoted[at + 1..].starts_with('"') => {
                chars.next();
                value.push('"');
            }
            _ => value.push(c),
        }
    }
    None
}

fn check_value(name: &str, value: &str) -> Result<(), String> {
    let valid = match name {
        "expiry-time" => is_time(value),
        "environment" => value.split_once('=').is_some_and(|(variable, _)| {
            !variable.is_empty() && variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        }),
        "permitopen" => is_host_and_port(value),
        "permitlisten" => is_port(value) || is_host_and_port(value),
        "tunnel" => value.eq_ignore_ascii_case("any") || is_number(value, 2_147_483_645),
        _ => true,
    };
    if valid {
        Ok(())
    } else {
        Err(format!("its {name} option has the value \"{}\", which sshd refuses", printable(value)))
    }
}

/// `YYYYMMDD`, then `HHMM` or `HHMMSS`, then `Z` or `UTC`; after 1970-01-01, which sshd takes for no date.
fn is_time(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("UTC")).unwrap_or(&text);
    let Some((date, time)) = text.split_at_checked(8) else { return false };
    let limits = [23, 59, 60];
    let parts: Vec<&[u8]> = time.as_bytes().chunks(2).collect();
    matches!(parts.len(), 0 | 2 | 3)
        && time.bytes().all(|b| b.is_ascii_digit())
        && parts
            .iter()
            .zip(limits)
            .all(|(part, limit)| matches!(part, [tens, ones] if (tens - b'0') * 10 + (ones - b'0') <= limit))
        && !date.contains('-')
        && Day::parse(date).is_ok_and(|day| day.number() > 0)
}

/// A host name or address, one of IPv6 in brackets, then a port or `*`.
fn is_host_and_port(text: &str) -> bool {
    let host = match text.strip_prefix('[') {
        Some(address) => address.find(']').map(|end| end + 2),
        None => text.find([':', '/']),
    };
    let Some((host, port)) = host.and_then(|end| text.split_at_checked(end)) else { return false };
    host.len() < 1025 && port.strip_prefix([':', '/']).is_some_and(is_port)
}

/// A number, `*`, or a word that services(5) may know.
fn is_port(text: &str) -> bool {
    let service = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+'))
    };
    text == "*" || service(text) || (is_number(text, 65535) && !text.bytes().all(|b| b == b'0'))
}

fn is_number(text: &str, largest: u32) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse().is_ok_and(|number: u32| number <= largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_sshd_takes_are_taken() {
        for (options, expected) in [
            ("", vec![]),
            ("restrict", vec!["restrict"]),
            ("RESTRICT,Pty,no-user-rc", vec!["restrict", "pty", "no-user-rc"]),
            ("restrict,", vec!["restrict"]),
            (r#"command="echo \"a, b\" = c",no-pty"#, vec!["command", "no-pty"]),
            (r#"from="10.0.0.0/8,!10.1.*,*.example.org""#, vec!["from"]),
            (
                r#"expiry-time="20990101",expiry-time="209901012359Z",expiry-time="20990101utc",expiry-time="20990101235960""#,
                vec!["expiry-time"; 4],
            ),
            (r#"environment="PATH=/x=y",environment="A=""#, vec!["environment"; 2]),
            (r#"permitopen="h:22",permitopen="[::1]:*",permitopen="h:ssh",permitopen="h/80""#, vec!["permitopen"; 4]),
            (r#"permitlisten="8080",permitlisten="localhost:8080""#, vec!["permitlisten"; 2]),
            (
                r#"tunnel="0",tunnel="any",principals="a,b",cert-authority"#,
                vec!["tunnel", "tunnel", "principals", "cert-authority"],
            ),
            (r#"command="""#, vec!["command"]),
            (r#"command="C:\dir\x""#, vec!["command"]),
        ] {
            assert_eq!(names(options).unwrap(), expected, "{options}");
        }
    }

    #[test]
    fn options_that_sshd_refuses_are_refused() {
        for options in [
            "hello",
            "restrictive",
            "no-restrict",
            "no-cert-authority",
            "pty=yes",
            "command",
            "command=ls",
            r#"command="ls"#,
            r#"command="ls\""#,
            r#"command="C:\dir\\""#,
            r#"command="ls"x"#,
            r#"command="a",command="b""#,
            r#"from="a",FROM="b""#,
            r#"expiry-time="2099-01-01""#,
            r#"expiry-time="20990230""#,
            r#"expiry-time="2099010124""#,
            r#"expiry-time="209901012460""#,
            r#"expiry-time="2099010123599""#,
            r#"expiry-time="19700101""#,
            r#"expiry-time="""#,
            r#"environment="PATH""#,
            r#"environment="=x""#,
            r#"environment="LD PRELOAD=x""#,
            r#"permitopen="h""#,
            r#"permitopen="8080""#,
            r#"permitopen="h:0""#,
            r#"permitopen="h:65536""#,
            r#"permitopen="[::1:22""#,
            r#"permitopen="[::1]22""#,
            r#"permitopen="é:22é""#,
            r#"tunnel="x""#,
            r#"tunnel="2147483646""#,
            "=",
            "\"",
            "é",
        ] {
            assert!(names(options).is_err(), "{options}");
        }
    }

    #[test]
    fn options_end_at_the_first_blank_outside_quotes() {
        for (line, expected) in [
            ("restrict ssh-rsa", Some(8)),
            ("restrict\tssh-rsa", Some(8)),
            (r#"command="a b" ssh"#, Some(13)),
            (r#"command="a \" b" ssh"#, Some(16)),
            ("restrict", Some(8)),
            (r#"command="a b"#, None),
            ("\\", Some(1)),
        ] {
            assert_eq!(length(line), expected, "{line}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_quoted() {
        let body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW";
        assert!(!names(body).unwrap_err().contains("b3B"));
        assert!(names("restricted").unwrap_err().contains("\"restricted\""));
    }
}
