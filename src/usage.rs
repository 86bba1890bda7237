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

Exit status: 0 done; 1 failed, accounts left as they were unless the error says
otherwise; 2 wrong usage or configuration; 3 done, but some items, keys or homes
were refused; 75 try again later (the account files are locked, or the tables
cannot be reached).
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
  tables    make the two tables, show them, print IAM policies for them
  user      show and change the users in the table
  group     show and change the groups in the table
  key       show and change the SSH keys of a user, or one's own
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
      --to-files      write to the files USERS and GROUPS instead, which sync
                      and check can read; one may be \"-\" for standard output
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

/// What is said about dry runs and confirmation.
macro_rules! writing {
    () => {
        "      --dry-run       print what would be written; write nothing
"
    };
}

/// `ddum user --help`.
pub const USER: &str = concat!(
    "Usage: ddum user list [PATTERN]... [--expired] [--without-keys]
                      [--group NAME] [--uid-range LOW-HIGH] [--json]
       ddum user show NAME [--json]
       ddum user add NAME [ATTRIBUTE]... [--groups NAME,...] [--key FILE]...
       ddum user set NAME ATTRIBUTE... [--unset ATTRIBUTE]...
       ddum user expire NAME [DATE]
       ddum user enable NAME
       ddum user delete NAME --yes

Show and change items of the Users table. Hosts follow with their next update.
What a host would refuse is not written, nor is what somebody else changed in
the meantime: one of two then gets an error and looks again.

  add      with a free UID, a group of the same name and number, the home
           /home/NAME and the shell /bin/bash, unless told otherwise
  expire   close the account on DATE, or at once; all of its keys go, and the
           account stays on the hosts; enable opens it again
  delete   delete the item. Hosts KEEP the account as it is: expire it first

Attributes:
      --uid N, --gid N
      --uid auto      a free one (default when added)
      --group NAME    the primary group, by name
      --real-name TEXT, --home DIR, --shell PROGRAM
      --expires DATE  the first day on which the account is closed, YYYY-MM-DD
      --password-hash-stdin
                      a crypt(5) hash is on standard input, as
                      \"openssl passwd -6\" makes it
      --password-changed DATE
                      when (default: today, with a new hash)
      --min-days N, --max-days N, --warn-days N, --disable-days N
                      ageing of the password, see shadow(5)

Options:
      --uid-range LOW-HIGH
                      where to find a free UID (default 2000-59999), or which
                      users to list
      --groups NAME,...
                      groups that the new user is a member of
      --key FILE      a public key; \"-\" is standard input
      --unset ATTRIBUTE
                      take away an attribute, by its name in the table or its
                      option's
      --expired       list those whose account has expired
      --without-keys  list those without a key
      --json          print for programs what was found, or written
  -y, --yes           do not ask
",
    writing!(),
    common!()
);

/// `ddum group --help`.
pub const GROUP: &str = concat!(
    "Usage: ddum group list [PATTERN]... [--json]
       ddum group show NAME [--json]
       ddum group add NAME [ATTRIBUTE]...
       ddum group set NAME ATTRIBUTE... [--unset ATTRIBUTE]...
       ddum group join GROUP USER... [--as-administrators]
       ddum group leave GROUP USER... [--as-administrators]
       ddum group delete NAME --yes

Show and change items of the Groups table. Hosts follow with their next update.
Any number of people may join and leave users at the same time; of two who set
the same attribute, one gets an error and looks again.

Attributes:
      --gid N
      --gid auto      a free one from 2000 on (default when added)
      --members NAME,...
      --administrators NAME,...
      --password-hash-stdin
                      a crypt(5) hash is on standard input

Options:
      --as-administrators
                      as administrators of the group, not as members
      --unset ATTRIBUTE
                      take away an attribute, by its name in the table or its
                      option's
      --json          print for programs what was found, or written
  -y, --yes           do not ask
",
    writing!(),
    common!()
);

/// `ddum key --help`.
pub const KEY: &str = concat!(
    "Usage: ddum key list [USER] [--json]
       ddum key add [USER] FILE [--expires DATE]
       ddum key disable [USER] KEY
       ddum key enable [USER] KEY
       ddum key delete [USER] KEY

Show and change the SSH keys of a user. Without USER, one's own: the IAM user
whose credentials are in use. FILE holds public keys, \"-\" is standard input.
KEY is a fingerprint as ssh-keygen -l prints it, or the comment of one key.

A key that is disabled is put aside in the item, and gone from every host with
its next update; enable puts it back.

Options:
      --expires DATE  sshd takes the keys until DATE begins where it runs
      --me-from-env   without USER, $USER is meant
      --json          print for programs what was found, or written
  -y, --yes           do not ask
",
    writing!(),
    common!()
);

/// `ddum tables --help`.
pub const TABLES: &str = concat!(
    "Usage: ddum tables create [--tag KEY=VALUE]... [--no-backups]
                          [--no-protection]
       ddum tables describe [--json]
       ddum tables policy reader|admin|self [--account ID]

Make the two tables that the configuration names, show what they are like, or
print an IAM policy for them: for hosts, for administrators, or for users who
may change nothing but their own keys.

create bills on demand, protects the tables from deletion, and turns on
point-in-time recovery. Tables that exist are checked and left as they are.

Options:
      --tag KEY=VALUE a tag of both new tables
      --no-backups    without point-in-time recovery
      --no-protection without deletion protection
      --account ID    the AWS account for the policy's resources
      --json          print for programs what was found, or written
",
    writing!(),
    common!()
);
