"""Power loss: what a disk may hold after ddum's system calls up to any point, judged state by state.

    power.py BINARY FIXTURE DIRECTORY [--seconds N] [--random N] [--seed N] [--leave-out]

Few kernels of test machines can lose writes (dm-log-writes, dm-flakey), so this replays them: each scenario is run
once under strace, every change of the tree becomes an operation on a model (a directory entry, a file's bytes, a
file's owner and mode), and every fsync, fdatasync and syncfs says which operations it put on disk. The model keeps to
what POSIX promises and to nothing that some file system adds: syncing a file does not sync its name. At the end of the
trace the model must be the tree that the run left, or the trace was not understood and the test fails.

A crash after any operation then leaves, with all that had been synced by then:
  dropped   nothing else;
  ordered   any first part of the names and owners that were not, as of a journal, and no byte that was not;
  zeros     the same, and files as long as they should be that hold zeros;
  random    such a first part, and of each file any of its states, and bytes cut anywhere;
  torn      each name, owner and file of its own, as of a file system that keeps no order and may do one half of a
            rename. What was to be removed may then be there again, or belong to root: it is not counted as stray.

With --leave-out the test tries itself: each sync in its turn counts for nothing, and then there must be harm.

Each state is put into a tree: the account files must be whole, and new in the order of their renames, keys and homes
old or new, pwck and grpck have nothing new to say, and the next sync ends with the wanted state and leaves no stray
file.
"""

import argparse
import concurrent.futures
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import trees
from tracing import Tracing


class Disk:
    """What the model says of the states that a crash may leave."""

    def __init__(self, model):
        self.model = model
        self.slots = {}
        count = len(model.operations)
        # A crash does not come between the halves of a rename.
        self.points = [at for at in range(count + 1) if not (at and model.operations[at - 1].is_half)]
        for at, op in enumerate(model.operations):
            self.slots.setdefault(op.slot, []).append(at)

    def crashes(self, rng, count):
        """(kind, crash point, choice of each slot) of every crash."""
        ops = self.model.operations
        # First what is left when all was done: of equal states the first one counts, and of this most is asked.
        yield "dropped", self.points[-1], None
        # A point at which a sync has just come to its end differs from the one before it.
        synced = sorted({op.synced for op in ops if op.synced is not None})
        for first in self.points:
            yield "dropped", first, None
            for point in [first] + [at for at in synced if at > first]:
                for kind in ["ordered", "zeros"]:
                    yield kind, point, first
        for _ in range(count):
            for kind in ["random", "torn"]:
                yield kind, rng.choice(self.points), random.Random(rng.random())

    def few(self, rng):
        """Of these, the ones that a missing sync shows in first: the names of all that was done, or of a part."""
        for point in reversed(self.points):
            yield "dropped", point, None
            for cut in [point, rng.choice([at for at in self.points if at <= point])]:
                yield "ordered", point, cut
                yield "zeros", point, cut
            for kind in ["random", *["torn"] * 3]:
                yield kind, point, random.Random(rng.random())

    def state(self, kind, point, choice):
        """The slots of one crash: what each holds."""
        ops, found = self.model.operations, {}
        cut = choice.choice(self.points) if kind == "random" else choice
        for slot, history in self.slots.items():
            past = [at for at in history if at < point]
            durable = [at for at in past if ops[at].synced is not None and ops[at].synced <= point]
            floor = durable[-1] if durable else None
            loose = past if floor is None else [at for at in past if at > floor]
            is_data = slot[0] == "data"
            if kind == "dropped" or not loose or (is_data and kind in ["ordered", "zeros"]):
                pick = floor
            elif is_data or kind == "torn":
                pick = choice.choice([floor, *loose])
            else:
                pick = max((at for at in loose if at < cut), default=floor)
            value = self.model.initial.get(slot) if pick is None else ops[pick].value
            if is_data and loose and kind == "zeros":
                value = bytes(len(ops[loose[-1]].value))
            if is_data and loose and kind in ["random", "torn"] and choice.random() < 0.3:
                longest = ops[loose[-1]].value
                value = longest[: choice.randrange(len(longest) + 1)]
            found[slot] = value
        return found

    def build(self, state, tree):
        """Makes the tree of a state, from the template's root on."""
        model = self.model
        values = {**model.initial, **state}
        entries = {}
        for slot, inode in values.items():
            if slot[0] == "entry" and inode is not None:
                entries.setdefault(slot[1], {})[slot[2]] = inode
        listed, links = [], {}

        def make(inode, path, above):
            kind, target = model.kinds[inode]
            if inode in links:
                listed.append(("link", path, links[inode]))
                return
            if kind == "dir":
                if inode in above:
                    return
                listed.append(("dir", path, None))
                for name, child in sorted(entries.get(inode, {}).items()):
                    make(child, path + "/" + name, above | {inode})
            elif kind == "symlink":
                listed.append(("symlink", path, target))
            else:
                links[inode] = path
                listed.append(("file", path, values.get(("data", inode), b"")))
            listed.append(("meta", path, values[("meta", inode)]))

        make(model.root, "", frozenset())
        if tree is not None:
            put(listed, tree)
        return listed


