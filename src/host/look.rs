//! Looking at the machine, for those who only ask.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::{Demand, Root};
use crate::etc::matches;

/// Whether the absolute `path` of the tree, or what it links to, is a file with a bit to execute it.
#[must_use]
pub fn is_program(root: &Root, path: &Path) -> bool {
    let mut path = path.to_owned();
    for _ in 0..8 {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return false };
        let Some(name) = name.to_str() else { return false };
        let Ok(dir) = root.walk(parent, Demand::TrustedLinks) else { return false };
        let Ok(stat) = dir.stat_child(name) else { return false };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return stat.st_mode & 0o111 != 0,
            FileType::Symlink => {
                let Ok(target) = rustix::fs::readlinkat(&dir, name, Vec::new()) else { return false };
                let Ok(target) = target.into_string() else { return false };
                path = parent.join(target);
            }
            _ => return false,
        }
    }
    false
}

/// The files that the shell-like `pattern` of an `Include` of sshd_config(5) names, in order: `*` and `?` in the last
/// component, a relative pattern below `base`.
#[must_use]
pub fn matching(root: &Root, base: &Path, pattern: &str) -> Vec<PathBuf> {
    let pattern = base.join(pattern);
    let (Some(parent), Some(last)) = (pattern.parent(), pattern.file_name().and_then(|n| n.to_str())) else {
        return Vec::new();
    };
    let Ok(dir) = root.walk(parent, Demand::TrustedLinks) else { return Vec::new() };
    let mut names: Vec<String> = dir
        .names(4096)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .filter(|name| matches(last.as_bytes(), name.as_bytes()) && (last.starts_with('.') || !name.starts_with('.')))
        .collect();
    names.sort_unstable();
    names.into_iter().map(|name| parent.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn an_include_pattern_matches_as_the_shell_would() {
        for (pattern, name, want) in [
            ("*.conf", "50-cloud.conf", true),
            ("*.conf", "50-cloud.conf~", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("a*b*c", "a1b2c", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), want, "{pattern} {name}");
        }
    }
}
