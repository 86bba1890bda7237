"""ddum is killed at, or refused, each of the system calls that change something; and what is left is judged.

    faults.py BINARY INJECT FIXTURE DIRECTORY [SECONDS]

Works in small trees below DIRECTORY, which should be a tmpfs. Prints a table; exits 1 if there was any harm. With fewer
SECONDS than all cases need, every case of a class is tried before the next class, and what was left out is said.
"""

import concurrent.futures
import errno
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

binary, inject, fixture, area = sys.argv[1:5]
deadline = time.monotonic() + float(sys.argv[5] if len(sys.argv) > 5 else 1e9)

ORDER = ["gshadow", "group", "shadow", "passwd"]
SALT = "ddumsecretsalt"
HASHES = [f"$6${SALT}$one", f"$6${SALT}$two"]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} {}"
KEYS = [
    KEY.format("BfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI", "laptop"),
    KEY.format("LJjVc9qa2ORpiMJ5uRQPxDr7xRxwmn1iwbhpN1eeRKL", "phone"),
]
PEOPLE = ["alice", "carol", "erin", "frank", "grace", "heidi"]


def user(name, uid, keys=(), **more):
    item = {"Name": {"S": name}, "UID": {"N": str(uid)}, "GID": {"N": "2000"}, "Home": {"S": f"/home/{name}"}}
    item |= {"Shell": {"S": "/bin/sh"}, "LastPasswordChangeDate": {"S": "2026-01-15"}}
    if keys:
        item["SSHPublicKeys"] = {"SS": [KEYS[key] for key in keys]}
    return item | {key: {"S": value} for key, value in more.items()}


def group(name, gid, *members):
    item = {"Name": {"S": name}, "GID": {"N": str(gid)}}
    return item | ({"Members": {"SS": list(members)}} if members else {})


def tables(users, groups):
    return {"users": users, "groups": groups}


dave = user("dave", 1500, [0])
FIRST = tables(
    [user(name, 2001 + at, [0], Password=HASHES[0]) for at, name in enumerate(PEOPLE)] + [user("bob", 2020), dave],
    [group("people", 2000, "alice", "bob"), group("ops", 1700, "alice", "dave"), group("sudo", 27, "carol")],
)
# A password, a shell, an id whose files must follow, a key that goes, a key for one who had none, members.
CHANGED = tables(
    [
        user("alice", 2001, [1], Password=HASHES[1]),
        user("carol", 2012, [0], Password=HASHES[0], Shell="/bin/bash"),
        *FIRST["users"][2:6],
        user("bob", 2020, [1]),
        dave | {"Shell": {"S": "/bin/bash"}},
    ],
    [group("people", 2000, "bob", "carol"), group("ops", 1700, "dave"), group("sudo", 27, "alice")],
)
# As many keys as need a sync of the whole file system, and an account that expires.
REVOKED = tables(
    [user(name, 2001 + at, [1], Password=HASHES[0]) for at, name in enumerate(PEOPLE)]
    + [user("bob", 2020), dave | {"AccountExpireDate": {"S": "2020-01-01"}}],
    FIRST["groups"],
)
# And a home beside what an earlier run left of one.
MENDED = tables(REVOKED["users"] + [user("ivan", 2030, [0])], REVOKED["groups"])


def plant(tree):
    """What killed runs, other tools and the users themselves may have left."""
    (tree / "etc/.ddum.passwd.0123456789abcdef").write_text("left over\n")
    # Nobody has that process id: it is above every limit.
    left = tree / "home/.ddum-7fffffff00000001"
    (left / "dir").mkdir(parents=True, mode=0o700)
    left.chmod(0o700)
    (left / "dir/file").write_text("left over\n")
    ssh = tree / "home/alice/.ssh"
    (ssh / ".ddum-7fffffff00000002").write_text("left over\n")
    os.chown(ssh / ".ddum-7fffffff00000002", 2001, 2000)
    (ssh / "authorized_keys").unlink()
    (ssh / "authorized_keys").mkdir()
    os.chown(ssh / "authorized_keys", 2001, 2000)
    shutil.rmtree(tree / "home/erin/.ssh")
    (tree / "home/erin/.ssh").symlink_to("/root")
    os.chown(tree / "home/erin/.ssh", 2003, 2000, follow_symlinks=False)
    (tree / "home/frank/.ssh").chmod(0o777)
    os.link(tree / "etc/passwd", tree / "etc/passwd.link")
    (tree / "etc/passwd-").unlink(missing_ok=True)
    (tree / "etc/passwd.link").rename(tree / "etc/passwd-")


