//! sshd_config(5): what of it decides whether keys in `~/.ssh/authorized_keys` let anybody in.

use super::SshdAccess;

/// How deep files may include files, as in sshd (`SERVCONF_MAX_DEPTH`).
const MAX_DEPTH: u32 = 16;

/// The settings that hold outside `Match` blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshdConfig {
    /// Where sshd looks for keys, with `%u`, `%h` and the like as they stand; empty for `none`.
    pub authorized_keys_file: Vec<String>,
    /// Without PAM a locked password also locks out keys, and nobody checks expiry but sshd.
    pub use_pam: bool,
    /// Whether owners and modes of the home and of the file are checked.
    pub strict_modes: bool,
    /// A program that is asked for keys besides, with its arguments.
    pub authorized_keys_command: Option<String>,
    /// Whether keys are taken at all.
    pub pubkey_authentication: bool,
    /// Whom it lets in by name.
    pub access: SshdAccess,
}

impl Default for SshdConfig {
    fn default() -> Self {
        Given::default().config()
    }
}

/// What the files say, before defaults.
#[derive(Default)]
struct Given {
    authorized_keys_file: Option<Vec<String>>,
    use_pam: Option<bool>,
    strict_modes: Option<bool>,
    authorized_keys_command: Option<String>,
    pubkey_authentication: Option<bool>,
    access: SshdAccess,
}

impl Given {
    fn config(self) -> SshdConfig {
        let default_files = || vec![".ssh/authorized_keys".to_owned(), ".ssh/authorized_keys2".to_owned()];
        let mut files = self.authorized_keys_file.unwrap_or_else(default_files);
        files.retain(|file| !file.eq_ignore_ascii_case("none"));
        SshdConfig {
            authorized_keys_file: files,
            use_pam: self.use_pam.unwrap_or(false),
            strict_modes: self.strict_modes.unwrap_or(true),
            authorized_keys_command: self.authorized_keys_command.filter(|text| !text.eq_ignore_ascii_case("none")),
            pubkey_authentication: self.pubkey_authentication.unwrap_or(true),
            access: self.access,
        }
    }

    /// Reads one file. A `Match` block in an included file ends with that file.
    fn read(&mut self, bytes: &[u8], include: &mut dyn FnMut(&str) -> Vec<Vec<u8>>, depth: u32) {
        let mut is_global = true;
        for line in bytes.split(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            let (keyword, rest) = split_keyword(&line);
            let keyword = keyword.to_ascii_lowercase();
            let arguments = arguments(rest);
            if keyword == "match" {
                is_global = matches!(&arguments[..], [all] if all.eq_ignore_ascii_case("all"));
                continue;
            }
            let Some(first) = arguments.first().filter(|_| is_global) else { continue };
            match keyword.as_str() {
                "include" if depth < MAX_DEPTH => {
                    for pattern in &arguments {
                        let relative = if pattern.starts_with('/') { "" } else { "/etc/ssh/" };
                        for file in include(&format!("{relative}{pattern}")) {
                            self.read(&file, include, depth + 1);
                        }
                    }
                }
                "authorizedkeysfile" => {
                    self.authorized_keys_file.get_or_insert(arguments);
                }
                "authorizedkeyscommand" => {
                    self.authorized_keys_command.get_or_insert_with(|| rest.to_owned());
                }
                "usepam" => keep_first(&mut self.use_pam, first),
                "strictmodes" => keep_first(&mut self.strict_modes, first),
                "pubkeyauthentication" => keep_first(&mut self.pubkey_authentication, first),
                _ => self.access.take(&keyword, &arguments),
            }
        }
    }
}

impl SshdConfig {
    /// Reads `/etc/ssh/sshd_config`. `include` gives the contents of the files that a pattern stands for, sorted by
    /// name; the pattern is an absolute path with glob(7) wildcards. Lines that sshd would refuse are passed over.
    pub fn parse(main: &[u8], mut include: impl FnMut(&str) -> Vec<Vec<u8>>) -> Self {
        let mut given = Given::default();
        given.read(main, &mut include, 0);
        given.config()
    }
}

fn keep_first(setting: &mut Option<bool>, value: &str) {
    let flag = match value.to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    *setting = setting.or(flag);
}

