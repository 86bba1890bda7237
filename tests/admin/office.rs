//! Where the tests sit: a directory with a configuration and keys, the binary, and a look into the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::support::emulator::Emulator;
use super::support::http::Reply;
use super::support::proxy::{Proxy, operation};

pub const LAPTOP: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA+WWckC5HovqsNXGLGG/vIPqy97mAHpc3xSmzlXbY+t laptop";
pub const PHONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMq2fu8Z0lBIrpi1MC1EAtSzXZHrUvk9Y5UX7GSkO3bH phone";
pub const LAPTOP_PRINT: &str = "SHA256:LC1z12W2qiHZ5LIf4DF47TDUwe/fwLgCK3iegfTx6rQ";
pub const HASH: &str = "$6$planted$secrethash";

/// Where somebody sits who administers the tables at one address.
pub struct Office(pub PathBuf);

impl Office {
    pub fn new(name: &str, url: &str) -> Self {
        Self::configured(name, url, &json!({}))
    }

    pub fn configured(name: &str, url: &str, more: &Value) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("admin-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        let mut config = json!({
            "endpoint_url": url, "aws_region": "eu-west-1",
            "aws_access_key": "AKIDEXAMPLE", "aws_secret_key": "planted-secret-key",
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(path.join("ddum.cfg"), config.to_string()).unwrap();
        std::fs::set_permissions(path.join("ddum.cfg"), Permissions::from_mode(0o600)).unwrap();
        std::fs::write(path.join("laptop.pub"), format!("{LAPTOP}\n")).unwrap();
        std::fs::write(path.join("phone.pub"), format!("{PHONE}\n")).unwrap();
        Self(path)
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
        command.args(line.split_whitespace()).arg("-c").arg(self.0.join("ddum.cfg")).current_dir(&self.0);
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("USER", "alice");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn start(&self, line: &str) -> Child {
        self.command(line).spawn().unwrap()
    }

    pub fn given(&self, line: &str, input: &str) -> (i32, String, String) {
        let mut child = self.start(line);
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        end(line, child)
    }

    pub fn run(&self, line: &str) -> (i32, String, String) {
        self.given(line, "")
    }

    /// Standard output of a command that must do what was asked.
    pub fn done(&self, line: &str) -> String {
        let (status, out, err) = self.run(line);
        assert_eq!(status, 0, "{line}: {out}{err}");
        out
    }

    /// Standard error of a command that must end with this status.
    pub fn fails(&self, line: &str, want: i32) -> String {
        let (status, out, err) = self.run(line);
        assert_eq!(status, want, "{line}: {out}{err}");
        assert!(err.starts_with("ddum: ") && err.lines().count() == 1 && out.is_empty(), "{line}: {out}{err}");
        err
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Says, loudly, what could not be tried here: past the test runner, which keeps the words of tests that pass.
pub fn not_checked(what: &str) {
    std::io::stderr().write_all(format!("\nNOT CHECKED: {what}\n").as_bytes()).unwrap();
}

pub fn end(line: &str, child: Child) -> (i32, String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    for secret in ["planted", "$6$"] {
        assert!(!out.contains(secret) && !err.contains(secret), "{line} tells a secret: {out}{err}");
    }
    (output.status.code().unwrap(), out, err)
}

pub fn items(emulator: &Emulator, table: &str) -> BTreeMap<String, Value> {
    let scan = emulator.call("Scan", &json!({"TableName": table, "ConsistentRead": true}));
    let items = scan["Items"].as_array().unwrap().iter();
    items.map(|item| (item["Name"]["S"].as_str().unwrap().to_owned(), item.clone())).collect()
}

pub fn item(emulator: &Emulator, table: &str, name: &str) -> Value {
    items(emulator, table).remove(name).unwrap_or_default()
}

pub fn uids(emulator: &Emulator) -> Vec<String> {
    items(emulator, "Users").values().map(|item| item["UID"]["N"].as_str().unwrap().to_owned()).collect()
}

/// DynamoDB's point-in-time recovery, which the emulator does not have.
pub fn with_backups(emulator: &Emulator) -> Proxy {
    let enabled = Mutex::new(BTreeSet::new());
    let asked = Mutex::new(BTreeSet::new());
    Proxy::start(&emulator.url(), move |request| {
        let table = request.json()["TableName"].as_str().unwrap_or_default().to_owned();
        let status = |on: bool| if on { "ENABLED" } else { "DISABLED" };
        let answer = |on: bool| {
            let description = json!({"ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": status(on)},
            }});
            Some(Reply::json(200, &description))
        };
        match operation(request) {
            "UpdateContinuousBackups" if asked.lock().unwrap().insert(table.clone()) => {
                let kind = "com.amazonaws.dynamodb.v20120810#ContinuousBackupsUnavailableException";
                Some(Reply::json(400, &json!({"__type": kind, "message": "Backups are being enabled"})))
            }
            "UpdateContinuousBackups" => {
                enabled.lock().unwrap().insert(table);
                answer(true)
            }
            "DescribeContinuousBackups" => answer(enabled.lock().unwrap().contains(&table)),
            _ => None,
        }
    })
}