def base(tree):
    etc = tree / "etc"
    etc.mkdir(parents=True)
    for file in ORDER:
        shutil.copyfile(Path(fixture) / file, etc / file)
    for file, line in {
        "passwd": "dave:x:1500:1500:Dave,,,:/home/dave:/bin/sh\n",
        "shadow": "dave:*:19000:0:99999:7:::\n",
        "group": "dave:x:1500:\nops:x:1700:local\n",
        "gshadow": "dave:!::\nops:!::local\n",
    }.items():
        with open(etc / file, "a", encoding="utf-8") as out:
            out.write(line)
    for file, mode in {"passwd": 0o644, "group": 0o644, "shadow": 0o640, "gshadow": 0o640}.items():
        (etc / file).chmod(mode)
        os.chown(etc / file, 0, 0 if mode == 0o644 else 42)
    # The program that has the files open for writing, if any, is not ours; an attribute must be carried over.
    try:
        os.setxattr(etc / "passwd", "trusted.origin", b"image")
    except OSError:
        print("# NOT CHECKED: this file system keeps no attributes")
    (etc / "login.defs").write_text("UID_MIN 1000\nGID_MIN 1000\nHOME_MODE 0750\n")
    skel = etc / "skel"
    (skel / "bin").mkdir(parents=True)
    (skel / ".profile").write_text("umask 022\n")
    (skel / "bin/tool").write_text("#!/bin/sh\n")
    (skel / "bin/tool").chmod(0o755)
    (skel / "link").symlink_to("bin/tool")
    home = tree / "home/dave"
    home.mkdir(parents=True, mode=0o750)
    (home / "own").write_text("dave's\n")
    for path in [home, home / "own"]:
        os.chown(path, 1500, 1500)
    (tree / "root").mkdir(mode=0o700)
    (tree / "root/secret").write_text("root's\n")


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, **more)
    return done.returncode, done.stdout, done.stderr


class Place:
    """A directory with one tree and its tables."""

    def __init__(self, name):
        self.path = Path(area) / name
        self.path.mkdir(parents=True, exist_ok=True)
        self.tree = self.path / "tree"

    def fill(self, template):
        shutil.rmtree(self.tree, ignore_errors=True)
        subprocess.run(["cp", "-a", template, self.tree], check=True)

    def wants(self, wanted):
        for name, items in wanted.items():
            (self.path / f"{name}.json").write_text(json.dumps(items))

    def command(self):
        files = ["--users", str(self.path / "users.json"), "--groups", str(self.path / "groups.json")]
        return [binary, "--root", str(self.tree), *files, "sync"]

    def sync(self, *before):
        return run([*map(str, before), *self.command()])


def seen(path):
    info = path.lstat()
    if stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(info.st_mode):
        content = path.read_bytes()
    else:
        content = ""
    return stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, content


def state(tree):
    """Everything that somebody wanted: not the reports, the backups and the random part of a name."""
    found = {}
    for folder, dirs, files in os.walk(tree):
        if Path(folder) == tree:
            dirs[:] = [name for name in dirs if name != "run"]
        for name in dirs + files:
            path = Path(folder) / name
            if path.parent.name == "etc" and (name.endswith("-") or name == ".pwd.lock"):
                continue
            found[re.sub(r"aside-[0-9a-f]+", "aside", str(path.relative_to(tree)))] = seen(path)
    return found


def leftovers(tree):
    return sorted(str(path.relative_to(tree)) for path in tree.rglob(".ddum*"))


