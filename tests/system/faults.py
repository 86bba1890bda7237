"""ddum is killed at, or refused, each of the system calls that change something; and what is left is judged.

    faults.py BINARY INJECT FIXTURE DIRECTORY [SECONDS]

Works in small trees below DIRECTORY, which should be a tmpfs. Prints a table; exits 1 if there was any harm. With fewer
SECONDS than all cases need, every case of a class is tried before the next class, and what was left out is said.
"""

import concurrent.futures
import errno
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict

import trees

bench = trees.Bench(*sys.argv[1:5])
deadline = time.monotonic() + float(sys.argv[5] if len(sys.argv) > 5 else 1e9)


def try_one(place, scenario, group, number, action):
    """One fault; what is wrong afterwards, and what it hit."""
    place.fill(scenario.template)
    place.wants(scenario.wanted)
    report = place.path / "calls"
    problems = []
    try:
        status, out, err = place.sync(bench.inject, report, group, number, action)
    except subprocess.TimeoutExpired:
        return ["did not end within 60 s"], "", None
    hit = report.read_text().strip().split(" ", 1)[-1] if report.exists() else ""
    said = out + err
    # Without its ledger a run refuses what only the ledger allows, and does the rest.
    is_ledgerless = "ledger.json: cannot" in said or "ledger.json: not" in said
    problems += scenario.foreign(place.tree) if is_ledgerless else scenario.damage(place.tree)
    if trees.SALT in said:
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
free = [bench.place(f"worker{at}") for at in range(2)]


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
