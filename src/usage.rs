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

/// `ddum help --help`.
pub const HELP: &str = concat!(
    "Usage: ddum help [COMMAND]

Print the help of ddum or of one of its commands.
",
    common!()
);
