//! Other processes, as far as a lock names them.

use nix::sys::signal::SigSet;
use rustix::fs::{Mode, Stat};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::error::printable;

/// `USER_HZ`, the unit of /proc/PID/stat's times: 100 on every architecture that we are built for (proc(5)).
const TICKS_PER_SECOND: u64 = 100;

/// More open files than threads at work on homes and connections ever have; the soft limit of most systems.
const DESCRIPTORS: u64 = 1024;

/// Keeps the memory of this process, hashes and keys in it, out of core files, and from other processes of its user.
pub fn keep_memory_private() {
    // A kernel that refuses does what it did before.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // The kernel forgets that whenever a thread takes another's ids, for what fs.suid_dumpable says. A limit of 0 keeps
    // no core from a program that core_pattern pipes it to; of all limits only 1 does (fs/coredump.c).
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) });
}

/// Gives new files the modes that they are made with, less what others than their owner may write, whatever umask the
/// caller has.
pub fn use_own_umask() {
    rustix::process::umask(Mode::from_raw_mode(0o022));
}

/// Lifts the limits of a login shell that a daemon which runs for years would die of.
pub fn lift_limits() {
    for (resource, wanted) in [(Resource::Fsize, None), (Resource::Cpu, None), (Resource::Nofile, Some(DESCRIPTORS))] {
        let Rlimit { current, maximum } = getrlimit(resource);
        let larger = |limit: Option<u64>| limit.zip(wanted).map(|(limit, wanted)| limit.max(wanted));
        let lifted = Rlimit { current: larger(current), maximum: larger(maximum) };
        // Who may not lift the hard limit goes up to it.
        let _ = setrlimit(resource, lifted).or_else(|_| setrlimit(resource, Rlimit { current: maximum, maximum }));
    }
}

/// Lets this thread, and those that it starts, hear signals that the caller blocked.
pub fn unblock_signals() {
    // It fails for an unknown way of changing the mask, and for nothing else.
    let _ = SigSet::empty().thread_set_mask();
}

/// Closes what the caller left open beside the standard streams: a process that stays in the background would keep a
/// pipe open whose end somebody waits for. Only for a process that has opened nothing yet.
pub fn close_inherited() {
    let listed = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let open: Vec<i32> = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // That of the list itself is closed already.
        let _ = nix::unistd::close(fd);
    }
}

/// Ends the processes that this thread started and that are still there, with theirs: a credential process that hangs
/// would outlive the scan that wanted its answer.
pub fn end_children() {
    end_listed("/proc/thread-self/children");
}

/// Where the kernel keeps no such lists (`CONFIG_PROC_CHILDREN`), nothing ends.
fn end_listed(list: &str) {
    let children = std::fs::read_to_string(list).unwrap_or_default();
    for child in children.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        let pid = child.as_raw_nonzero();
        // Before the child, whose own would be somebody else's then.
        end_listed(&format!("/proc/{pid}/task/{pid}/children"));
        // It may just have ended.
        let _ = rustix::process::kill_process(child, Signal::KILL);
    }
}

/// Whether a process has this id. One that we may not signal is alive too.
pub(super) fn is_alive(pid: i32) -> bool {
    // Zero and negative numbers mean process groups to kill(2).
    if pid <= 0 {
        return false;
    }
    Pid::from_raw(pid).is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH)))
        && !std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| is_zombie(&stat))
}

/// Whether /proc/PID/stat is that of a process which only waits for its parent. One whose first thread has ended, and
/// no other, still works.
fn is_zombie(stat: &str) -> bool {
    let words: Option<Vec<&str>> = stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect());
    let words = words.unwrap_or_default();
    words.first().is_some_and(|state| ["Z", "X"].contains(state))
        && words.get(17).is_none_or(|threads| ["0", "1"].contains(threads))
}

/// Whether a process has the flock(2) lock that somebody has on a file. Where the kernel does not tell who, any process
/// that is alive may.
pub(super) fn has_flock(pid: i32, inode: u64) -> bool {
    let table = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    match flock_holders(&table, inode)[..] {
        [] => is_alive(pid),
        ref holders => holders.contains(&pid),
    }
}

/// Not by the device: some file systems show another one there than to stat(2).
fn flock_holders(table: &str, inode: u64) -> Vec<i32> {
    let is_file = |at: &str| at.rsplit(':').next().is_some_and(|number| number.parse() == Ok(inode));
    held(table).filter(|(kind, _, at)| *kind == "FLOCK" && is_file(at)).map(|(_, pid, _)| pid).collect()
}

/// 16 hex digits for the name of a temporary file. The first 8 are our process id: so another run can tell whether the
/// file is left over without trusting its age, which a clock that was set would falsify.
pub(super) fn temporary_digits() -> String {
    format!("{:08x}{:08x}", std::process::id(), fastrand::u32(..))
}

