//! A tree to bring in line, items to do it by, and what the binary says.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI laptop";
pub const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILJjVc9qa2ORpiMJ5uRQPxDr7xRxwmn1iwbhpN1eeRKL phone";
pub const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAKaRug92S44swtY2qz198XiQKk+RpTU3uVdt/IJKp00oMbmDNxl4BkOf53VOrWU8rAOmQApu+XKSkirc4Qv1tj5pVDI9DHBgYwz6tkWOF+1H2n3qR9il4G6UEsb+pM2UVW7f71YBlbqJuO0liGyzcvhWXRsK87OhnqLFI9HUu/4ZAAAAFQCtATpBgqvcV4gt6JPMINu/PZHtXQAAAIBm7bnD3NxvDpioEVWXpPoO6atIUhq+4l4bV1RXbhNXb4R/odatKf+wirH15Ye/WQRrNGs2LpjSjIZGe+jiDL62sIiK3ZnZeCl7PDRbTUAlXDAzwEKBINHASjPSb4b9QPTiu8cFicMU1aLtpHRSetNJlro1uo+ax83IVCAR7BLK6QAAAIB8yZNY8mYJGX3/urMS1yJqpJYLfjdifqYsYQ2JYIyePOEHCKzj7jDNA/5wuuqhnFWrRYS3FmINSqoBzpi7WProxBP5bJmL7MyiQrsHVnvZYK7Thnfz5iMGgOFyiUnVshKYHeCqiINJ4iYEEWEFrVJ3h2pNKYZYGl0DMLoO5VdPBA== dsa-1024@example.org";

/// A directory of its own, gone when the test is over.
pub struct Tree(pub PathBuf);

impl Tree {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// With the account files of a distribution.
    pub fn of(name: &str, distribution: &str) -> Self {
        let tree = Self::new(&format!("{name}-{distribution}"));
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/etc").join(distribution);
        std::fs::create_dir_all(tree.path("root/etc")).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = tree.path("root/etc").join(entry.file_name());
            std::fs::copy(entry.path(), &to).unwrap();
            let secret = entry.file_name().to_str().unwrap().ends_with("shadow");
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(if secret { 0o640 } else { 0o644 })).unwrap();
        }
        tree
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    pub fn read(&self, path: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path("root").join(path)).unwrap()).into_owned()
    }

    /// Adds lines to an account file, as somebody at the host would.
    pub fn add_lines(&self, file: &str, lines: &str) {
        let path = self.path("root/etc").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text + lines).unwrap();
    }

    pub fn tables(&self, users: &[String], groups: &[String]) {
        std::fs::write(self.path("users.json"), format!("[{}]", users.join(","))).unwrap();
        std::fs::write(self.path("groups.json"), format!("[{}]", groups.join(","))).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
        command.arg("--root").arg(self.path("root")).args(arguments).stdin(Stdio::null());
        command.arg("--users").arg(self.path("users.json")).arg("--groups").arg(self.path("groups.json"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        told(&self.command(arguments).output().unwrap())
    }

    /// Path, inode, change time, size, mode of everything in the tree: equal means that nothing was touched.
    pub fn state(&self) -> BTreeMap<PathBuf, (u64, i64, i64, u64, u32)> {
        let mut out = BTreeMap::new();
        let mut pending = vec![self.path("root")];
        while let Some(path) = pending.pop() {
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                pending.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            }
            out.insert(path, (meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.size(), meta.mode()));
        }
        out
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

pub fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// The id that files may be given here: anyone's for root, else only our own.
pub fn user(name: &str, id: u32, more: &str) -> String {
    format!(
        r#"{{"Name":{{"S":"{name}"}},"UID":{{"N":"{id}"}},"GID":{{"N":"{id}"}},"Home":{{"S":"/home/{name}"}},"Shell":{{"S":"/bin/sh"}}{more}}}"#
    )
}

pub fn keys(keys: &[&str]) -> String {
    let list: Vec<String> = keys.iter().map(|k| format!("\"{k}\"")).collect();
    format!(r#","SSHPublicKeys":{{"SS":[{}]}}"#, list.join(","))
}

pub fn group(name: &str, gid: u32, members: &[&str]) -> String {
    let list: Vec<String> = members.iter().map(|m| format!("\"{m}\"")).collect();
    let members = if list.is_empty() { String::new() } else { format!(r#","Members":{{"SS":[{}]}}"#, list.join(",")) };
    format!(r#"{{"Name":{{"S":"{name}"}},"GID":{{"N":"{gid}"}}{members}}}"#)
}