/// The keyword, and what follows it after blanks and at most one `=`.
fn split_keyword(line: &str) -> (&str, &str) {
    let line = line.trim_matches(is_space);
    let end = line.find(|c| is_space(c) || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(is_space);
    (keyword, rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(is_space))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\x0c')
}

/// sshd's `argv_split`: blanks part, quotes of either kind hold together, `#` at the start of a word ends the line.
fn arguments(rest: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut chars = rest.chars().peekable();
    loop {
        while chars.next_if(|&c| is_space(c)).is_some() {}
        if matches!(chars.peek(), None | Some('#')) {
            return all;
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next_if(|&c| quote.is_some() || !is_space(c)) {
            match c {
                '\\' => {
                    let escaped = |&c: &char| matches!(c, '\'' | '"' | '\\') || (c == ' ' && quote.is_none());
                    word.push(chars.next_if(escaped).unwrap_or(c));
                }
                '\'' | '"' if quote.is_none() => quote = Some(c),
                _ if quote == Some(c) => quote = None,
                _ => word.push(c),
            }
        }
        all.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(main: &str) -> SshdConfig {
        SshdConfig::parse(main.as_bytes(), |_| Vec::new())
    }

    #[test]
    fn nothing_said_is_what_sshd_does() {
        let config = parse("# UsePAM yes\n\n   \n");
        assert_eq!(config.authorized_keys_file, [".ssh/authorized_keys", ".ssh/authorized_keys2"]);
        assert!(!config.use_pam && config.strict_modes && config.pubkey_authentication);
        assert_eq!(config.authorized_keys_command, None);
    }

    #[test]
    fn every_way_to_write_a_setting() {
        for line in
            ["UsePAM yes", "usepam=YES", "\tUSEPAM = \"yes\" # really", "UsePAM yes\r", "UsePAM\tyes #", "UsePAM 'yes'"]
        {
            assert!(parse(line).use_pam, "{line}");
        }
        for line in ["UsePAM", "UsePAM no", "UsePAM maybe", "#UsePAM yes", "Use PAM yes", "UsePAMyes"] {
            assert!(!parse(line).use_pam, "{line}");
        }
    }

    #[test]
    fn the_first_value_counts() {
        let config = parse(
            "StrictModes no\nStrictModes yes\nAuthorizedKeysFile /keys/%u \"/more keys/%u\"\nAuthorizedKeysFile x",
        );
        assert!(!config.strict_modes);
        assert_eq!(config.authorized_keys_file, ["/keys/%u", "/more keys/%u"]);
    }

    #[test]
    fn none_is_nothing() {
        let config = parse("AuthorizedKeysFile none\nAuthorizedKeysCommand None\nAuthorizedKeysCommand /bin/x");
        assert_eq!((config.authorized_keys_file.len(), config.authorized_keys_command), (0, None));
        let config = parse("AuthorizedKeysCommand /opt/keys --user %u");
        assert_eq!(config.authorized_keys_command.as_deref(), Some("/opt/keys --user %u"));
    }

    #[test]
    fn match_blocks_do_not_count_but_match_all_does() {
        let config =
            parse("Match User eve\nPubkeyAuthentication no\nMatch all\nUsePAM yes\nMatch Group x\nStrictModes no");
        assert!(config.pubkey_authentication && config.use_pam && config.strict_modes);
    }

    #[test]
    fn included_files_come_where_they_are_named() {
        let mut asked = Vec::new();
        let main =
            b"Include sshd_config.d/*.conf /opt/b\nUsePAM no\nStrictModes no\nMatch all\nMatch User x\nInclude never";
        let config = SshdConfig::parse(main, |pattern| {
            asked.push(pattern.to_owned());
            match pattern {
                "/etc/ssh/sshd_config.d/*.conf" => {
                    vec![b"UsePAM yes\nMatch User a".to_vec(), b"StrictModes yes".to_vec()]
                }
                _ => Vec::new(),
            }
        });
        assert_eq!(asked, ["/etc/ssh/sshd_config.d/*.conf", "/opt/b"]);
        assert!(config.use_pam && config.strict_modes);
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let mut count = 0;
        SshdConfig::parse(b"Include a", |_| {
            count += 1;
            vec![b"Include a".to_vec()]
        });
        assert_eq!(count, 16);
    }
}
