use std::cell::Cell;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::super::testing::{Beside, Tree, not_tested, sleeper};
use super::*;

const WAIT: Duration = Duration::from_secs(20);
const ALICE: &str = "alice:x:1000:1000::/home/alice:/bin/sh\n";

/// A plan that adds a line to each of the four files.
#[expect(clippy::needless_pass_by_value, reason = "it has the form of a plan")]
fn add_alice(files: AccountFiles) -> Result<(NewFiles, ()), Error> {
    let with = |old: &[u8], line: &str| Some([old, line.as_bytes()].concat());
    let new = NewFiles {
        gshadow: files.gshadow.as_ref().and_then(|old| with(old, "alice:!::\n")),
        group: with(&files.group, "alice:x:1000:\n"),
        shadow: with(&files.shadow, "alice:*:20000:0:99999:7:::\n"),
        passwd: with(&files.passwd, ALICE),
    };
    Ok((new, ()))
}

fn try_add(tree: &Tree) -> Result<Vec<String>, Error> {
    update(&tree.root(), WAIT, &Stop::default(), add_alice).map(|updated| updated.notes)
}

fn contents(tree: &Tree) -> Vec<Vec<u8>> {
    FILES.iter().map(|name| tree.read(&format!("etc/{name}"))).collect()
}