/// Whether these are [`temporary_digits`] and whoever drew them is gone. A process that has the id by chance keeps the
/// file until a later run; our own id is that of an earlier daemon (in a container all have the same), because a run
/// looks before it makes anything in that directory.
pub(super) fn maker_is_gone(digits: &str) -> bool {
    if digits.len() != 16 || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return false;
    }
    let id = u32::from_str_radix(&digits[..8], 16).ok().and_then(|id| i32::try_from(id).ok());
    id.is_some_and(|id| id > 0 && (u32::try_from(id) == Ok(std::process::id()) || !is_alive(id)))
}

/// `process 4127 (vipw)`, or without the name where /proc does not tell it.
pub(super) fn describe(pid: i32) -> String {
    match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("process {pid} ({})", printable(name.trim_end())),
        Err(_) => format!("process {pid}"),
    }
}

/// When a process started, in seconds since 1970, give or take one; `None` where /proc does not tell.
pub(super) fn started(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let kernel = std::fs::read_to_string("/proc/stat").ok()?;
    let booted: u64 = kernel.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(booted + start_ticks(&stat)? / TICKS_PER_SECOND)
}

/// Field 22 of /proc/PID/stat. The name, field 2, may itself hold blanks and parentheses: count from its end.
fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The process that holds an fcntl(2) or flock(2) lock on a file, where the kernel tells: open file description locks,
/// which systemd takes, have no process.
pub(super) fn lock_holder(stat: &Stat) -> Option<i32> {
    let table = std::fs::read_to_string("/proc/locks").ok()?;
    holder_in(&table, rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev), stat.st_ino)
}

fn holder_in(table: &str, major: u32, minor: u32, inode: u64) -> Option<i32> {
    let place = format!("{major:02x}:{minor:02x}:{inode}");
    held(table).find(|(kind, _, at)| ["POSIX", "FLOCK"].contains(kind) && *at == place).map(|(_, pid, _)| pid)
}

/// The write locks of `/proc/locks` that a process holds: kind, process, and `major:minor:inode` of the file.
fn held(table: &str) -> impl Iterator<Item = (&str, i32, &str)> {
    table.lines().filter_map(|line| {
        // `1: POSIX  ADVISORY  WRITE 4127 fe:00:1234 0 EOF`; one that waits has `->` for its second word.
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.get(1..6) {
            Some([kind, _, "WRITE", pid, at]) => Some((*kind, pid.parse().ok().filter(|pid| *pid > 0)?, *at)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_start_time() {
        let stat = "42 (evil) S 1) R 1 42 42 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 987654 1000 50 1844";
        assert_eq!(start_ticks(stat), Some(987_654));
        assert_eq!(start_ticks("42 (x) R 1"), None);
    }

    #[test]
    fn we_are_alive_and_started_before_now() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(is_alive(own));
        assert!(!is_alive(0) && !is_alive(-1) && !is_alive(i32::MAX));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let started = started(own).unwrap();
        assert!(started <= now + 2 && now - started.min(now) < 86_400, "{started} {now}");
    }

    #[test]
    fn a_zombie_is_told_from_a_process_without_its_first_thread() {
        let stat =
            |state: &str, threads: u32| format!("42 (Z) Z) {state} 1 42 42 0 -1 4 1 0 0 0 0 0 0 0 20 0 {threads} 0 9");
        let told = [("Z", 1), ("Z", 0), ("X", 0), ("Z", 2), ("S", 1)].map(|(state, n)| is_zombie(&stat(state, n)));
        assert_eq!(told, [true, true, true, false, false]);
    }

    #[test]
    fn the_holder_of_a_flock_is_found_by_the_file() {
        let table = "1: FLOCK  ADVISORY  WRITE 5 fe:00:8 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 6 fe:00:8 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 7 fe:00:8 0 EOF\n3: FLOCK  ADVISORY  WRITE 8 00:1a:18 0 EOF\n";
        assert_eq!(
            [flock_holders(table, 8), flock_holders(table, 18), flock_holders(table, 1)],
            [vec![5], vec![8], vec![]]
        );
    }

    #[test]
    fn only_a_write_lock_that_is_held_has_a_holder() {
        let table = "1: OFDLCK ADVISORY  WRITE -1 fe:00:7 0 EOF\n2: POSIX  ADVISORY  READ  5 fe:00:8 0 EOF\n\
                     3: POSIX  ADVISORY  WRITE 6 fe:00:9 0 EOF\n3: -> POSIX  ADVISORY  WRITE 7 fe:00:10 0 EOF\n";
        let holder = |inode| holder_in(table, 0xfe, 0, inode);
        assert_eq!([holder(7), holder(8), holder(9), holder(10)], [None, None, Some(6), None]);
    }
}
