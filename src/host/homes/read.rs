//! What is in homes, for those who only ask. As everywhere here, a home is looked at as its user.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::super::identity::Identity;
use super::super::{Demand, Dir, Root, Stop};
use super::existing::KEYS;
use super::groups::Memberships;
use super::pool::{Answer, Hand};
use super::ssh_dir::SSH;
use super::{Settings, cannot, shown};
use crate::error::Error;

/// The largest file of keys that is read.
const LIMIT: u64 = 1024 * 1024;

/// What some versions of sshd read besides.
const SECOND: &str = "authorized_keys2";

/// Whose home to look at.
#[derive(Clone, Copy, Debug)]
pub struct HomeOf<'a> {
    /// The user's name, by which groups have members.
    pub name: &'a str,
    /// The user's uid.
    pub uid: u32,
    /// The user's primary gid.
    pub gid: u32,
    /// The home directory, an absolute path of the tree.
    pub home: &'a str,
}

/// What was found there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HomeLook {
    /// Whether there is such a directory, as far as the user can see.
    pub exists: bool,
    /// What `.ssh/authorized_keys` holds; `None` when there is none, or `trouble` says why it was not read.
    pub keys: Option<Vec<u8>>,
    /// Why nothing can be said of the keys.
    pub trouble: Option<String>,
    /// Why sshd may not take the keys, or ddum may not write them. One line each.
    pub doubts: Vec<String>,
    /// Whether there is an `authorized_keys2`.
    pub has_second: bool,
}

/// Looks at homes: one answer each, in the same order, whatever is in them. Changes nothing.
///
/// # Errors
/// When the root cannot be opened again.
pub fn look(root: &Root, homes: &[HomeOf<'_>], stop: &Stop) -> Result<Vec<HomeLook>, Error> {
    let settings = Settings::default();
    let tree = root.duplicate()?;
    let memberships = Memberships::read(root);
    let jobs = homes.iter().map(|of| {
        let who = Identity { uid: of.uid, gid: of.gid };
        (Arc::from(of.home), (who, memberships.of(of.name), PathBuf::from(of.home)))
    });
    let pool = settings.pool(settings.limit, root.is_superuser(), stop);
    let answers = pool.run(jobs.collect(), move |(who, groups, home): (Identity, Vec<u32>, PathBuf), hand: &Hand| {
        let owner = if tree.is_superuser() { who.uid } else { tree.own_uid() };
        let visit = Visit { root: &tree, owner };
        let looked = hand.acting_as(who, &groups, || visit.look(&home));
        looked.unwrap_or_else(|errno| trouble(format!("cannot act as uid {}: {errno}", who.uid)))
    });
    let limit = settings.limit.as_secs();
    let told = |answer| match answer {
        Answer::Done(look) => look,
        Answer::Silent | Answer::StillSilent => trouble(format!("the home did not answer within {limit} s")),
        Answer::NotTried => trouble("too many homes do not answer: not tried".to_owned()),
        Answer::Stopped => trouble("told to stop".to_owned()),
    };
    Ok(answers.into_iter().map(told).collect())
}

fn trouble(why: String) -> HomeLook {
    HomeLook { trouble: Some(why), ..HomeLook::default() }
}

struct Visit<'a> {
    root: &'a Root,
    owner: u32,
}

