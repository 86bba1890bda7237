//! Any local files, any tables, any policy: a plan is carried out once, and touches nothing that is not its own.
//! proptest prints the smallest input that breaks a rule; `PROPTEST_CASES` and `PROPTEST_RNG_SEED` choose how many are
//! tried, and which.
#![expect(clippy::unwrap_used, reason = "functions shared by tests are not tests to clippy")]
#![expect(clippy::print_stderr, reason = "whoever reads of a failure is told the seed")]

use std::collections::BTreeSet;
use std::fmt;

use ddum::account::{Accounts, Day, Gecos, Gid, Group, GroupMembers, HomeDir, Name, PasswordHash, Shell, Uid, User};
use ddum::etc::{Databases, Entry, Lines};
use ddum::ledger::{GroupRecord, Ids, Ledger, UserRecord};
use ddum::merge::{Policy, Refusal, plan, settle};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Few names and few ids, so that everything collides.
const NAMES: [&str; 10] = ["root", "daemon", "wheel", "nobody", "local", "alice", "bob", "carol", "dave", "eve"];
const IDS: [u32; 11] = [0, 1, 10, 999, 1000, 1001, 2000, 2001, 2002, 65534, 4_294_967_294];

/// The four files; the last one may be missing.
#[derive(Clone, PartialEq)]
struct Files([Option<Vec<u8>>; 4]);

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, bytes) in KINDS.iter().zip(&self.0) {
            writeln!(f, "{kind}: {}", bytes.as_deref().unwrap_or(b"(missing)").escape_ascii())?;
        }
        Ok(())
    }
}

/// A host, what the tables want of it, and what decides.
#[derive(Clone)]
struct Case {
    files: Files,
    accounts: Accounts,
    ledger: Ledger,
    policy: Policy,
}

impl Case {
    /// The same, once `done` has been.
    fn after(&self, done: &Done) -> Self {
        Self { files: done.files.clone(), ledger: done.ledger.clone(), ..self.clone() }
    }
}

/// One line each: a failure is to be read by people.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, accounts, ledger, policy } = self;
        write!(f, "\n{files:?}")?;
        accounts.users.iter().try_for_each(|user| writeln!(f, "{user:?}"))?;
        accounts.groups.iter().try_for_each(|group| writeln!(f, "{group:?}"))?;
        writeln!(f, "{ledger:?}\n{policy:?}")
    }
}

const KINDS: [&str; 4] = ["passwd", "shadow", "group", "gshadow"];

impl Files {
    fn databases(&self) -> Databases {
        let [passwd, shadow, group, gshadow] = self.0.clone().map(Option::unwrap_or_default);
        Databases::parse(passwd, shadow, group, self.0[3].is_some().then_some(gshadow)).unwrap()
    }

    fn of(databases: &Databases) -> Self {
        Self([
            Some(databases.passwd.to_bytes()),
            Some(databases.shadow.to_bytes()),
            Some(databases.group.to_bytes()),
            databases.gshadow.as_ref().map(Lines::to_bytes),
        ])
    }