/// Runs `work` and says which names were given to a file in `etc` meanwhile, in order.
fn renames(tree: &Tree, work: impl FnOnce()) -> Vec<String> {
    let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&fd, tree.path("etc"), WatchFlags::MOVED_TO).unwrap();
    work();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(&fd, &mut buffer);
    let mut names = Vec::new();
    while let Ok(event) = reader.next() {
        assert!(event.events().contains(ReadFlags::MOVED_TO));
        names.push(event.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names
}

#[test]
fn backups_come_first_then_the_files_and_passwd_last() {
    let tree = Tree::with_accounts();
    let before = contents(&tree);
    let order = renames(&tree, || assert_eq!(try_add(&tree).unwrap(), Vec::<String>::new()));
    assert_eq!(order, ["gshadow-", "group-", "shadow-", "passwd-", "gshadow", "group", "shadow", "passwd"]);
    assert!(tree.read("etc/passwd").ends_with(ALICE.as_bytes()));
    for (name, old) in FILES.into_iter().zip(before) {
        assert_eq!(tree.read(&format!("etc/{name}-")), old, "{name}-");
        assert_eq!(tree.mode(&format!("etc/{name}-")), tree.mode(&format!("etc/{name}")), "{name}-");
    }
    assert_eq!(tree.names("etc").len(), 9, "{:?}", tree.names("etc"));
}

#[test]
fn a_plan_without_a_difference_writes_nothing() {
    let tree = Tree::with_accounts();
    let inodes = || FILES.map(|name| tree.inode(&format!("etc/{name}")));
    let before = inodes();
    let order = renames(&tree, || {
        let plan = |files: AccountFiles| {
            let same = NewFiles { passwd: Some(files.passwd.clone()), ..NewFiles::default() };
            assert!(!same.is_empty() && NewFiles::default().is_empty());
            Ok((same, 7))
        };
        assert_eq!(update(&tree.root(), WAIT, &Stop::default(), plan).unwrap().value, 7);
    });
    assert!(order.is_empty(), "{order:?}");
    assert_eq!(inodes(), before);
    assert_eq!(tree.names("etc"), [".pwd.lock", "group", "gshadow", "passwd", "shadow"]);
}

#[test]
fn only_what_changes_is_replaced_and_a_missing_gshadow_stays_missing() {
    let tree = Tree::with_accounts();
    std::fs::remove_file(tree.path("etc/gshadow")).unwrap();
    let order = renames(&tree, || {
        let plan = |files: AccountFiles| {
            assert_eq!(files.gshadow, None);
            add_alice(files).map(|(new, ())| (NewFiles { shadow: None, ..new }, ()))
        };
        update(&tree.root(), WAIT, &Stop::default(), plan).unwrap();
    });
    assert_eq!(order, ["group-", "passwd-", "group", "passwd"]);
    let plan = |_: AccountFiles| Ok((NewFiles { gshadow: Some(b"a:!::\n".to_vec()), ..NewFiles::default() }, ()));
    let error = update(&tree.root(), WAIT, &Stop::default(), plan).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(!tree.path("etc/gshadow").exists());
}

#[test]
fn mode_owner_attributes_and_access_list_are_carried_over() {
    let tree = Tree::with_accounts();
    let superuser = tree.root().is_superuser();
    let shadow = File::open(tree.path("etc/shadow")).unwrap();
    // An access list (acl(5)): version 2, then owner, user 1234, group, mask, others.
    let entry =
        |tag: u16, perm: u16, id: u32| [&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat();
    let none = u32::MAX;
    let entries = [entry(1, 6, none), entry(2, 4, 1234), entry(4, 4, none), entry(16, 4, none), entry(32, 0, none)];
    let list = [&2_u32.to_le_bytes()[..], &entries.concat()].concat();
    let mut want: Vec<(&str, Vec<u8>)> =
        vec![("user.comment", b"kept".to_vec()), ("system.posix_acl_access", list.clone())];
    if superuser {
        want.push(("security.selinux", b"system_u:object_r:shadow_t:s0\0".to_vec()));
        std::os::unix::fs::chown(tree.path("etc/shadow"), Some(0), Some(42)).unwrap();
    }
    want.retain(|(name, value)| {
        let set = rustix::fs::fsetxattr(&shadow, *name, value, rustix::fs::XattrFlags::empty());
        if let Err(errno) = set {
            not_tested(&format!("{name} cannot be set in {}: {errno}", std::env::temp_dir().display()));
        }
        set.is_ok()
    });
    // The directory would give an access list of its own to every new file.
    let etc = File::open(tree.path("etc")).unwrap();
    let inherited =
        rustix::fs::fsetxattr(&etc, "system.posix_acl_default", &list, rustix::fs::XattrFlags::empty()).is_ok();
    tree.set_mode("etc/gshadow", 0);
    tree.set_mode("etc/group", 0o755);
    let (mode, owner) = (tree.mode("etc/shadow"), tree.path("etc/shadow").metadata().unwrap().gid());
    let notes = match try_add(&tree) {
        Ok(notes) => notes,
        // Who is not root cannot read what has mode 0000.
        Err(error) => {
            assert!(!superuser && error.to_string().contains("gshadow: Permission denied"), "{error}");
            tree.set_mode("etc/gshadow", 0o400);
            try_add(&tree).unwrap()
        }
    };
    for name in ["etc/shadow", "etc/shadow-"] {
        let file = File::open(tree.path(name)).unwrap();
        for (attribute, value) in &want {
            let found = super::super::attributes::value(&file, attribute).unwrap();
            assert_eq!(&found, value, "{name} {attribute}");
        }
        let found = file.metadata().unwrap();
        assert_eq!((found.mode() & 0o7777, found.gid()), (mode, owner), "{name}");
    }
    assert_eq!(tree.mode("etc/gshadow") & 0o077, 0);
    assert_eq!(tree.mode("etc/group"), 0o644);
    assert!(notes.iter().any(|note| note.ends_with("etc/group: of the mode 0755, 0644 is kept")), "{notes:?}");
    if inherited {
        let passwd = File::open(tree.path("etc/passwd")).unwrap();
        let found = super::super::attributes::value(&passwd, "system.posix_acl_access");
        assert_eq!(found, Err(Errno::NODATA), "passwd got the directory's access list");
    }
}

#[test]
fn a_backup_is_a_file_of_its_own_with_the_old_times() {
    let tree = Tree::with_accounts();
    std::fs::hard_link(tree.path("etc/passwd"), tree.path("etc/passwd-")).unwrap();
    std::fs::hard_link(tree.path("etc/group"), tree.path("etc/group-")).unwrap();
    tree.age("etc/passwd", 5000);
    let old = tree.path("etc/passwd").metadata().unwrap();
    let plan = |files: AccountFiles| {
        add_alice(files).map(|(new, ())| (NewFiles { group: None, gshadow: None, shadow: None, ..new }, ()))
    };
    let order = renames(&tree, || drop(update(&tree.root(), WAIT, &Stop::default(), plan).unwrap()));
    // group does not change, but a useradd killed while it empties group- would leave it empty.
    assert_eq!(order, ["group-", "passwd-", "passwd"]);
    let backup = tree.path("etc/passwd-").metadata().unwrap();
    assert_eq!((backup.mtime(), backup.mtime_nsec()), (old.mtime(), old.mtime_nsec()));
    assert_ne!(tree.inode("etc/passwd-"), tree.inode("etc/passwd"));
    assert_ne!(tree.inode("etc/group-"), tree.inode("etc/group"));
    assert_eq!(tree.read("etc/group-"), tree.read("etc/group"));
}

#[test]
fn a_link_is_refused_with_all_four_files_and_its_passwd_is_read_even_so() {
    for absolute in [false, true] {
        let tree = Tree::with_accounts();
        std::fs::rename(tree.path("etc/passwd"), tree.path("real")).unwrap();
        symlink(if absolute { "/real" } else { "../real" }, tree.path("etc/passwd")).unwrap();
        assert!(read(&tree.root()).unwrap_err().to_string().contains("etc/passwd is a symbolic link"));
        let order = renames(&tree, || {
            let error = try_add(&tree).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsafe);
            assert!(error.to_string().ends_with("; accounts left as they were"), "{error}");
        });
        assert!(order.is_empty(), "{order:?}");
        assert!(tree.path("etc/passwd").is_symlink());
        assert_eq!(read_passwd(&tree.root()).unwrap(), tree.read("real"));
    }
}

#[test]
fn a_missing_or_special_file_is_refused_with_all_four_files() {
    let tree = Tree::with_accounts();
    let before = tree.read("etc/passwd");
    for name in ["shadow", "group", "passwd"] {
        let path = tree.path(&format!("etc/{name}"));
        let content = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(try_add(&tree).unwrap_err().to_string().contains(&format!("etc/{name} is missing")));
        assert!(!path.exists());
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let error = try_add(&tree).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe);
        assert!(error.to_string().contains(&format!("etc/{name} is no regular file")), "{error}");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, content).unwrap();
    }
    assert_eq!(tree.read("etc/passwd"), before);
    std::fs::remove_file(tree.path("etc/passwd")).unwrap();
    assert_eq!(read_passwd(&tree.root()).unwrap_err().kind(), ErrorKind::File);
}

