//! nsswitch.conf(5): who is asked for a name, and in which order.

/// The sources of a database such as `passwd`, in order, without what is to be done between them; `files` alone where
/// the file says nothing, as glibc does since 2.34.
#[must_use]
pub fn sources(bytes: &[u8], database: &str) -> Vec<String> {
    for line in bytes.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.split('#').next().unwrap_or_default();
        let Some((name, rest)) = line.split_once(':') else { continue };
        if name.trim() != database {
            continue;
        }
        let mut sources = Vec::new();
        let mut in_action = false;
        for word in rest.replace('[', " [ ").replace(']', " ] ").split_whitespace() {
            match word {
                "[" => in_action = true,
                "]" => in_action = false,
                word if !in_action => sources.push(word.to_owned()),
                _ => {}
            }
        }
        return sources;
    }
    vec!["files".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::sources;

    #[test]
    fn sources_come_in_order_without_actions_and_comments() {
        let text = b"# passwd: x\n passwd :  sss [SUCCESS=return] files[!UNAVAIL=return]systemd # nis\nshadow:\n";
        assert_eq!(sources(text, "passwd"), ["sss", "files", "systemd"]);
        assert_eq!(sources(text, "shadow"), Vec::<String>::new());
        assert_eq!(sources(text, "group"), ["files"]);
    }
}
