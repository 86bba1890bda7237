"""A run of ddum under strace, as a list of operations on a model of the tree: what was changed, and what was synced."""

import os
import re
import stat
from dataclasses import dataclass

import trees

CALLS = """openat openat2 open creat write pwrite64 writev ftruncate fallocate copy_file_range sendfile fsync fdatasync syncfs
    sync fchown fchownat chown lchown fchmod fchmodat chmod fsetxattr fremovexattr rename renameat renameat2 unlinkat unlink
    rmdir mkdirat mkdir mknodat linkat link symlinkat symlink setresuid setresgid setfsuid setfsgid""".split()
LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)$")


@dataclass
class Operation:
    # ("entry", directory, name), ("data", inode) or ("meta", inode), and what it holds from here on.
    slot: tuple
    value: object
    told: str
    # How many operations there were when a sync of it came to its end.
    synced: int | None = None
    # The next one is part of the same step.
    is_half: bool = False


class Model:
    def __init__(self, tree):
        self.tree = str(tree)
        self.kinds, self.initial, self.now, self.operations = {}, {}, {}, []
        # What each sync was, and the one that counts for nothing, from 0.
        self.syncs, self.left_out = [], None
        self.root = self.adopt(self.tree, {})

    def adopt(self, path, seen):
        """Takes up what is there at the beginning; all of it counts as synced."""
        info = os.lstat(path)
        if info.st_ino in seen and not stat.S_ISDIR(info.st_mode):
            return seen[info.st_ino]
        inode = seen[info.st_ino] = len(self.kinds)
        meta = (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, trees.attributes(path))
        self.kinds[inode] = ("file", None)
        self.set_initial(("meta", inode), meta)
        if stat.S_ISDIR(info.st_mode):
            self.kinds[inode] = ("dir", None)
            for name in os.listdir(path):
                self.set_initial(("entry", inode, name), self.adopt(f"{path}/{name}", seen))
        elif stat.S_ISLNK(info.st_mode):
            self.kinds[inode] = ("symlink", os.readlink(path))
        else:
            with open(path, "rb") as file:
                self.set_initial(("data", inode), file.read())
        return inode

    def set_initial(self, slot, value):
        self.initial[slot] = self.now[slot] = value

    def set(self, slot, value, told):
        self.now[slot] = value
        self.operations.append(Operation(slot, value, told))

    def find(self, path):
        """(directory, name, inode) of a path of the tree; None outside of it, or below what is not there."""
        if path == self.tree:
            return None, "", self.root
        if not path.startswith(self.tree + "/"):
            return None
        parts, at = path[len(self.tree) + 1 :].split("/"), self.root
        for part in parts[:-1]:
            at = self.now.get(("entry", at, part))
            if at is None:
                return None
        return at, parts[-1], self.now.get(("entry", at, parts[-1]))

    def new(self, kind, target, mode, owner, data, place, told):
        inode = len(self.kinds)
        self.kinds[inode] = (kind, target)
        self.set_initial(("meta", inode), (mode, *owner, ()))
        if data is not None:
            self.set_initial(("data", inode), data)
        self.set(("entry", place[0], place[1]), inode, told)

    def sync(self, before, covers, told):
        """A sync that began after `before` operations has come to its end."""
        self.syncs.append(told)
        if self.left_out == len(self.syncs) - 1:
            return
        for op in self.operations[:before]:
            if op.synced is None and covers(op.slot):
                op.synced = len(self.operations)

    def differences(self, tree):
        """Where the model, all of it written, is not the tree."""
        wrong = []

        def compare(inode, path):
            there = trees.seen(path)
            mode, uid, gid, _ = self.now["meta", inode]
            if self.kinds[inode][0] != "symlink" and there[1:4] != (mode, uid, gid):
                wrong.append(f"{path}: {there[1:4]}, not {(oct(mode), uid, gid)}")
            if ("data", inode) in self.now and there[4] != self.now["data", inode]:
                wrong.append(f"{path}: other content")
            if self.kinds[inode][0] == "dir":
                names = {slot[2]: child for slot, child in self.now.items()
                         if slot[:2] == ("entry", inode) and child is not None}
                if set(names) != set(os.listdir(path)):
                    wrong.append(f"{path}: {sorted(set(names) ^ set(os.listdir(path)))} of only one")
                for name in set(names) & set(os.listdir(path)):
                    compare(names[name], path / name)

        compare(self.root, tree)
        return wrong


