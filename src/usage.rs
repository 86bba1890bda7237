//! The help texts.

/// What every help text ends with.
macro_rules! common {
    () => {
        "
Common options, before or after the command:
  -c, --config FILE   the configuration (default /etc/dynamodb-user-manager.cfg)
      --root DIR      act on the file tree under DIR, as for a mounted image
  -v, --verbose       say more
  -q, --quiet         say only what went wrong
  -V, --version       print the version
  -h, --help          print this help

Exit status: 0 done; 1 failed, accounts left as they were; 2 wrong usage or
configuration; 3 done, but some items, keys or homes were refused; 75 try again
later (the account files are locked, or the tables cannot be reached).
"
    };
}

/// What is said about reading the tables from files.
macro_rules! files {
    () => {
        "      --users FILE    read the Users table from FILE instead of DynamoDB
      --groups FILE   read the Groups table from FILE; goes with --users.
                      FILE holds the output of \"aws dynamodb scan\" or the lines
                      of a DynamoDB export to S3; \"-\" is standard input
"
    };
}

/// `ddum --help`.
pub const MAIN: &str = concat!(
    "Usage: ddum [-c FILE] [-f] [-p FILE]
       ddum COMMAND [OPTION]...

Keep this host's users, groups and SSH keys in line with two DynamoDB tables.

Without a command, ddum is a daemon: it updates at once, and then again and
again. SIGHUP makes it read its configuration again, SIGUSR1 update at once.

Commands:
  sync      update once
  check     show what sync would do, and everything doubtful; change nothing
  status    show what the last update did
  explain   tell what decides how one user or group looks on this host
  export    write this host's accounts to the tables, or to files
  help      print the help of a command

Options of the daemon:
  -f, --foreground    do not go into the background
  -p, --pidfile FILE  one daemon runs for each FILE, which holds its process id
                      (default /var/run/dynamodb-user-manager.pid)
",
    files!(),
    common!()
);

/// `ddum sync --help`.
pub const SYNC: &str = concat!(
    "Usage: ddum sync [--dry-run] [OPTION]...

Update once: read both tables, then bring the account files, the homes and the
authorized keys in line with them. Prints one line a change.

Options:
      --dry-run       print what would change; change nothing
",
    files!(),
    common!()
);

/// `ddum check --help`.
pub const CHECK: &str = concat!(
    "Usage: ddum check [OPTION]...

Check the configuration, the tables and the local files. Prints what sync would
do and everything doubtful; changes nothing.

Options:
",
    files!(),
    common!()
);

/// `ddum status --help`.
pub const STATUS: &str = concat!(
    "Usage: ddum status [--json] [OPTION]...

Show what the last update on this host did, when, and what it refused.

Options:
      --json          print the report as the update stored it
",
    common!()
);

/// `ddum explain --help`.
pub const EXPLAIN: &str = concat!(
    "Usage: ddum explain NAME [--json] [OPTION]...

Tell what decides how the user or group NAME looks on this host: its item, the
rules that applied, the settings of the host, what the account files hold, what
the next update would do, and why a login may fail. Changes nothing.

Options:
      --json          print the same for programs
",
    files!(),
    common!()
);

/// `ddum export --help`.
pub const EXPORT: &str = concat!(
    "Usage: ddum export [OPTION]...
       ddum export --to-files USERS GROUPS [OPTION]...
       ddum export --from-tables --to-files USERS GROUPS [OPTION]...

Write the accounts of this host, with the SSH keys in their homes, to the tables
or to files. An item that is there is left as it is.

Options:
      --to-files      write to the files USERS and GROUPS instead, which sync and
                      check can read; one may be \"-\" for standard output
      --from-tables   what is written comes from the tables, not from this host
      --overwrite     change items that are there
      --all           also accounts below UID_MIN and GID_MIN, root's included
      --dry-run       print what would be written; write nothing
      --json          print the report for programs
      --passwd FILE, --password FILE
                      read FILE instead of /etc/passwd; without the keys
      --no-passwd, --no-password
                      no users
      --shadow FILE   read FILE instead of /etc/shadow
      --no-shadow     no passwords and no ageing
      --group FILE    read FILE instead of /etc/group
      --no-group      no groups
      --gshadow FILE  read FILE instead of /etc/gshadow
      --no-gshadow    no passwords and no administrators of groups
      --user-table NAME, --users-table NAME
                      the table of users, if not the configuration's
      --group-table NAME, --groups-table NAME
                      the table of groups
      --region REGION
                      the region of the tables
      --profile NAME  a profile of the AWS configuration files
",
    common!()
);

/// `ddum help --help`.
pub const HELP: &str = concat!(
    "Usage: ddum help [COMMAND]

Print the help of ddum or of one of its commands.
",
    common!()
);