class Scenario:
    def __init__(self, name, wanted, begin):
        self.name, self.wanted = name, wanted
        self.template = Path(area) / f"{name}.template"
        begin(self.template)
        self.before = state(self.template)
        place = Place(f"{name}.clean")
        place.fill(self.template)
        place.wants(wanted)
        self.calls = {}
        for group in ["change", "read"]:
            place.fill(self.template)
            report = place.path / "calls"
            status, self.out, err = place.sync(inject, report, group, 0, "count")
            assert status == 0, f"{name}: {status}\n{self.out}{err}"
            self.calls[group] = [line.split(" ", 2)[1:] for line in report.read_text().splitlines()]
        self.after = state(place.tree)
        status, out, err = place.sync()
        assert (status, out) == (0, ""), f"{name}: a second sync is not silent: {status}\n{out}{err}"
        assert not leftovers(place.tree), leftovers(place.tree)

    def damage(self, tree):
        """Whether any file is neither the old one nor the new one; and files that are new too early."""
        now, problems, was_old = state(tree), [], None
        for file in ORDER:
            path = f"etc/{file}"
            old, new = self.before[path], self.after[path]
            if now.get(path) not in (old, new):
                problems.append(f"/{path} is neither the old one nor the new one")
            elif old != new:
                if now[path] == new and was_old:
                    problems.append(f"/{path} is new before {was_old}")
                if now[path] == old:
                    was_old = path
        for path, is_now in now.items():
            # The ledger knows of moves that are under way.
            if ".ddum" in path or path == "var/lib/ddum/ledger.json":
                continue
            allowed = [self.before.get(path), self.after.get(path)]
            # While ids change, owner and content come from either side.
            if is_now not in allowed and not any(
                side and is_now[0] == side[0] and is_now[4] == side[4] for side in allowed
            ):
                problems.append(f"/{path} is neither as before nor as wanted")
        for name in {str(Path(*Path(path).parts[:2])) for path in self.after if path.startswith("home/")}:
            if name in self.before or name not in now or ".ddum" in name:
                continue
            below = {path: what for path, what in now.items() if path == name or path.startswith(name + "/")}
            want = {path: what for path, what in self.after.items() if path == name or path.startswith(name + "/")}
            if below != want:
                problems.append(f"/{name} has its name, but is not whole")
        return problems

    def foreign(self, tree):
        """Lines of the four files that are gone, or whose names are neither old nor new."""
        problems = []
        for path in [f"etc/{file}" for file in ORDER]:
            names = [[line.split(b":")[0] for line in side[path][4].splitlines()] for side in (self.before, self.after)]
            now = [line.split(b":")[0] for line in (tree / path).read_bytes().splitlines()]
            if [name for name in now if name in names[0]] != names[0] or not set(now) <= set(sum(names, [])):
                problems.append(f"/{path} has lost lines, or has lines that nobody wanted")
        return problems

    def difference(self, tree):
        now = state(tree)
        paths = sorted(set(now) | set(self.after))
        return [f"/{path} is not as wanted" for path in paths if now.get(path) != self.after.get(path)]


def begin_changed(wanted, then=lambda tree: None):
    def begin(tree):
        base(tree)
        place = Place(f"{tree.name}.making")
        place.fill(tree)
        place.wants(wanted)
        status, out, err = place.sync()
        assert status == 0, f"{status}\n{out}{err}"
        shutil.rmtree(tree)
        place.tree.rename(tree)
        (tree / "home/carol/own").write_text("carol's\n")
        os.chown(tree / "home/carol/own", 2002, 2000)
        then(tree)

    return begin


def try_one(place, scenario, group, number, action):
    """One fault; what is wrong afterwards, and what it hit."""
    place.fill(scenario.template)
    place.wants(scenario.wanted)
    report = place.path / "calls"
    problems = []
    try:
        status, out, err = place.sync(inject, report, group, number, action)
    except subprocess.TimeoutExpired:
        return ["did not end within 60 s"], "", None
    hit = report.read_text().strip().split(" ", 1)[-1] if report.exists() else ""
    said = out + err
    # Without its ledger a run refuses what only the ledger allows, and does the rest.
    is_ledgerless = "ledger.json: cannot" in said or "ledger.json: not" in said
    problems += scenario.foreign(place.tree) if is_ledgerless else scenario.damage(place.tree)
    if SALT in said:
        problems.append("a password hash was shown")
    if "panicked" in said or status not in (0, 1, 3, 75, 128 + 9):
        problems.append(f"exit status {status}: {said[-300:]}")
    if action == "kill":
        if hit and status != 128 + 9:
            problems.append(f"was not killed: {status}")
    elif status == 0:
        # The ledger is made up for by the next update; so is a leftover that could not be removed.
        wrong = [what for what in scenario.difference(place.tree) if "/.ddum" not in what and "/ledger.json " not in what]
        problems += [f"exit status 0, but {what}" for what in wrong]
    # What belongs to a home or its keys names the user.
    elif not re.search(r"/(etc|home|var|run|tree)\b|^! (home|keys|user|group) \w", said, re.M):
        problems.append(f"no file is named: {said[-300:]}")
    again, out, err = place.sync()
    if again != 0:
        problems.append(f"the next sync exits {again}: {out}{err}")
    # What was planted in homes is looked for when one is made or written: an error then leaves it to the next time.
    old = [] if action == "kill" else [left for left in leftovers(place.tree) if "/.ddum-7fffffff" in left]
    wrong = [what for what in scenario.difference(place.tree) if not (old and "/.ddum-7fffffff" in what)]
    wrong = [what for what in wrong if not (is_ledgerless and "/ledger.json " in what)]
    problems += [f"after the next sync {what}" for what in wrong]
    problems += [f"after the next sync /{what} is left" for what in leftovers(place.tree) if what not in old]
    again, out, err = place.sync()
    if (again, out) != (0, ""):
        problems.append(f"the sync after the next is not silent: {again} {out}{err}")
    return problems, hit, status