    /// These files, but the first `done` of the order in which they are replaced already those of `new`.
    fn partly(&self, new: &Self, done: usize) -> Self {
        let mut files = self.clone();
        for at in [3, 2, 1, 0].into_iter().take(done) {
            files.0[at].clone_from(&new.0[at]);
        }
        files
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

fn id() -> impl Strategy<Value = u32> {
    prop::sample::select(IDS.to_vec())
}

fn text(choices: &[&'static str]) -> impl Strategy<Value = &'static str> + use<> {
    prop::sample::select(choices.to_vec())
}

fn list() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![8 => name(), 1 => text(&["ghost", "", " bob", "b\\"])], 0..4)
        .prop_map(|names| names.join(","))
}

/// A hash, a lock, nothing, and what is none of them.
fn password() -> impl Strategy<Value = &'static str> {
    text(&["x", "*", "!", "!!", "", "$6$salt$hash", "!$6$salt$hash", "abJnggxhB/yWI", "_J9..rasmBYk8r9AiWNc", "?"])
}

/// A line that all tools read alike.
fn plain(kind: usize) -> BoxedStrategy<String> {
    let days = || text(&["", "0", "7", "99999", "20000"]);
    match kind {
        0 => (name(), password(), id(), id(), text(&["", "Some One,,,"]), text(&["", "/", "/home/x"]))
            .prop_map(|(n, p, u, g, c, h)| format!("{n}:{p}:{u}:{g}:{c}:{h}:/bin/sh"))
            .boxed(),
        1 => (name(), password(), days(), days(), days(), days(), text(&["", "134540356"]))
            .prop_map(|(n, p, a, b, c, d, r)| format!("{n}:{p}:{a}:{b}:{c}:7::{d}:{r}"))
            .boxed(),
        2 => (name(), password(), id(), list()).prop_map(|(n, p, g, m)| format!("{n}:{p}:{g}:{m}")).boxed(),
        _ => (name(), password(), list(), list()).prop_map(|(n, p, a, m)| format!("{n}:{p}:{a}:{m}")).boxed(),
    }
}

/// A line that hardly anybody has.
fn ugly(kind: usize) -> impl Strategy<Value = Vec<u8>> {
    let bent = (plain(kind), 0..10_usize).prop_map(|(line, how)| match how {
        0 => format!(" {line}"),
        1 => format!("#{line}"),
        2 => format!("{line}:"),
        3 => line.rsplit_once(':').map(|(head, _)| head.to_owned()).unwrap_or_default(),
        4 => format!("{line}\\"),
        5 => format!("+{line}"),
        6 => format!("{line}\r"),
        7 => line.replacen(':', ":x:", 1),
        8 => line.replacen(":1", ":+1", 1),
        _ => line.replacen(":2", ":02", 1),
    });
    prop_oneof![
        6 => bent.prop_map(String::into_bytes),
        1 => text(&["", "   ", "+", "-", "+@admins::::::", "# note", ":x:1008:1008::/:", "word"]).prop_map(Into::into),
        1 => prop::collection::vec((1..=u8::MAX).prop_filter("a line", |b| *b != b'\n'), 0..20),
    ]
}

fn file(kind: usize) -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![3 => plain(kind).prop_map(String::into_bytes), 1 => ugly(kind)];
    (prop::collection::vec(line, 0..12), any::<bool>()).prop_map(|(lines, ended)| {
        let mut bytes = lines.join(&b'\n');
        if ended && !bytes.is_empty() {
            bytes.push(b'\n');
        }
        bytes
    })
}

/// Half of the hosts are in order, like the hosts that people have: one line a name, the same names in both files.
fn files() -> impl Strategy<Value = Files> {
    let odd = (file(0), file(1), file(2), prop::option::weighted(0.8, file(3)))
        .prop_map(|(a, b, c, d)| Files([Some(a), Some(b), Some(c), d]));
    let users = prop::collection::vec((any::<bool>(), id(), id(), password()), NAMES.len());
    let groups = prop::collection::vec((any::<bool>(), id(), list(), list()), NAMES.len());
    let tidy = (users, groups, any::<bool>()).prop_map(|(users, groups, has_gshadow)| {
        let mut texts = [String::new(), String::new(), String::new(), String::new()];
        for (name, (_, uid, gid, hash)) in NAMES.iter().zip(users).filter(|(_, user)| user.0) {
            texts[0] += &format!("{name}:x:{uid}:{gid}::/home/{name}:/bin/sh\n");
            texts[1] += &format!("{name}:{hash}:19000:0:99999:7:::\n");
        }
        for (name, (_, gid, members, admins)) in NAMES.iter().zip(groups).filter(|(_, group)| group.0) {
            texts[2] += &format!("{name}:x:{gid}:{members}\n");
            texts[3] += &format!("{name}:!:{admins}:{members}\n");
        }
        let [passwd, shadow, group, gshadow] = texts.map(|text| Some(text.into_bytes()));
        Files([passwd, shadow, group, gshadow.filter(|_| has_gshadow)])
    });
    prop_oneof![odd, tidy]
}

fn user() -> impl Strategy<Value = User> {
    let hash = prop::option::of(text(&["*", "!", "$6$other$hash"]).prop_map(|text| PasswordHash::new(text).unwrap()));
    let date = || prop::option::of((0..40_000_u64).prop_map(|day| Day::from_unix(day * 86_400)));
    let days = || prop::option::of(0..=99_999_u32);
    (name(), id(), id(), hash, date(), date(), days(), days()).prop_map(
        |(name, uid, gid, password, last_change, expire_date, min_age, max_age)| User {
            name: Name::new(name).unwrap(),
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
            real_name: Gecos::new("Zoë").unwrap(),
            home: HomeDir::new(&format!("/home/{name}")).unwrap(),
            shell: Shell::new("/bin/bash").unwrap(),
            password,
            last_change,
            min_age,
            max_age,
            warn_period: None,
            inactivity_period: min_age,
            expire_date,
            keys: Vec::new(),
        },
    )
}

