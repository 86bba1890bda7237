//! Into the background without fork(2), which a program without unsafe code cannot call: the program starts itself
//! again, and waits until that second process runs or says why it cannot.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::error::{Context, Error, ErrorKind, exit};
use crate::host;

/// Tells the second process that it is one: its value is the process id of the first, so that what the daemon itself
/// starts, which inherits the variable, does not take it for its own.
const ROLE: &str = "DDUM_STARTED_BY";

/// What the second process says when it runs.
const READY: &str = "ready";

/// The longest start: reading a file and locking another, on a machine that is busy booting.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest message of the second process.
const LONGEST: u64 = 64 << 10;

/// Whether this process is the second one.
pub(super) fn is_second() -> bool {
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    parent.is_some_and(|parent| std::env::var_os(ROLE).is_some_and(|role| role == OsStr::new(&parent)))
}

/// In the first process: starts the second one with the same arguments, and returns when that runs.
pub(super) fn start() -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        Err(error)
            .context(ErrorKind::Internal, "cannot start the daemon in the background; -f keeps it in the foreground")
    };
    // Before anything of ours is open.
    host::close_inherited();
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "ddum".into());
    let child = Command::new("/proc/self/exe")
        .arg0(name)
        .args(arguments)
        .env(ROLE, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return failed(error),
    };
    let message = match first_words(&mut child) {
        Ok(message) => message,
        Err(error) => {
            end(&mut child);
            return failed(error);
        }
    };
    match message.as_deref().map(str::trim_end) {
        Some(READY) => Ok(()),
        Some(words) => {
            // Whoever ignores SIGCHLD is not told how a child ended.
            let ended = child.wait().map_or_else(|_| String::new(), |status| format!(": {status}"));
            let (status, words) = words.split_once(' ').unwrap_or_default();
            let kind = match status.parse() {
                Ok(exit::USAGE) => ErrorKind::Config,
                Ok(exit::TRY_LATER) => ErrorKind::Busy,
                Ok(_) => ErrorKind::File,
                Err(_) => return Err(Error::new(ErrorKind::File, format!("the daemon ended at its start{ended}"))),
            };
            Err(Error::new(kind, words))
        }
        None => {
            end(&mut child);
            let patience = PATIENCE.as_secs();
            Err(Error::new(ErrorKind::Internal, format!("the daemon did not start within {patience} s and was killed")))
        }
    }
}

/// Half a daemon would hold the pidfile against the next one.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// What the second process says until it ends the line or its output; `None` when it says nothing in time.
fn first_words(child: &mut Child) -> std::io::Result<Option<String>> {
    let Some(output) = child.stdout.take() else { return Ok(None) };
    let (sender, receiver) = mpsc::channel();
    // On a thread, which may be left behind: reading has no deadline.
    std::thread::Builder::new().name("ddum-start".to_owned()).spawn(move || {
        let mut words = Vec::new();
        // What came before an error is all there is.
        let _ = BufReader::new(output.take(LONGEST)).read_until(b'\n', &mut words);
        let _ = sender.send(String::from_utf8_lossy(&words).into_owned());
    })?;
    Ok(receiver.recv_timeout(PATIENCE).ok())
}

/// In the second process: leaves the terminal and the directory of the first.
pub(super) fn leave() -> Result<(), Error> {
    // The name of /proc/self/exe is "exe", and that is what ps(1) and pkill(1) would see.
    let _ = rustix::thread::set_name(c"ddum");
    rustix::process::setsid().context(ErrorKind::Internal, "cannot leave the session of the terminal")?;
    std::env::set_current_dir("/").at("cannot change to", "/")
}

/// In the second process: tells the first one that the daemon runs, and lets go of its streams.
pub(super) fn report_ready() -> Result<(), Error> {
    say(READY);
    host::detach_streams()
}

/// In the second process: tells the first one why the daemon does not run, and with which exit status.
pub(super) fn report(error: &Error) {
    say(&format!("{} {error}", error.exit_status()));
}

fn say(words: &str) {
    let mut output = std::io::stdout().lock();
    // If the first process was killed meanwhile, nobody wants to know.
    let _ = output.write_all(words.as_bytes()).and_then(|()| output.write_all(b"\n")).and_then(|()| output.flush());
}
