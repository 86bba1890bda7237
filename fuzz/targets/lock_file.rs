//! Any bytes as a lock file of shadow-utils and as a pidfile: the first keeps an update away only when it names a process
//! that lives, and stays as it is; the second, which nobody locks, is taken over.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use ddum::error::ErrorKind;
use ddum::host::{NewFiles, Pidfile, Root, Stop, update_accounts};
use libfuzzer_sys::fuzz_target;

static TREE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let tree = folder.join(format!("ddum-fuzz-{}", std::process::id()));
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::create_dir_all(tree.join("run")).unwrap();
    for file in ["passwd", "shadow", "group", "gshadow"] {
        fs::write(tree.join("etc").join(file), "root:x:0:0:::\n").unwrap();
    }
    tree
});

fuzz_target!(|bytes: &[u8]| {
    let (lock, pidfile) = (TREE.join("etc/passwd.lock"), TREE.join("run/ddum.pid"));
    fs::write(&lock, bytes).unwrap();
    fs::write(&pidfile, bytes).unwrap();
    let root = Root::open(&TREE).unwrap();
    let files = NewFiles { passwd: Some(b"root:x:0:0:::\n".to_vec()), ..NewFiles::default() };
    let done = update_accounts(&root, Duration::from_secs(5), &Stop::default(), |_| Ok((files.clone(), ())));
    if let Err(error) = done {
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(!error.to_string().contains(char::is_control), "{error}");
        let text = std::str::from_utf8(bytes).unwrap().trim_end_matches(['\0', '\n']);
        assert!(Path::new("/proc").join(text.trim_start_matches('0')).exists(), "{error}");
    }
    assert_eq!(fs::read(&lock).unwrap(), bytes);
    let held = Pidfile::take(&root, Path::new("/run/ddum.pid")).unwrap();
    assert_eq!(fs::read_to_string(&pidfile).unwrap(), format!("{}\n", std::process::id()));
    drop(held);
    assert!(!pidfile.exists());
});
