//! login.defs(5): the few settings that decide what useradd would have done.

/// What is of interest in `/etc/login.defs`; the defaults are those of useradd(8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginDefs {
    /// First uid of ordinary users.
    pub uid_min: u32,
    /// Last uid that useradd gives out by itself.
    pub uid_max: u32,
    /// First gid of ordinary groups.
    pub gid_min: u32,
    /// Last gid that groupadd gives out by itself.
    pub gid_max: u32,
    /// First uid of system users that useradd gives out by itself.
    pub sys_uid_min: u32,
    /// Last one; `uid_min - 1` where the file does not say.
    pub sys_uid_max: u32,
    /// First gid of system groups that groupadd gives out by itself.
    pub sys_gid_min: u32,
    /// Last one; `gid_min - 1` where the file does not say.
    pub sys_gid_max: u32,
    /// Mode of new homes, at most 07777.
    pub home_mode: Option<u32>,
    /// Bits that new homes lack when there is no mode for them, at most 0777.
    pub umask: Option<u32>,
    /// Members after which the shadow tools split a line of group; 0 for never.
    pub max_members_per_group: u32,
}

impl Default for LoginDefs {
    fn default() -> Self {
        Self {
            uid_min: 1000,
            uid_max: 60000,
            gid_min: 1000,
            gid_max: 60000,
            sys_uid_min: 101,
            sys_uid_max: 999,
            sys_gid_min: 101,
            sys_gid_max: 999,
            home_mode: None,
            umask: None,
            max_members_per_group: 0,
        }
    }
}

impl LoginDefs {
    /// Reads the file. What cannot be understood counts as not there; of two values the last counts, as for useradd.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut defs = Self::default();
        let (mut sys_uid_max, mut sys_gid_max) = (None, None);
        for line in bytes.split(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            let mut words = line.split(|c: char| c.is_whitespace() || c == '"').filter(|word| !word.is_empty());
            let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
            // useradd takes no comment after a value, but people write them; the number before one is what they mean.
            let value = value.split('#').next().unwrap_or_default();
            let set = |setting: &mut u32| *setting = number(value).unwrap_or(*setting);
            match key {
                "UID_MIN" => set(&mut defs.uid_min),
                "UID_MAX" => set(&mut defs.uid_max),
                "GID_MIN" => set(&mut defs.gid_min),
                "GID_MAX" => set(&mut defs.gid_max),
                "SYS_UID_MIN" => set(&mut defs.sys_uid_min),
                "SYS_UID_MAX" => sys_uid_max = number(value).or(sys_uid_max),
                "SYS_GID_MIN" => set(&mut defs.sys_gid_min),
                "SYS_GID_MAX" => sys_gid_max = number(value).or(sys_gid_max),
                "HOME_MODE" => defs.home_mode = mode(value, 0o7777).or(defs.home_mode),
                "UMASK" => defs.umask = mode(value, 0o777).or(defs.umask),
                "MAX_MEMBERS_PER_GROUP" => set(&mut defs.max_members_per_group),
                _ => {}
            }
        }
        defs.sys_uid_max = sys_uid_max.unwrap_or(defs.uid_min.saturating_sub(1));
        defs.sys_gid_max = sys_gid_max.unwrap_or(defs.gid_min.saturating_sub(1));
        defs
    }

    /// The mode of a new home, as useradd(8) derives it, but closed to others where the file says nothing.
    #[must_use]
    pub fn new_home_mode(&self) -> u32 {
        self.home_mode.or(self.umask.map(|umask| 0o777 & !umask)).unwrap_or(0o700)
    }
}

/// strtol(3) to base 0, without a sign.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, radix).ok() }
}

/// Always octal, as pam_umask(8) reads it: nobody who writes `700` means what useradd makes of it, 01274.
fn mode(text: &str, limit: u32) -> Option<u32> {
    if text.starts_with('+') { None } else { u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= limit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_people_write_them() {
        let defs = LoginDefs::parse(
            b"# UID_MIN 1\nUID_MIN\t\t\t 500 # old hosts\nUID_MAX 0xEA60\nGID_MIN \"2000\"\r\n GID_MAX 07777\n\
              UMASK 077#private\nHOME_MODE\t0750\nSYS_UID_MIN -1\nUID_MINIMUM 7\nGID_MAX\n\xff\xfe 1\nCREATE_HOME yes",
        );
        let expected = LoginDefs {
            uid_min: 500,
            uid_max: 60000,
            gid_min: 2000,
            gid_max: 0o7777,
            sys_uid_max: 499,
            sys_gid_max: 1999,
            home_mode: Some(0o750),
            umask: Some(0o077),
            ..LoginDefs::default()
        };
        assert_eq!(defs, expected);
    }

    #[test]
    fn the_last_value_counts_unless_it_is_nonsense() {
        let defs = LoginDefs::parse(b"UID_MIN 1\nUID_MIN 2\nUID_MIN abc\nHOME_MODE 99\nMAX_MEMBERS_PER_GROUP 50\n");
        assert_eq!((defs.uid_min, defs.home_mode, defs.max_members_per_group), (2, None, 50));
    }

    #[test]
    fn the_mode_of_a_home() {
        for (text, mode) in [
            ("", 0o700),
            ("UMASK 022", 0o755),
            ("UMASK 27", 0o750),
            ("UMASK 022\nHOME_MODE 700", 0o700),
            ("HOME_MODE 02750", 0o2750),
            ("HOME_MODE 0x1ff", 0o700),
        ] {
            assert_eq!(LoginDefs::parse(text.as_bytes()).new_home_mode(), mode, "{text}");
        }
    }
}