#[test]
fn a_file_edited_without_the_lock_is_planned_again_and_the_edit_survives() {
    let tree = Tree::with_accounts();
    let calls = Cell::new(0);
    let plan = |files: AccountFiles| {
        let new = add_alice(files);
        calls.set(calls.get() + 1);
        if calls.get() == 1 {
            let edited = [tree.read("etc/shadow"), b"bob:*:1::::::\n".to_vec()].concat();
            tree.write("etc/new", &edited);
            std::fs::rename(tree.path("etc/new"), tree.path("etc/shadow")).unwrap();
        }
        new
    };
    update(&tree.root(), WAIT, &Stop::default(), plan).unwrap();
    assert_eq!(calls.get(), 2);
    let shadow = String::from_utf8(tree.read("etc/shadow")).unwrap();
    assert!(shadow.contains("bob:") && shadow.contains("alice:"), "{shadow}");

    let before = contents(&tree);
    let inode = tree.inode("etc/passwd");
    let always = |files: AccountFiles| {
        calls.set(calls.get() + 1);
        tree.age("etc/group", 1000 + calls.get());
        add_alice(files)
    };
    let error = update(&tree.root(), WAIT, &Stop::default(), always).unwrap_err();
    assert_eq!((error.kind(), calls.get()), (ErrorKind::Busy, 5), "{error}");
    assert_eq!(contents(&tree), before);
    assert_eq!(tree.inode("etc/passwd"), inode);
    assert!(!read(&tree.root()).unwrap().leftovers);
}

#[test]
fn a_living_lock_file_of_a_file_that_changes_keeps_us_out() {
    let tree = Tree::with_accounts();
    let mut child = sleeper();
    tree.write("etc/passwd.lock", format!("{}\0", child.id()).as_bytes());
    let before = contents(&tree);
    let error = try_add(&tree).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(contents(&tree), before);
    child.kill().unwrap();
    child.wait().unwrap();
    let notes = try_add(&tree).unwrap();
    assert!(notes[0].contains("passwd.lock is stale"), "{notes:?}");
    assert!(tree.path("etc/passwd.lock").exists());
}

#[test]
fn the_plan_sees_what_the_holder_of_the_lock_wrote() {
    let tree = Tree::with_accounts();
    let mut other = Beside::holding(&tree.path("etc/.pwd.lock"));
    let root = tree.root();
    let ours = std::thread::spawn(move || update(&root, WAIT, &Stop::default(), add_alice).map(drop));
    std::thread::sleep(Duration::from_millis(200));
    tree.write("etc/group", b"root:x:0:\nstaff:x:50:\n");
    other.let_go();
    ours.join().unwrap().unwrap();
    assert_eq!(tree.read("etc/group"), b"root:x:0:\nstaff:x:50:\nalice:x:1000:\n");
}