def put(listed, tree):
    shutil.rmtree(tree, ignore_errors=True)
    for what, path, value in listed:
        at = Path(str(tree) + path)
        if what == "dir":
            at.mkdir(mode=0o755)
        elif what == "symlink":
            at.symlink_to(value)
        elif what == "file":
            at.write_bytes(value)
        elif what == "link":
            at.hardlink_to(str(tree) + value)
        elif what == "meta":
            trees.settle(at, *value)


# Between two of the four renames a line may lack its partner in the other file, or a member, and nothing else.
PARTNER = "no matching|^(delete line|add user|add group) '|is a member of the '.*' group in .* but not in "
CHECKED = {}


def checkers(tree):
    """What pwck and grpck complain of, kept for equal files."""
    files = [(tree / "etc" / name).read_bytes() for name in trees.ORDER]
    key = hash(tuple(files))
    if key not in CHECKED:
        said = []
        for tool, names in [("pwck", ["passwd", "shadow"]), ("grpck", ["group", "gshadow"])]:
            command = [tool, "-r", *([] if tool == "grpck" else ["-q"]), *(str(tree / "etc" / name) for name in names)]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
            said += [line.replace(str(tree), "") for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        # The last line of each, "no changes", and homes, which these tools look for on this machine.
        CHECKED[key] = {line for line in said if "no changes" not in line and "directory" not in line}
    return CHECKED[key]


def damage(place, scenario, is_over):
    problems = scenario.damage(place.tree)
    # A backup is an older file, whole.
    for file in trees.ORDER:
        backup, old = place.tree / f"etc/{file}-", scenario.template / f"etc/{file}-"
        wholes = [each.read_bytes() for each in (scenario.template / f"etc/{file}", old) if each.exists()]
        if backup.exists() and backup.read_bytes() not in wholes:
            problems.append(f"/etc/{file}- is no older /etc/{file}")
    # What was told to be done stays done.
    if is_over:
        problems += [f"it had ended, and {what}" for what in scenario.difference(place.tree)]
    return problems


def judge(place, scenario, kind, known, is_over=False):
    problems = damage(place, scenario, is_over)
    said = {line for line in checkers(place.tree) - known if not re.search(PARTNER, line)}
    problems += [f"new to pwck or grpck: {line}" for line in sorted(said)]
    status, out, err = place.sync()
    if trees.SALT in out + err:
        problems.append("a password hash was shown")
    if status != 0:
        problems.append(f"the next sync exits {status}: {out}{err}")
    problems += [f"after the next sync {what}" for what in scenario.difference(place.tree)]
    problems += [f"after the next sync /{what} is left" for what in trees.leftovers(place.tree)]
    status, out, err = place.sync()
    if (status, out) != (0, ""):
        problems.append(f"the sync after the next is not silent: {status} {out}{err}")
    if kind == "torn":
        problems = [what for what in problems if not re.search(r"/\.ddum|\.ddum-aside is ", what)]
    return problems


def leave_out(place, scenario, known, rng):
    """Which syncs of a traced run are needed: without one of them, some state that it allows is harmful."""
    def model_without(sync):
        place.fill(scenario.template)
        tracing = Tracing(place.tree)
        tracing.model.left_out = sync
        return tracing.read(place)

    whole = Disk(model_without(None))
    allowed = {hash(str(whole.build(whole.state(*case), None))) for case in whole.few(rng)}
    needed, spare = 0, Counter()
    for sync, told in enumerate(whole.model.syncs):
        disk, more = Disk(model_without(sync)), {}
        for case in disk.few(rng):
            state = disk.state(*case)
            key = hash(str(disk.build(state, None)))
            is_over = case[:2] == ("dropped", disk.points[-1])
            if key not in allowed or is_over:
                more.setdefault(key, (case[0], is_over, state))
        states = list(more.values())
        rng.shuffle(states)
        tried = []
        # What is damaged shows at once; what the next sync cannot mend takes two syncs to see.
        for kind, is_over, state in states + states[:40]:
            disk.build(state, place.tree)
            is_quick = len(tried) < len(states)
            tried.append(state)
            place.wants(scenario.wanted)
            if damage(place, scenario, is_over) if is_quick else judge(place, scenario, kind, known):
                needed += 1
                break
        else:
            spare[re.sub(r"[0-9a-f]{16}", "*", told.replace(str(place.tree), ""))] += 1
    print(f"# {scenario.name}: {needed} of {len(whole.model.syncs)} syncs are needed", flush=True)
    for told, count in spare.items():
        print(f"#   none of the states that were tried needs {told}" + (f", {count} times" if count > 1 else ""))
    return needed


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["binary", "fixture", "directory"]:
        arguments.add_argument(name)
    arguments.add_argument("--seconds", type=float, default=1e9)
    arguments.add_argument("--random", type=int, default=1000, help="random crashes of each scenario")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--leave-out", action="store_true", help="try which syncs are needed, and nothing else")
    options = arguments.parse_args()
    deadline = time.monotonic() + options.seconds
    bench = trees.Bench(options.binary, None, options.fixture, options.directory)
    rng = random.Random(options.seed)
    print(f"# seed {options.seed}")
    cases, known = [], {}
    for scenario in trees.scenarios(bench):
        place = bench.place(f"{scenario.name}.traced")
        place.fill(scenario.template)
        known[scenario.name] = checkers(place.tree)
        place.wants(scenario.wanted)
        model = Tracing(place.tree).run(place)
        known[scenario.name] = known[scenario.name] | checkers(place.tree)
        wrong = model.differences(place.tree)
        if wrong:
            sys.exit(f"HARM: {scenario.name}: the trace was not understood: {wrong[:5]}")
        if options.leave_out:
            if not leave_out(place, scenario, known[scenario.name], rng):
                sys.exit(f"HARM: {scenario.name}: no sync is needed, so this test can see nothing")
            continue
        disk, states, told = Disk(model), {}, Counter()
        for kind, point, choice in disk.crashes(rng, options.random):
            state = disk.state(kind, point, choice)
            told[kind] += 1
            states.setdefault(hash(str(disk.build(state, None))), (kind, point, state))
        shown = ", ".join(f"{count} {kind}" for kind, count in told.items())
        print(f"# {scenario.name}: {len(model.operations)} operations, {len(model.syncs)} syncs; crashes: {shown};"
              f" {len(states)} states that differ")
        cases.append([(scenario, disk, *case) for case in states.values()])
    if options.leave_out:
        return
    mixed = [case for each in cases for case in each]
    # What a short run leaves out is another part each time.
    rng.shuffle(mixed)
    free = [bench.place(f"worker{at}") for at in range(2)]
    tried, harmed, told, skipped = Counter(), Counter(), [], 0

    def work(case):
        scenario, disk, kind, point, state = case
        if time.monotonic() > deadline:
            return case, None
        place = free.pop()
        try:
            disk.build(state, place.tree)
            place.wants(scenario.wanted)
            is_over = kind == "dropped" and point == disk.points[-1]
            return case, judge(place, scenario, kind, known[scenario.name], is_over)
        finally:
            free.append(place)

    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(free)) as pool:
        for (scenario, disk, kind, point, _), problems in pool.map(work, mixed):
            if problems is None:
                skipped += 1
                continue
            tried[scenario.name, kind] += 1
            if problems:
                harmed[scenario.name, kind] += 1
                ops = disk.model.operations
                after = ops[point - 1].told if point else "nothing"
                told.append(f"{scenario.name}, {kind}, {point} {after}: {'; '.join(problems)[:600]}")
    print(f"\n{'power lost':<24} {'states':>6} {'harm':>6}")
    for name, kind in sorted(tried):
        print(f"{name + ', ' + kind:<24} {tried[name, kind]:>6} {harmed[name, kind]:>6}")
    print(f"{'all':<24} {sum(tried.values()):>6} {sum(harmed.values()):>6}  in {time.monotonic() - started:.0f} s")
    if skipped:
        print(f"NOT TRIED for want of time: {skipped} states")
    for line in told[:100]:
        print(f"HARM: {line}")
    sys.exit(1 if told else 0)


if __name__ == "__main__":
    main()
