"""Small trees in which ddum works, the tables that it follows there, and what may be of them after a fault.

Every test that breaks something begins with a Bench: where the binary is, and where trees are made (a tmpfs, best).
"""

import json
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

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


def base(bench, tree):
    etc = tree / "etc"
    etc.mkdir(parents=True)
    for file in ORDER:
        shutil.copyfile(Path(bench.fixture) / file, etc / file)
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
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, **more)
    return done.returncode, done.stdout, done.stderr


@dataclass
class Bench:
    binary: str
    # Without it, nothing is counted.
    inject: str | None
    fixture: str
    area: str

    def place(self, name):
        return Place(self, name)


class Place:
    """A directory with one tree and its tables."""

    def __init__(self, bench, name):
        self.bench = bench
        self.path = Path(bench.area) / name
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
        return [self.bench.binary, "--root", str(self.tree), *files]

    def sync(self, *before):
        return run([*map(str, before), *self.command(), "sync"])


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
    def __init__(self, bench, name, wanted, begin):
        self.name, self.wanted = name, wanted
        self.template = Path(bench.area) / f"{name}.template"
        begin(bench, self.template)
        self.before = state(self.template)
        place = bench.place(f"{name}.clean")
        place.fill(self.template)
        place.wants(wanted)
        self.calls = {}
        for group in ["change", "read", "thread", "memory"]:
            place.fill(self.template)
            report = place.path / "calls"
            counting = [bench.inject, report, group, 0, "count"] if bench.inject else []
            status, self.out, err = place.sync(*counting)
            assert status == 0, f"{name}: {status}\n{self.out}{err}"
            if counting:
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
        # shadow-utils empties a backup before it writes it: one that is the live file, too, would be lost with it.
        for file in ORDER:
            pairs = [[place / "etc" / file, place / f"etc/{file}-"] for place in (tree, self.template)]
            linked = [all(each.exists() for each in pair) and os.path.samefile(*pair) for pair in pairs]
            if linked == [True, False]:
                problems.append(f"/etc/{file} is its own backup")
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
    def begin(bench, tree):
        base(bench, tree)
        place = bench.place(f"{tree.name}.making")
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


def scenarios(bench):
    return [
        Scenario(bench, "first", FIRST, base),
        Scenario(bench, "changed", CHANGED, begin_changed(FIRST)),
        Scenario(bench, "revoked", REVOKED, begin_changed(FIRST)),
        Scenario(bench, "mended", MENDED, begin_changed(FIRST, plant)),
    ]


def attributes(path):
    """The extended attributes of a file, as a tuple that sorts."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return tuple(sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in names))
    except OSError:
        return ()


def settle(path, mode, uid, gid, extended):
    os.chown(path, uid, gid, follow_symlinks=False)
    if not path.is_symlink():
        path.chmod(mode)
        for name, value in extended:
            os.setxattr(path, name, value)