class Tracing:
    def __init__(self, tree):
        self.model = Model(tree)
        self.owners, self.begun = {}, {}

    def run(self, place):
        log = place.path / "strace"
        command = ["strace", "-f", "-y", "-xx", "-qq", "-s", "9999999", "-e", "trace=" + ",".join(f"?{c}" for c in CALLS)]
        status, out, err = place.sync(*command, "-e", "signal=none", "-o", log)
        assert status == 0, f"{status}\n{out}{err}"
        return self.read(place)

    def read(self, place):
        """The same from the trace of an earlier run, for the tree as it was before that."""
        for line in (place.path / "strace").read_text().splitlines():
            self.line(line)
        return self.model

    def line(self, line):
        pid, resumed, rest = LINE.match(line).groups()
        if rest.endswith("<unfinished ...>"):
            self.begun[pid] = (rest.removesuffix("<unfinished ...>"), len(self.model.operations))
            return
        before = len(self.model.operations)
        if resumed:
            first, before = self.begun.pop(pid)
            rest = first + rest
        call = re.match(r"(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?", rest)
        if not call:
            assert rest.startswith(("+++", "---")) or " = ?" in rest, line[:300]
            return
        name, text, result, opened = call.groups()
        if int(result) < 0:
            return
        arguments = split(text)
        told = f"{name}({', '.join(short(argument) for argument in arguments[:3])})"
        handler = getattr(self, "call_" + name, None)
        assert handler, f"no model of {name}"
        handler(pid, arguments, told, before=before, result=int(result), opened=plain(opened or ""))

    def owner(self, pid):
        return tuple(self.owners.get(pid, [0, 0]))

    def call_setresuid(self, pid, arguments, *_, **__):
        at = self.owners.setdefault(pid, [0, 0])
        at[0] = int(arguments[1]) if arguments[1] != "-1" else at[0]

    def call_setresgid(self, pid, arguments, *_, **__):
        at = self.owners.setdefault(pid, [0, 0])
        at[1] = int(arguments[1]) if arguments[1] != "-1" else at[1]

    def call_open(self, pid, arguments, told, opened, **_):
        mode = int(arguments[2], 8) if len(arguments) > 2 else 0
        self.open(pid, arguments[1], mode, told, opened)

    def call_openat(self, pid, arguments, told, opened, **_):
        mode = int(arguments[3], 8) if len(arguments) > 3 else 0
        self.open(pid, arguments[2], mode, told, opened)

    def call_openat2(self, pid, arguments, told, opened, **_):
        flags = re.search(r"flags=([A-Z_|0-9a-z]+)", arguments[2]).group(1)
        mode = re.search(r"mode=(\d+)", arguments[2])
        self.open(pid, flags, int(mode.group(1), 8) if mode else 0, told, opened)

    def open(self, pid, flags, mode, told, opened):
        assert "O_TMPFILE" not in flags and "O_APPEND" not in flags, told
        place = self.model.find(opened)
        if not place:
            return
        if place[2] is None:
            assert "O_CREAT" in flags, told
            self.model.new("file", None, mode & ~0o022, self.owner(pid), b"", place, told)
        elif "O_TRUNC" in flags and self.model.now["data", place[2]]:
            self.model.set(("data", place[2]), b"", told)

    def file(self, argument):
        place = self.model.find(described(argument))
        return place and place[2]

    def call_write(self, _, arguments, told, result, **__):
        inode = self.file(arguments[0])
        if inode is not None:
            data = string(arguments[1])[:result]
            self.model.set(("data", inode), self.model.now["data", inode] + data, told)

    def call_ftruncate(self, _, arguments, told, **__):
        inode = self.file(arguments[0])
        if inode is not None:
            size = int(arguments[1])
            self.model.set(("data", inode), self.model.now["data", inode][:size].ljust(size, b"\0"), told)

    def meta(self, inode, told, mode=None, uid=-1, gid=-1, attributes=None):
        if inode is not None:
            now = self.model.now["meta", inode]
            new = (now[0] if mode is None else mode, now[1] if uid == -1 else uid, now[2] if gid == -1 else gid)
            self.model.set(("meta", inode), (*new, now[3] if attributes is None else attributes), told)

    def call_fchmod(self, _, arguments, told, **__):
        self.meta(self.file(arguments[0]), told, mode=int(arguments[1], 8))

    def call_fchmodat(self, _, arguments, told, **__):
        place = self.model.find(joined(arguments[0], arguments[1]))
        self.meta(place and place[2], told, mode=int(arguments[2], 8))

    def call_fchown(self, _, arguments, told, **__):
        self.meta(self.file(arguments[0]), told, uid=int(arguments[1]), gid=int(arguments[2]))

    def call_fchownat(self, _, arguments, told, **__):
        place = self.model.find(joined(arguments[0], arguments[1]))
        self.meta(place and place[2], told, uid=int(arguments[2]), gid=int(arguments[3]))

    def call_fsetxattr(self, _, arguments, told, **__):
        inode = self.file(arguments[0])
        if inode is not None:
            have = dict(self.model.now["meta", inode][3])
            have[string(arguments[1]).decode()] = string(arguments[2])
            self.meta(inode, told, attributes=tuple(sorted(have.items())))

    def call_fremovexattr(self, _, arguments, told, **__):
        inode = self.file(arguments[0])
        if inode is not None:
            gone = string(arguments[1]).decode()
            have = self.model.now["meta", inode][3]
            self.meta(inode, told, attributes=tuple(each for each in have if each[0] != gone))

    def call_mkdirat(self, pid, arguments, told, **_):
        place = self.model.find(joined(arguments[0], arguments[1]))
        if place:
            self.model.new("dir", None, int(arguments[2], 8) & ~0o022, self.owner(pid), None, place, told)

    def call_symlinkat(self, pid, arguments, told, **_):
        place = self.model.find(joined(arguments[1], arguments[2]))
        if place:
            self.model.new("symlink", string(arguments[0]).decode(), 0o777, self.owner(pid), None, place, told)

    def call_unlinkat(self, _, arguments, told, **__):
        place = self.model.find(joined(arguments[0], arguments[1]))
        if place:
            self.model.set(("entry", place[0], place[1]), None, told)

    def call_linkat(self, _, arguments, told, **__):
        old, new = self.model.find(joined(arguments[0], arguments[1])), self.model.find(joined(arguments[2], arguments[3]))
        if old and new:
            self.model.set(("entry", new[0], new[1]), old[2], told)

    def call_renameat(self, _, arguments, told, **__):
        old, new = self.model.find(joined(arguments[0], arguments[1])), self.model.find(joined(arguments[2], arguments[3]))
        if old and new:
            assert "RENAME_EXCHANGE" not in arguments[-1], told
            self.model.set(("entry", new[0], new[1]), old[2], told)
            self.model.operations[-1].is_half = True
            self.model.set(("entry", old[0], old[1]), None, told)

    call_renameat2 = call_renameat

    def call_fsync(self, _, arguments, told, *__, before, **___):
        inode = self.file(arguments[0])
        if inode is not None:
            self.model.sync(before, lambda slot: slot[1] == inode, told)

    def call_fdatasync(self, _, arguments, told, *__, before, **___):
        inode = self.file(arguments[0])
        if inode is not None:
            self.model.sync(before, lambda slot: slot[1] == inode and slot[0] != "meta", told)

    def call_syncfs(self, _, arguments, told, *__, before, **___):
        if self.file(arguments[0]) is not None:
            self.model.sync(before, lambda slot: True, told)


def split(text):
    """The arguments of a call: no string of strace -xx holds a comma or a bracket of its own."""
    parts, depth = [""], 0
    for each in re.split(r"([,{}\[\]])", text):
        depth += each in ("{", "[")
        depth -= each in ("}", "]")
        if each == "," and not depth:
            parts.append("")
        else:
            parts[-1] += each
    return [part.strip() for part in parts]


def plain(text):
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m.group(1), 16)), text).encode("latin-1").decode()


def string(argument):
    assert argument.startswith('"') and argument.endswith('"'), argument[:100]
    return bytes.fromhex(argument[1:-1].replace("\\x", ""))


def described(argument):
    """The path of an open file, as strace -y has it."""
    found = re.match(r"(?:\d+|AT_FDCWD)<(.*)>$", argument)
    return plain(found.group(1)) if found else ""


def joined(directory, name):
    name = string(name).decode()
    return name if name.startswith("/") else described(directory) + ("/" + name if name else "")


def short(argument):
    found = re.fullmatch(r'"((?:\\x..)*)"', argument)
    if found:
        return repr(string(argument)[:40].decode(errors="replace"))
    return plain(argument)[-60:]