scenarios = [
    Scenario("first", FIRST, base),
    Scenario("changed", CHANGED, begin_changed(FIRST)),
    Scenario("revoked", REVOKED, begin_changed(FIRST)),
    Scenario("mended", MENDED, begin_changed(FIRST, plant)),
]
for scenario in scenarios:
    names = Counter(call for call, *_ in scenario.calls["change"])
    print(f"# {scenario.name}: {len(scenario.calls['change'])} calls that change something,",
          f"{len(scenario.calls['read'])} that read;", ", ".join(f"{n} {c}" for c, n in names.most_common()))


def number_of(name):
    return getattr(errno, name)


ONCE = ["ENOSPC", "EIO", "EROFS", "EDQUOT", "EMFILE", "EINTR", "ENOMEM", "EPERM"]
STAYS = ["ENOSPC", "EIO", "EROFS"]
READS = ["EMFILE", "EIO", "ENOMEM"]
only = os.environ.get("FAULTS_ONLY", "")

cases = []
for scenario in scenarios:
    changes, reads = scenario.calls["change"], scenario.calls["read"]
    cases += [("killed", scenario, "change", at + 1, "kill") for at in range(len(changes))]
for scenario in scenarios:
    changes, reads = scenario.calls["change"], scenario.calls["read"]
    writes = [at + 1 for at, call in enumerate(changes) if call[0] == "write"]
    cases += [("short write", scenario, "change", at, "short") for at in writes]
    # Each errno at each call of the changing update; elsewhere three of them take turns.
    for at in range(len(changes)):
        names = ONCE if scenario.name == "changed" else [ONCE[(at + turn) % len(ONCE)] for turn in (0, 3, 6)]
        cases += [(name, scenario, "change", at + 1, f"E{number_of(name)}") for name in names]
        name = STAYS[at % len(STAYS)]
        cases += [(f"{name} from there on", scenario, "change", at + 1, f"S{number_of(name)}")]
    for at in range(len(reads)):
        name = READS[at % len(READS)]
        cases += [(f"{name} of a read", scenario, "read", at + 1, f"E{number_of(name)}")]
cases = [case for case in cases if only in f"{case[0]}/{case[1].name}/{case[3]}/"]

tried, harmed, skipped, told = Counter(), Counter(), Counter(), []
statuses = defaultdict(Counter)
free = [Place(f"worker{at}") for at in range(2)]


def work(case):
    kind, scenario, group, number, action = case
    if time.monotonic() > deadline:
        return case, None, "", None
    place = free.pop()
    try:
        return case, *try_one(place, scenario, group, number, action)
    finally:
        free.append(place)


started = time.monotonic()
with concurrent.futures.ThreadPoolExecutor(len(free)) as pool:
    for (kind, scenario, group, number, action), problems, hit, status in pool.map(work, cases):
        if problems is None:
            skipped[kind] += 1
            continue
        tried[kind] += 1
        statuses[kind][status] += 1
        if problems:
            harmed[kind] += 1
            told.append(f"{kind}, {scenario.name} call {number}, {hit} [{status}]: {'; '.join(problems)[:600]}")

print(f"\n{'fault':<24} {'cases':>6} {'harm':>6}  exit statuses")
for kind in sorted(tried):
    ends = ", ".join(f"{status}: {count}" for status, count in sorted(statuses[kind].items()))
    print(f"{kind:<24} {tried[kind]:>6} {harmed[kind]:>6}  {ends}")
print(f"{'all':<24} {sum(tried.values()):>6} {sum(harmed.values()):>6}  in {time.monotonic() - started:.0f} s")
if skipped:
    print(f"NOT TRIED for want of time: {sum(skipped.values())} cases: {dict(skipped)}")
for line in told[:200]:
    print(f"HARM: {line}")
sys.exit(1 if told else 0)
