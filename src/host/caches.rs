//! Telling the name service caches that the account files are new. Nothing here may fail or delay an update: it comes
//! after the lock is released, every wait has an end, and what goes wrong is a remark.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::{Root, Stop};

const NSCD_SOCKET: &str = "/run/nscd/socket";
const SSSD_SOCKET: &str = "/var/lib/sss/pipes/nss";
const SSS_CACHE: &str = "/usr/sbin/sss_cache";

/// For how long nscd may take for all it is asked, and sss_cache(8) for its run.
const NSCD_LIMIT: Duration = Duration::from_secs(4);
const SSSD_LIMIT: Duration = Duration::from_secs(10);

/// How often a wait looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);

/// `NSCD_VERSION` and `INVALIDATE` of glibc's nscd-client.h.
const VERSION: i32 = 2;
const INVALIDATE: i32 = 10;

/// Has the users and groups that nscd(8) and sssd(8) remember forgotten. Only for this machine's own tree; where
/// neither runs, nothing is done. Takes 14 s at most, and ends early when `stop` is set. The answer is what went wrong.
pub fn flush(root: &Root, stop: &Stop) -> Vec<String> {
    let mut remarks = Vec::new();
    if !root.is_host() {
        return remarks;
    }
    if Path::new(NSCD_SOCKET).exists()
        && let Err(why) = flush_nscd(NSCD_SOCKET, NSCD_LIMIT, stop)
    {
        remarks.push(format!("nscd was not told of the new accounts: {why}"));
    }
    if Path::new(SSSD_SOCKET).exists()
        && Path::new(SSS_CACHE).exists()
        && let Err(why) = run(Command::new(SSS_CACHE).arg("-UG"), SSSD_LIMIT, stop)
    {
        remarks.push(format!("sssd was not told of the new accounts: {SSS_CACHE} {why}"));
    }
    remarks
}

/// Asks on nscd's own socket, as `nscd -i` does; no program is run.
fn flush_nscd(socket: &str, limit: Duration, stop: &Stop) -> Result<(), String> {
    let end = Instant::now() + limit;
    for database in ["passwd", "group"] {
        let mut stream = connect(socket).map_err(|e| e.to_string())?;
        let mut request = Vec::new();
        // With its final NUL, which the length counts.
        let length = i32::try_from(database.len() + 1).unwrap_or_default();
        for number in [VERSION, INVALIDATE, length] {
            request.extend_from_slice(&number.to_ne_bytes());
        }
        request.extend_from_slice(database.as_bytes());
        request.push(0);
        stream.write_all(&request).map_err(|e| e.to_string())?;
        let mut answer = [0; 4];
        let mut filled = 0;
        while filled < answer.len() {
            match stream.read(&mut answer[filled..]) {
                Ok(0) => return Err(format!("no answer for {database}")),
                Ok(count) => filled += count,
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) => {
                    if stop.is_set() || Instant::now() >= end {
                        return Err(format!("no answer for {database} within {limit:?}"));
                    }
                }
                Err(e) => return Err(e.to_string()),
            }
        }
        match i32::from_ne_bytes(answer) {
            0 => {}
            errno => return Err(format!("{database}: {}", std::io::Error::from_raw_os_error(errno))),
        }
    }
    Ok(())
}

/// Not `UnixStream::connect`: it waits without end for a server that accepts nobody.
fn connect(socket: &str) -> std::io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&fd, &SocketAddrUnix::new(socket)?)?;
    let stream = UnixStream::from(fd);
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(LOOK))?;
    Ok(stream)
}

fn run(command: &mut Command, limit: Duration, stop: &Stop) -> Result<(), String> {
    let end = Instant::now() + limit;
    let command = command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| format!("cannot be run: {e}"))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("ended with {status}")),
            Ok(None) if !stop.is_set() && Instant::now() < end => std::thread::sleep(LOOK),
            Ok(None) => {
                child.kill().map_err(|e| e.to_string())?;
                // Not wait: what hangs in the kernel does not die of a signal, and a zombie is the lesser evil.
                std::thread::sleep(LOOK);
                return Err(child.try_wait().map_or_else(|e| e.to_string(), |_| format!("took longer than {limit:?}")));
            }
            Err(e) => return Err(e.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Tree;
    use super::*;
    use std::os::unix::net::UnixListener;

    const SHORT: Duration = Duration::from_millis(200);

    #[test]
    fn nscd_is_asked_to_forget_users_and_groups() {
        let tree = Tree::new();
        let path = tree.path("etc/socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for length in [19, 18] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = vec![0; length];
                stream.read_exact(&mut request).unwrap();
                stream.write_all(&0_i32.to_ne_bytes()).unwrap();
                requests.push(request);
            }
            requests
        });
        flush_nscd(path.to_str().unwrap(), Duration::from_secs(10), &Stop::default()).unwrap();
        let requests = server.join().unwrap();
        let head = |length: i32| [2_i32.to_ne_bytes(), 10_i32.to_ne_bytes(), length.to_ne_bytes()].concat();
        assert_eq!(requests[0], [head(7), b"passwd\0".to_vec()].concat());
        assert_eq!(requests[1], [head(6), b"group\0".to_vec()].concat());
    }

    #[test]
    fn a_server_that_does_not_answer_or_accept_is_left_in_time() {
        let tree = Tree::new();
        let path = tree.path("etc/socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let started = Instant::now();
        let ask = |stop: &Stop, limit| flush_nscd(path.to_str().unwrap(), limit, stop);
        assert!(ask(&Stop::default(), SHORT).unwrap_err().contains("no answer for passwd within"));
        let stop = Stop::default();
        stop.set();
        ask(&stop, Duration::from_secs(60)).unwrap_err();
        // Until the queue of the listener is full.
        let waiting: Vec<_> = std::iter::from_fn(|| connect(path.to_str().unwrap()).ok()).take(10_000).collect();
        assert!(waiting.len() < 10_000);
        ask(&Stop::default(), SHORT).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_its_failure_told() {
        let run = |program: &str, limit| run(Command::new("/bin/sh").args(["-c", program]), limit, &Stop::default());
        run("exit 0", Duration::from_secs(20)).unwrap();
        assert!(run("exit 3", Duration::from_secs(20)).unwrap_err().contains("exit status: 3"));
        let started = Instant::now();
        assert!(run("exec sleep 60", SHORT).unwrap_err().contains("took longer"));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn another_tree_has_no_caches() {
        let tree = Tree::new();
        assert!(flush(&tree.root(), &Stop::default()).is_empty());
    }
}