fn group() -> impl Strategy<Value = Group> {
    let names = || {
        prop::collection::btree_set(prop_oneof![8 => name(), 1 => Just("ghost")], 0..4)
            .prop_map(|names| names.into_iter().map(|n| Name::new(n).unwrap()).collect::<Vec<_>>())
    };
    let hash = prop::option::of(Just(PasswordHash::new("$6$group$hash").unwrap()));
    (name(), id(), hash, names(), names()).prop_map(|(name, gid, password, administrators, members)| Group {
        name: Name::new(name).unwrap(),
        gid: Gid::from_raw(gid),
        password,
        administrators,
        members,
    })
}

fn accounts() -> impl Strategy<Value = Accounts> {
    (prop::collection::vec(user(), 0..8), prop::collection::vec(group(), 0..6))
        .prop_map(|(users, groups)| Accounts::new(users, groups, &mut Vec::new()))
}

fn ledger() -> impl Strategy<Value = Ledger> {
    let moving = prop::collection::vec((id(), id()).prop_map(|(uid, gid)| Ids { uid, gid }), 0..=2);
    let moving = prop_oneof![4 => Just(Vec::new()), 1 => moving];
    let pending = || prop::bool::weighted(0.2);
    let record = (id(), id(), any::<bool>(), pending(), moving)
        .prop_map(|(uid, gid, created, pending, moving_from)| UserRecord { uid, gid, created, pending, moving_from });
    let users = prop::collection::btree_map(name().prop_map(str::to_owned), record, 0..6);
    let record =
        (id(), any::<bool>(), pending()).prop_map(|(gid, created, pending)| GroupRecord { gid, created, pending });
    let groups = prop::collection::btree_map(name().prop_map(str::to_owned), record, 0..6);
    (users, groups).prop_map(|(users, groups)| Ledger { users, groups })
}

fn policy() -> impl Strategy<Value = Policy> {
    let members = prop::sample::select(vec![GroupMembers::Auto, GroupMembers::Exact, GroupMembers::Merge]);
    (any::<bool>(), any::<bool>(), members).prop_map(|(allow_system_accounts, allow_duplicate_ids, group_members)| {
        Policy {
            today: Day::parse("2026-11-22").unwrap(),
            uid_min: 1000,
            gid_min: 1000,
            allow_system_accounts,
            allow_duplicate_ids,
            group_members,
        }
    })
}

fn case() -> impl Strategy<Value = Case> {
    (files(), accounts(), ledger(), policy()).prop_map(|(files, accounts, ledger, policy)| Case {
        files,
        accounts,
        ledger,
        policy,
    })
}

/// What a run leaves, with everything that it said.
struct Done {
    files: Files,
    /// As it is stored before the files, but for the records that are forgotten.
    early: Ledger,
    ledger: Ledger,
    changes: Vec<String>,
    refusals: Vec<Refusal>,
}

fn run(Case { files, accounts, ledger, policy }: &Case) -> Done {
    let mut databases = files.databases();
    let planned = plan(accounts, ledger, &mut databases, policy);
    let changes: Vec<String> = planned.changes.iter().map(ToString::to_string).collect();
    assert_eq!(changes.is_empty(), !databases.is_changed(), "what is changed is told, and nothing else: {changes:?}");
    databases.passwd.verify().unwrap();
    databases.shadow.verify().unwrap();
    databases.group.verify().unwrap();
    databases.gshadow.as_ref().map_or(Ok(()), Lines::verify).unwrap();
    let mut ledger = planned.ledger.clone();
    settle(&mut ledger, accounts, &databases);
    Done { files: Files::of(&databases), early: planned.ledger, ledger, changes, refusals: planned.refusals }
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() { Vec::new() } else { text.split(|&byte| byte == b'\n').collect() }
}

fn name_of(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == b':').next().unwrap_or_default()
}

/// New lines stand together; around them each line is the old one, or the new one of a name that may change.
fn only_these_changed(before: &[u8], after: &[u8], may_change: &BTreeSet<&[u8]>) -> bool {
    let (before, after) = (lines(before), lines(after));
    let Some(added) = after.len().checked_sub(before.len()) else { return false };
    let is_kept =
        |old: &[u8], new: &[u8]| old == new || (name_of(old) == name_of(new) && may_change.contains(name_of(old)));
    (0..=before.len()).any(|at| {
        let rest = after[..at].iter().chain(&after[at + added..]);
        before.iter().zip(rest).all(|(old, new)| is_kept(old, new))
            && after[at..at + added].iter().all(|line| may_change.contains(name_of(line)))
    })
}

/// The names of items of this kind that are used.
fn used<'a, T>(kind: &str, items: &'a [T], name: fn(&T) -> &Name, refusals: &[Refusal]) -> BTreeSet<&'a [u8]> {
    let whole = |r: &&Refusal| r.kind == kind && r.reason.ends_with("; item skipped");
    let refused: BTreeSet<&str> = refusals.iter().filter(whole).map(|r| r.name.as_str()).collect();
    items.iter().map(|item| name(item).as_str()).filter(|n| !refused.contains(n)).map(str::as_bytes).collect()
}