#[test]
fn what_a_killed_run_left_is_removed_under_the_lock_only() {
    let tree = Tree::with_accounts();
    tree.write("etc/.ddum.shadow.0123456789abcdef", b"secret");
    std::fs::create_dir(tree.path("etc/.ddum.directory")).unwrap();
    symlink("passwd", tree.path("etc/.ddum.link")).unwrap();
    assert!(read(&tree.root()).unwrap().leftovers);
    assert!(tree.path("etc/.ddum.shadow.0123456789abcdef").exists());
    update(&tree.root(), WAIT, &Stop::default(), |_| Ok((NewFiles::default(), ()))).unwrap();
    assert!(!tree.path("etc/.ddum.shadow.0123456789abcdef").exists());
    assert!(tree.path("etc/.ddum.directory").exists() && tree.path("etc/.ddum.link").is_symlink());
    assert!(!read(&tree.root()).unwrap().leftovers);
}

#[test]
fn a_failed_plan_and_content_that_loses_lines_leave_everything() {
    let tree = Tree::with_accounts();
    let before = contents(&tree);
    let stop = Stop::default();
    let refuse = |_: AccountFiles| Err::<(NewFiles, ()), _>(Error::new(ErrorKind::Table, "no"));
    let error = update(&tree.root(), WAIT, &stop, refuse).unwrap_err();
    assert_eq!(error.to_string(), "no; accounts left as they were");
    let empty = |files: AccountFiles| add_alice(files).map(|(new, ())| (NewFiles { passwd: Some(vec![]), ..new }, ()));
    assert_eq!(update(&tree.root(), WAIT, &stop, empty).unwrap_err().kind(), ErrorKind::Internal);
    stop.set();
    assert_eq!(update(&tree.root(), WAIT, &stop, add_alice).unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(contents(&tree), before);
    assert_eq!(tree.names("etc").len(), 5, "{:?}", tree.names("etc"));
}

#[test]
fn a_refused_rename_says_which_files_are_new() {
    let tree = Tree::with_accounts();
    // The backup's name is a directory: nothing may happen to the files before all backups are in place.
    std::fs::create_dir(tree.path("etc/passwd-")).unwrap();
    let before = contents(&tree);
    let error = try_add(&tree).unwrap_err();
    assert!(error.to_string().ends_with("Is a directory (os error 21); accounts left as they were"), "{error}");
    assert_eq!(contents(&tree), before);
    assert!(!read(&tree.root()).unwrap().leftovers);
}

#[test]
fn names_and_sizes_are_all_that_debug_output_shows() {
    let tree = Tree::with_accounts();
    let files = read(&tree.root()).unwrap();
    let shown = format!("{files:?} {:?}", add_alice(files.clone()).unwrap().0);
    assert!(!shown.contains("root") && !shown.contains("19000") && shown.contains("shadow"), "{shown}");
}

#[test]
fn a_tree_without_account_files_gets_empty_ones_and_one_that_has_some_is_left_alone() {
    let tree = Tree::new();
    std::fs::remove_dir(tree.path("etc")).unwrap();
    assert!(create_empty(&tree.root()).unwrap());
    assert_eq!(
        ["", "/passwd", "/group", "/shadow", "/gshadow"].map(|name| tree.mode(&format!("etc{name}"))),
        [0o755, 0o644, 0o644, 0o640, 0o640]
    );
    try_add(&tree).unwrap();
    std::fs::remove_file(tree.path("etc/gshadow")).unwrap();
    assert!(!create_empty(&tree.root()).unwrap());
    std::fs::remove_file(tree.path("etc/shadow")).unwrap();
    assert!(!create_empty(&tree.root()).unwrap());
    assert_eq!(read(&tree.root()).unwrap_err().kind(), ErrorKind::Unsafe);
    assert!(!create_empty(&Root::open(Path::new("/")).unwrap()).unwrap());
    assert!(!tree.path("etc/shadow").exists());
}

/// Something mounted for the length of a test.
struct Mounted(PathBuf);

impl Mounted {
    fn new(arguments: &[&str], at: PathBuf) -> Option<Self> {
        let output = Command::new("mount").args(arguments).arg(&at).output();
        if output.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        not_tested(&format!("mount {arguments:?} needs root and a kernel that lets it"));
        None
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a test that fails may still have files open there.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[test]
fn a_full_file_system_leaves_the_files_as_they_are() {
    let tree = Tree::new();
    let Some(_mounted) = Mounted::new(&["-t", "tmpfs", "-o", "size=96k,mode=755", "none"], tree.path("etc")) else {
        return;
    };
    let filled = Tree::with_accounts();
    for name in FILES {
        tree.write(&format!("etc/{name}"), &filled.read(&format!("etc/{name}")));
    }
    tree.write("etc/group", "x".repeat(8000).as_bytes());
    let before = contents(&tree);
    let mut size = 96 << 10;
    while size > 0 {
        // Leaves less and less free, so that every step of the transaction meets the end of the space.
        size -= 4096;
        let ballast = File::create(tree.path("etc/ballast")).unwrap();
        let full = rustix::fs::fallocate(&ballast, rustix::fs::FallocateFlags::empty(), 0, size).is_err();
        if full {
            continue;
        }
        match try_add(&tree) {
            Ok(_) => break,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::File);
                assert!(error.to_string().contains("No space left on device"), "{error}");
                assert!(error.to_string().ends_with("; accounts left as they were"), "{error}");
                assert_eq!(contents(&tree), before);
                assert!(!read(&tree.root()).unwrap().leftovers);
            }
        }
    }
    assert!(size > 0 && size < 90 << 10, "{size}");
    assert_ne!(contents(&tree), before);
}

#[test]
fn a_bind_mounted_file_is_refused_and_not_written_in_place() {
    let tree = Tree::with_accounts();
    tree.write("real", &tree.read("etc/passwd"));
    let real = tree.path("real");
    let Some(mounted) = Mounted::new(&["--bind", real.to_str().unwrap()], tree.path("etc/passwd")) else { return };
    let before = contents(&tree);
    assert_eq!(read(&tree.root()).unwrap().obstacles.len(), 1);
    let error = try_add(&tree).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert!(error.to_string().contains("etc/passwd is a mount point; mount the directory instead"), "{error}");
    assert_eq!(contents(&tree), before);
    drop(mounted);
    try_add(&tree).unwrap();
}

#[test]
fn an_immutable_file_is_refused_before_another_is_replaced() {
    let tree = Tree::with_accounts();
    let chattr = |flag: &str| {
        let done = Command::new("chattr").arg(flag).arg(tree.path("etc/shadow")).output();
        done.is_ok_and(|output| output.status.success())
    };
    if !chattr("+i") {
        not_tested("chattr +i needs root and a file system that knows it");
        return;
    }
    let before = contents(&tree);
    let outcome = try_add(&tree);
    assert!(chattr("-i"));
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("etc/shadow is immutable"), "{error}");
    assert_eq!(contents(&tree), before);
}