impl Visit<'_> {
    fn look(&self, path: &Path) -> HomeLook {
        let mut look = HomeLook::default();
        if let Err(why) = self.walk(path, &mut look) {
            look.trouble = Some(why);
        }
        look
    }

    fn walk(&self, path: &Path, look: &mut HomeLook) -> Result<(), String> {
        let home = match self.root.try_walk(path, Demand::TrustedLinks).map_err(|error| error.to_string())? {
            Ok(home) => home,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => {
                return Err(match self.owner_of(path) {
                    Some(owner) if owner != self.owner => {
                        let path = shown(&self.root.display(path));
                        format!("{path} belongs to uid {owner}, not to uid {}, who may not open it", self.owner)
                    }
                    _ => cannot("open the home", &self.root.display(path), errno),
                });
            }
        };
        look.exists = true;
        let stat = home.stat().map_err(|errno| cannot("look at", home.own_path(), errno))?;
        self.judge(home.own_path(), &stat, look)?;
        if stat.st_uid != self.owner {
            look.doubts.push(format!("{} belongs to root, so ddum writes no keys there", shown(home.own_path())));
        }
        let ssh = match home.open_dir(SSH) {
            Ok(ssh) => ssh,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(strange(&home, SSH, errno)),
        };
        let stat = ssh.stat().map_err(|errno| cannot("look at", ssh.own_path(), errno))?;
        self.judge(ssh.own_path(), &stat, look)?;
        look.has_second = ssh.stat_child(SECOND).is_ok();
        match ssh.read_file(KEYS, LIMIT) {
            Ok((bytes, stat)) => {
                self.judge(&ssh.path(KEYS), &stat, look)?;
                look.keys = Some(bytes);
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(strange(&ssh, KEYS, errno)),
        }
    }

    /// Whose a directory is that the user may not open, if he may open what it is in.
    fn owner_of(&self, path: &Path) -> Option<u32> {
        let parent = self.root.walk(path.parent()?, Demand::TrustedLinks).ok()?;
        parent.stat_child(path.file_name()?.to_str()?).ok().map(|stat| stat.st_uid)
    }

    /// As sshd's `secure_permissions`: the user's or root's, and nobody else writes in it.
    fn judge(&self, path: &Path, stat: &Stat, look: &mut HomeLook) -> Result<(), String> {
        let (path, mode) = (shown(path), stat.st_mode & 0o7777);
        if stat.st_uid != self.owner && stat.st_uid != 0 {
            return Err(format!("{path} belongs to uid {}, not to uid {}", stat.st_uid, self.owner));
        }
        if mode & 0o022 != 0 {
            let who = if mode & 0o002 != 0 { "everybody" } else { "its group" };
            look.doubts.push(format!(
                "{path} can be written by {who} (mode {mode:04o}): sshd takes no keys then (StrictModes)"
            ));
        }
        Ok(())
    }
}

/// Why something is not read that has the name of what should be.
fn strange(dir: &Dir, name: &str, errno: Errno) -> String {
    let path = dir.path(name);
    let is_link = |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    match errno {
        Errno::LOOP | Errno::NOTDIR if dir.stat_child(name).is_ok_and(is_link) => {
            format!("{} is a symbolic link, which is not followed", shown(&path))
        }
        Errno::NOTDIR => format!("{} is no directory", shown(&path)),
        Errno::INVAL | Errno::NXIO | Errno::ISDIR => format!("{} is no regular file", shown(&path)),
        Errno::FBIG => format!("{} has more than {LIMIT} bytes", shown(&path)),
        errno => cannot("read", &path, errno),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Tree;
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// What is found in a home that `prepare` filled, and whose files are ours.
    fn found(prepare: impl FnOnce(&Path)) -> HomeLook {
        let tree = Tree::new();
        let home = tree.path("home/ann");
        std::fs::create_dir_all(home.join(".ssh")).unwrap();
        prepare(&home);
        let id = rustix::process::geteuid().as_raw();
        let of = HomeOf { name: "ann", uid: id, gid: rustix::process::getegid().as_raw(), home: "/home/ann" };
        look(&tree.root(), &[of], &Stop::default()).unwrap().remove(0)
    }

    #[test]
    fn keys_are_read_and_what_stands_in_their_place_is_named_and_not_followed() {
        let plain = found(|home| std::fs::write(home.join(".ssh/authorized_keys"), "key\n").unwrap());
        assert_eq!((plain.exists, plain.keys.as_deref(), plain.trouble), (true, Some(&b"key\n"[..]), None));
        let none = found(|_| {});
        assert_eq!((none.exists, none.keys, none.trouble), (true, None, None));
        let gone = found(|home| std::fs::remove_dir_all(home).unwrap());
        assert_eq!((gone.exists, gone.keys, gone.trouble), (false, None, None));
        let link = found(|home| symlink("/etc/passwd", home.join(".ssh/authorized_keys")).unwrap());
        assert!(link.keys.is_none() && link.trouble.unwrap().contains("symbolic link"));
        let fifo = found(|home| {
            let path = home.join(".ssh/authorized_keys");
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        });
        assert!(fifo.trouble.unwrap().contains("no regular file"));
        let file = found(|home| {
            std::fs::remove_dir(home.join(".ssh")).unwrap();
            std::fs::write(home.join(".ssh"), "").unwrap();
        });
        assert!(file.trouble.unwrap().contains("no directory"));
        let away = found(|home| {
            std::fs::rename(home.join(".ssh"), home.join("away")).unwrap();
            symlink("away", home.join(".ssh")).unwrap();
        });
        assert!(away.trouble.unwrap().contains("symbolic link"));
        let huge = found(|home| std::fs::write(home.join(".ssh/authorized_keys"), vec![b'x'; 1 << 21]).unwrap());
        assert!(huge.trouble.unwrap().contains("more than"));
    }

    #[test]
    fn what_sshd_would_not_take_is_doubted() {
        let open = found(|home| std::fs::set_permissions(home, PermissionsExt::from_mode(0o775)).unwrap());
        assert!(open.doubts[0].contains("by its group (mode 0775)"), "{open:?}");
    }
}