fn id_of(line: &[u8]) -> Option<u32> {
    line.split(|&byte| byte == b':').nth(2).and_then(|text| std::str::from_utf8(text).ok()).and_then(|t| t.parse().ok())
}

/// The ids in a file, but for those that are commented out.
fn ids<E: Entry>(lines: &Lines<E>) -> Vec<u32> {
    lines.ids().into_iter().filter(|(_, name, _)| !name.starts_with('#')).map(|(id, ..)| id).collect()
}

/// The same cases every time, so that a change is judged by itself; PROPTEST_RNG_SEED and PROPTEST_CASES ask for others.
fn seed() -> RngSeed {
    let seed = std::env::var("PROPTEST_RNG_SEED").map_or(20_261_122, |text| text.parse().unwrap());
    // Shown where a test fails, or with --nocapture.
    eprintln!("PROPTEST_RNG_SEED={seed}");
    RngSeed::Fixed(seed)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_global_rejects: 1 << 20,
        rng_seed: seed(),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_plan(case in case()) {
        let first = run(&case);
        let second = run(&case.after(&first));
        prop_assert_eq!(second.changes, Vec::<String>::new());
        prop_assert_eq!(&second.files, &first.files);
        prop_assert_eq!(second.ledger, first.ledger.clone());
    }

    #[test]
    fn a_host_without_its_ledger_keeps_what_the_plan_made(case in case()) {
        let first = run(&case);
        // What the ledger alone allowed may be refused now, and what that stood in the way of may be taken.
        prop_assume!(first.refusals.is_empty());
        let second = run(&Case { ledger: Ledger::default(), ..case.after(&first) });
        prop_assert_eq!(second.changes, Vec::<String>::new());
        prop_assert_eq!(&second.files, &first.files);
    }

    #[test]
    fn a_commit_that_stops_anywhere_is_finished_by_the_next_plan(case in case(), done in 0..=4_usize) {
        let whole = run(&case);
        // What is stored before the files change: the records of accounts that are gone stay until all is done.
        let ledger = whole.early.with_all_of(&case.ledger).into_owned();
        let mended = run(&Case { files: case.files.partly(&whole.files, done), ledger, ..case.clone() });
        prop_assert_eq!(&mended.files, &whole.files);
        prop_assert_eq!(mended.ledger, whole.ledger);
    }

    #[test]
    fn only_lines_of_items_that_are_used_change(case in case()) {
        let done = run(&case);
        let users = used("user", &case.accounts.users, |user| &user.name, &done.refusals);
        let groups = used("group", &case.accounts.groups, |group| &group.name, &done.refusals);
        for (at, kind) in KINDS.iter().enumerate() {
            let may_change = if at < 2 { &users } else { &groups };
            let (Some(before), Some(after)) = (&case.files.0[at], &done.files.0[at]) else {
                prop_assert_eq!(&case.files.0[at], &done.files.0[at], "{} is neither made nor lost", kind);
                continue;
            };
            prop_assert!(only_these_changed(before, after, may_change), "{}", kind);
        }
    }

    #[test]
    fn system_accounts_and_the_ids_of_others_are_safe(case in case()) {
        let done = run(&case);
        let (before, after) = (case.files.databases(), done.files.databases());
        if !case.policy.allow_system_accounts {
            let old = lines(case.files.0[0].as_deref().unwrap());
            let new = lines(done.files.0[0].as_deref().unwrap());
            for line in &old {
                let system = id_of(line).is_some_and(|uid| uid < 1000 || uid == 65534);
                prop_assert!(!system || new.contains(line), "{}", line.escape_ascii());
            }
            for line in new.iter().filter(|line| !old.contains(line)) {
                prop_assert!(id_of(line).is_some_and(|uid| uid >= 1000 && uid != 65534), "{}", line.escape_ascii());
            }
            let system = |gids: Vec<u32>| gids.into_iter().filter(|gid| *gid < 1000).collect::<Vec<_>>();
            prop_assert_eq!(system(ids(&before.group)), system(ids(&after.group)));
        }
        if !case.policy.allow_duplicate_ids {
            for (old, new) in [(ids(&before.passwd), ids(&after.passwd)), (ids(&before.group), ids(&after.group))] {
                let count = |ids: &[u32], id: u32| ids.iter().filter(|other| **other == id).count();
                for id in IDS {
                    prop_assert!(count(&new, id) <= count(&old, id).max(1), "{} is shared by more than before", id);
                }
            }
        }
    }
}
