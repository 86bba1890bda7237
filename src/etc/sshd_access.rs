//! Whom sshd lets in by name: `AllowUsers` and its like of sshd_config(5).

/// The four lists; an empty one is as good as none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshdAccess {
    /// Patterns of users; others are refused, if there are any.
    pub allow_users: Vec<String>,
    /// Patterns of users that are refused.
    pub deny_users: Vec<String>,
    /// Patterns of groups; who is in none of them is refused, if there are any.
    pub allow_groups: Vec<String>,
    /// Patterns of groups whose members are refused.
    pub deny_groups: Vec<String>,
}

impl SshdAccess {
    /// Takes the arguments of a keyword, if it is one of the four. Several lines add up.
    pub(super) fn take(&mut self, keyword: &str, arguments: &[String]) {
        let list = match keyword {
            "allowusers" => &mut self.allow_users,
            "denyusers" => &mut self.deny_users,
            "allowgroups" => &mut self.allow_groups,
            "denygroups" => &mut self.deny_groups,
            _ => return,
        };
        list.extend_from_slice(arguments);
    }

    /// The keyword that keeps the user out, if one does. A pattern's host, after `@`, counts as any.
    #[must_use]
    pub fn refuses(&self, user: &str, groups: &[String]) -> Option<&'static str> {
        let names = |patterns: &[String], name: &str| {
            patterns.iter().any(|p| matches(p.split('@').next().unwrap_or_default().as_bytes(), name.as_bytes()))
        };
        let any = |patterns: &[String]| groups.iter().any(|group| names(patterns, group));
        // A denied host is not the user denied everywhere.
        let everywhere: Vec<String> = self.deny_users.iter().filter(|p| !p.contains('@')).cloned().collect();
        if names(&everywhere, user) {
            Some("DenyUsers")
        } else if !self.allow_users.is_empty() && !names(&self.allow_users, user) {
            Some("AllowUsers")
        } else if any(&self.deny_groups) {
            Some("DenyGroups")
        } else if !self.allow_groups.is_empty() && !any(&self.allow_groups) {
            Some("AllowGroups")
        } else {
            None
        }
    }
}

/// Whether a pattern with `*` and `?` matches the whole name, as sshd's match_pattern and the shell have it.
#[must_use]
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => matches(rest, name) || (!name.is_empty() && matches(pattern, &name[1..])),
        ([b'?', rest @ ..], [_, tail @ ..]) => matches(rest, tail),
        ([p, rest @ ..], [n, tail @ ..]) => p == n && matches(rest, tail),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::SshdConfig;

    #[test]
    fn the_lists_are_asked_in_sshds_order_and_add_up() {
        for (text, want) in [
            ("", None),
            ("AllowUsers bob\nAllowUsers ann", None),
            ("AllowUsers bob a?*@10.0.0.1", None),
            ("AllowUsers bob", Some("AllowUsers")),
            ("DenyUsers a*", Some("DenyUsers")),
            ("DenyUsers ann@10.0.0.1", None),
            ("AllowGroups wheel ops", None),
            ("AllowGroups wheel", Some("AllowGroups")),
            ("AllowUsers ann\nDenyGroups o*", Some("DenyGroups")),
            ("Match Group x\nAllowUsers bob", None),
        ] {
            let config = SshdConfig::parse(text.as_bytes(), |_| Vec::new());
            assert_eq!(config.access.refuses("ann", &["ann".to_owned(), "ops".to_owned()]), want, "{text}");
        }
    }
}
