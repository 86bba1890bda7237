"""ddum is killed at, or refused, each of the system calls that change something; and what is left is judged.

    faults.py BINARY INJECT FIXTURE DIRECTORY [--sample N] [--seed N] [--only TEXT]

Works in small trees below DIRECTORY, which should be a tmpfs. Prints a table; exits 1 if there was any harm. A sample
has every kill, every short write and every refused thread, and of the errors as many as asked for.
"""

import argparse
import concurrent.futures
import errno
import random
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict

import trees

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for each in ["binary", "inject", "fixture", "directory"]:
    arguments.add_argument(each)
arguments.add_argument("--sample", type=int, help="so many errors, drawn by the seed; else all")
arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
arguments.add_argument("--only", default="", help="cases whose KIND/SCENARIO/NUMBER/ holds this")
options = arguments.parse_args()
bench = trees.Bench(options.binary, options.inject, options.fixture, options.directory)


def try_one(place, scenario, group, number, action):
    """One fault; what is wrong afterwards, and what it hit."""
    place.fill(scenario.template)
    place.wants(scenario.wanted)
    report = place.path / "calls"
    problems = []
    try:
        status, out, err = place.sync(bench.inject, report, group, number, action)
    except subprocess.TimeoutExpired:
        return ["it does not end"], "", None
    hit = report.read_text().strip().split(" ", 1)[-1] if report.exists() else ""
    said = out + err
    # Without its ledger a run refuses what only the ledger allows, and does the rest.
    is_ledgerless = "ledger.json: cannot" in said or "ledger.json: not" in said
    problems += scenario.foreign(place.tree) if is_ledgerless else scenario.damage(place.tree)
    if trees.SALT in said:
        problems.append("a password hash was shown")
    # Where memory is refused, the allocator ends the program, or the loader does not begin it; and a thread that gets
    # no stack for its signals panics before it is ours.
    is_poor, told = group == "memory", said
    if is_poor:
        told = re.sub(r"internal error at /rustc/\w+/library/std/src/sys/pal/unix/stack_overflow.rs", "", said)
    given_up = [128 + 6, 127] if is_poor else []
    if is_poor and ("stack_overflow.rs" in said or not said):
        given_up.append(128 + 11)
    if "internal error" in told or status not in (0, 1, 3, 75, 128 + 9, *given_up):
        problems.append(f"exit status {status}: {said[-300:]}")
    if action == "kill":
        if hit and status != 128 + 9:
            problems.append(f"was not killed: {status}")
    elif status == 0:
        # The ledger is made up for by the next update; so is a leftover that could not be removed.
        wrong = [what for what in scenario.difference(place.tree) if "/.ddum" not in what and "/ledger.json " not in what]
        problems += [f"exit status 0, but {what}" for what in wrong]
    elif group == "thread":
        if "thread" not in said or "accounts left as they were" not in said and not re.search("^! (home|keys) ", said, re.M):
            problems.append(f"no thread is named, or not what follows: {said[-300:]}")
    elif is_poor:
        pass
    # An account file is named by its name; what belongs to a home or its keys names the user.
    elif action[0] == "E" and (file := re.search(r"/etc/\.ddum\.([a-z]+)-?\.", hit)) and not re.search(rf"/etc/(\.ddum\.)?{file[1]}\b", said):
        problems.append(f"/etc/{file[1]} is not named: {said[-300:]}")
    elif not re.search(r"/(etc|home|var|run|tree)\b|^! (home|keys|user|group) \w", said, re.M):
        problems.append(f"no file is named: {said[-300:]}")
    again, out, err = place.sync()
    if again != 0:
        problems.append(f"the next sync exits {again}: {out}{err}")
    # What was planted in homes is looked for when one is made or written: an error then leaves it to the next time.
    old = [] if action == "kill" else [left for left in trees.leftovers(place.tree) if "/.ddum-7fffffff" in left]
    wrong = [what for what in scenario.difference(place.tree) if not (old and "/.ddum-7fffffff" in what)]
    wrong = [what for what in wrong if not (is_ledgerless and "/ledger.json " in what)]
    problems += [f"after the next sync {what}" for what in wrong]
    problems += [f"after the next sync /{what} is left" for what in trees.leftovers(place.tree) if what not in old]
    again, out, err = place.sync()
    if (again, out) != (0, ""):
        problems.append(f"the sync after the next is not silent: {again} {out}{err}")
    return problems, hit, status


scenarios = trees.scenarios(bench)
for scenario in scenarios:
    names = Counter(call for call, *_ in scenario.calls["change"])
    print(f"# {scenario.name}: {len(scenario.calls['change'])} calls that change something,",
          f"{len(scenario.calls['read'])} that read, {len(scenario.calls['thread'])} that start a thread,",
          f"{len(scenario.calls['memory'])} that ask for memory;", ", ".join(f"{n} {c}" for c, n in names.most_common()))


def number_of(name):
    return getattr(errno, name)


ONCE = ["ENOSPC", "EIO", "EROFS", "EDQUOT", "EMFILE", "EINTR", "ENOMEM", "EPERM"]
STAYS = ["ENOSPC", "EIO", "EROFS", "EDQUOT"]
READS = ["EMFILE", "EIO", "ENOMEM", "EINTR"]


def every(kind, scenario, group, action):
    return [(kind, scenario, group, at + 1, action) for at in range(len(scenario.calls[group]))]


always, errors = [], []
for scenario in scenarios:
    always += every("killed", scenario, "change", "kill")
    writes = [at + 1 for at, call in enumerate(scenario.calls["change"]) if call[0] == "write"]
    always += [("short write", scenario, "change", at, "short") for at in writes]
    always += every("no thread", scenario, "thread", f"E{errno.EAGAIN}")
    always += every("no thread from there on", scenario, "thread", f"S{errno.EAGAIN}")
    always += every("no memory", scenario, "memory", f"E{errno.ENOMEM}")
    # Each thread that does not come is waited for.
    errors += every("no memory from there on", scenario, "memory", f"S{errno.ENOMEM}")
    for name in ONCE:
        errors += every(name, scenario, "change", f"E{number_of(name)}")
    for name in STAYS:
        errors += every(f"{name} from there on", scenario, "change", f"S{number_of(name)}")
    for name in READS:
        errors += every(f"{name} of a read", scenario, "read", f"E{number_of(name)}")
print(f"# seed {options.seed}")
whole = len(always + errors)
if options.sample and options.sample < len(errors):
    errors = random.Random(options.seed).sample(errors, options.sample)
cases = [case for case in always + errors if options.only in f"{case[0]}/{case[1].name}/{case[3]}/"]

tried, harmed, told = Counter(), Counter(), []
statuses = defaultdict(Counter)
free = [bench.place(f"worker{at}") for at in range(2)]


def work(case):
    kind, scenario, group, number, action = case
    place = free.pop()
    try:
        return case, *try_one(place, scenario, group, number, action)
    finally:
        free.append(place)


started = time.monotonic()
with concurrent.futures.ThreadPoolExecutor(len(free)) as pool:
    for (kind, scenario, group, number, action), problems, hit, status in pool.map(work, cases):
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
if len(cases) < whole:
    print(f"# {len(cases)} of {whole} cases; DDUM_FAULTS=all tries each")
for line in told[:200]:
    print(f"HARM: {line}")
sys.exit(1 if told else 0)
