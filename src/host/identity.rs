//! Acting as a user on one thread: in a home the kernel itself then enforces what checks of ours would only intend.

use rustix::io::{Errno, Result};
use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// As whom to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The effective uid.
    pub uid: u32,
    /// The effective gid.
    pub gid: u32,
}

/// The right of the current thread to take and leave identities. A thread that has one gave up root's supplementary
/// groups for good, so it must be a thread of its own kind. Only effective ids change: with real and saved ids of root
/// the user can neither signal nor trace the thread (kill(2), ptrace(2)).
#[derive(Debug)]
pub(super) struct Actor {
    /// Whether we are root; an ordinary user stays what it is.
    switches: bool,
    groups: Result<()>,
    own: Uid,
}

impl Actor {
    /// Makes the current thread one that can act as others, when `switches`.
    pub(super) fn new(switches: bool) -> Self {
        let groups = if switches { set_thread_groups(&[]) } else { Ok(()) };
        Self { switches, groups, own: rustix::process::geteuid() }
    }

    /// Runs `f` as `who`, a member of `groups` too.
    ///
    /// # Errors
    /// What the kernel says when it does not let us take the identity (a container without the capability), and
    /// `ENOTRECOVERABLE` when root's capabilities stayed with it (securebits(7)). `f` was not run then.
    pub(super) fn acting_as<T>(&self, who: Identity, groups: &[u32], f: impl FnOnce() -> T) -> Result<T> {
        if !self.switches {
            return Ok(f());
        }
        self.groups?;
        let _back = Back;
        // From here on `_back` undoes what was done, in the opposite order, on every way out, a panic's included.
        set_thread_groups(&groups.iter().map(|gid| Gid::from_raw(*gid)).collect::<Vec<_>>())?;
        set_thread_res_gid(None, Gid::from_raw(who.gid), None)?;
        set_thread_res_uid(None, Uid::from_raw(who.uid), None)?;
        if who.uid != 0 && capabilities(None)?.effective != CapabilitySet::empty() {
            return Err(Errno::NOTRECOVERABLE);
        }
        Ok(f())
    }

    /// Whether the thread is itself again. One that is not must do nothing more.
    pub(super) fn is_itself(&self) -> bool {
        rustix::process::geteuid() == self.own
    }
}

/// Takes root's effective ids again, and leaves the groups.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        // The real and saved ids never left 0, so the kernel has no ground to refuse; [`Actor::is_itself`] looks.
        let _ = set_thread_res_uid(None, Uid::ROOT, None);
        let _ = set_thread_res_gid(None, Gid::ROOT, None);
        let _ = set_thread_groups(&[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_taken_on_one_thread_and_left_even_by_a_panic() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let who = Identity { uid: 61_234, gid: 61_235 };
        std::thread::spawn(move || {
            let actor = Actor::new(true);
            let seen = actor.acting_as(who, &[61_236], || {
                let other = std::thread::spawn(|| std::fs::read("/etc/shadow").is_ok());
                let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
                let groups = rustix::process::getgroups().unwrap();
                // A thread inherits the ids of the one that starts it: nothing may be started while acting.
                assert!(!other.join().unwrap());
                (ids, groups, rustix::process::getuid().as_raw(), std::fs::read("/etc/shadow").is_err())
            });
            assert_eq!(seen.unwrap(), ((61_234, 61_235), vec![Gid::from_raw(61_236)], 0, true));
            assert!(actor.is_itself());
            let panic =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| actor.acting_as(who, &[61_236], || panic!())));
            assert!(panic.is_err() && actor.is_itself());
            assert!(std::fs::read("/etc/shadow").is_ok());
            assert_eq!(rustix::process::getgroups().unwrap(), []);
        })
        .join()
        .unwrap();
        assert!(rustix::process::geteuid().is_root());
    }
}