#[test]
fn a_read_only_file_system_gives_one_clear_error() {
    let tree = Tree::with_accounts();
    let etc = tree.path("etc");
    let Some(_bound) = Mounted::new(&["--bind", etc.to_str().unwrap()], etc.clone()) else { return };
    let Some(same) = Mounted::new(&["-o", "remount,bind,ro"], etc) else { return };
    // It is one mount, to be undone once.
    std::mem::forget(same);
    let error = try_add(&tree).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File);
    assert!(error.to_string().contains(".pwd.lock: Read-only file system"), "{error}");
}

#[test]
fn an_append_only_etc_is_told_of_before_anything_is_left_in_it() {
    let tree = Tree::with_accounts();
    let chattr = |flag: &str| {
        let done = Command::new("chattr").arg(flag).arg(tree.path("etc")).output();
        done.is_ok_and(|output| output.status.success())
    };
    if !chattr("+a") {
        not_tested("chattr +a needs root and a file system that knows it");
        return;
    }
    let outcome = try_add(&tree);
    let names = tree.names("etc");
    assert!(chattr("-a"));
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    let text = error.to_string();
    assert!(text.contains("chattr -a") && text.ends_with("accounts left as they were"), "{text}");
    assert_eq!(names, [".pwd.lock", "group", "gshadow", "passwd", "shadow"]);
    try_add(&tree).unwrap();
}
