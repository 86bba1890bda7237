"""The daemon is killed before each system call of its life that changes something; another takes its place.

    daemon_kills.py BINARY INJECT FIXTURE DIRECTORY [--sample N] [--seed N]

One life: it starts, makes its first update, meets changed tables by SIGUSR1 or SIGHUP, is told to stop. After each kill
the account files are judged, useradd and userdel must work at once, and a daemon that starts with the same pidfile must
bring everything to where it should be, and leave nothing behind.
"""

import argparse
import concurrent.futures
import queue
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import trees

SUMMARY = re.compile(r" users? and \d+ groups? from ")
# Longer than a start takes on a busy machine, shorter than any wait for a lock.
AT_ONCE = 12
# Where the first update already meets the wanted tables; in the others it has nothing to do.
AT_START = ["first", "mended"]
PIDFILE = "run/ddum.pid"


class Daemon:
    def __init__(self, place, *before):
        command = [*map(str, before), *place.command(), "-f", "-p", "/" + PIDFILE]
        self.place, self.started = place, time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self.lines, self.said = queue.Queue(), []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.said.append(line)
            if SUMMARY.search(line):
                self.lines.put(line)
        self.lines.put(None)

    def updated(self, seconds=120):
        """Waits for the end of an update; false when the daemon ended instead."""
        try:
            return self.lines.get(timeout=seconds) is not None
        except queue.Empty:
            raise TimeoutError("no update came to its end: " + "".join(self.said)[-300:]) from None

    def tell(self, number):
        try:
            pid = int((self.place.tree / PIDFILE).read_text())
            # Its parent may be the injector, and nobody else may be meant.
            if "ddum" in open(f"/proc/{pid}/comm", encoding="utf-8").read():
                subprocess.run(["kill", f"-{int(number)}", str(pid)], check=False, stderr=subprocess.DEVNULL)
        except (OSError, ValueError):
            pass

    def ended(self):
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise TimeoutError("it does not stop: " + "".join(self.said)[-300:]) from None


def live(place, scenario, how, *before):
    """The life of a daemon; its exit status and what it said."""
    is_first = scenario.name in AT_START
    place.wants(scenario.wanted if is_first else trees.FIRST)
    daemon = Daemon(place, *before)
    if daemon.updated() and not is_first:
        place.wants(scenario.wanted)
        daemon.tell(how)
        daemon.updated()
    daemon.tell(signal.SIGTERM)
    status = daemon.ended()
    place.wants(scenario.wanted)
    return status, "".join(daemon.said)


def others(tree):
    """Another tool takes the locks and does its work."""
    problems = []
    for command in (["useradd", "-N", "-g", "0", "-M", "probe"], ["userdel", "probe"]):
        started = time.monotonic()
        status, out, err = trees.run([command[0], "--root", str(tree), *command[1:]])
        if status or time.monotonic() - started > AT_ONCE:
            problems.append(f"{command[0]} exits {status} after {time.monotonic() - started:.1f} s: {out}{err}")
    return problems


def try_one(place, scenario, how, number):
    place.fill(scenario.template)
    report = place.path / "calls"
    status, said = live(place, scenario, how, place.bench.inject, report, "change", number, "kill")
    hit = report.read_text().strip().split(" ", 1)[-1]
    problems = scenario.damage(place.tree)
    if hit and status != 128 + signal.SIGKILL or not hit and status != 0:
        problems.append(f"the daemon ends with {status}: {said[-300:]}")
    problems += others(place.tree)
    daemon = Daemon(place)
    if not daemon.updated() or time.monotonic() - daemon.started > AT_ONCE:
        problems.append(f"the next daemon took {time.monotonic() - daemon.started:.1f} s")
    problems += others(place.tree)
    daemon.tell(signal.SIGTERM)
    status = daemon.ended()
    said += "".join(daemon.said)
    if status != 0 or "error" in "".join(daemon.said):
        problems.append(f"the next daemon ends with {status}: {daemon.said}")
    if trees.SALT in said or "internal error" in said:
        problems.append("a password hash was shown, or it panicked")
    problems += [f"after the next daemon {what}" for what in scenario.difference(place.tree)]
    problems += [f"after the next daemon /{what} is left" for what in trees.leftovers(place.tree)]
    if (place.tree / PIDFILE).exists():
        problems.append("the pidfile is left")
    again, out, err = place.sync()
    if (again, out) != (0, ""):
        problems.append(f"a sync after that is not silent: {again} {out}{err}")
    return problems, hit


def named(scenario, how):
    return f"{scenario.name}, {how.name if how else 'at start'}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["binary", "inject", "fixture", "directory"]:
        arguments.add_argument(name)
    arguments.add_argument("--sample", type=int, help="so many kills, drawn by the seed; else all")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = arguments.parse_args()
    bench = trees.Bench(options.binary, options.inject, options.fixture, options.directory)
    cases, free = [], [bench.place(f"worker{at}") for at in range(3)]
    for scenario in trees.scenarios(bench):
        ways = [None] if scenario.name in AT_START else [signal.SIGUSR1, signal.SIGHUP]
        for how in ways:
            place = bench.place(f"{scenario.name}.counted")
            place.fill(scenario.template)
            report = place.path / "calls"
            status, said = live(place, scenario, how, bench.inject, report, "change", 0, "count")
            assert status == 0 and not scenario.difference(place.tree), f"{status} {said}"
            count = len(report.read_text().splitlines())
            print(f"# {named(scenario, how)}: {count} calls that change something")
            cases += [(scenario, how, at + 1) for at in range(count)]
    print(f"# seed {options.seed}")
    whole = len(cases)
    if options.sample and options.sample < whole:
        cases = random.Random(options.seed).sample(cases, options.sample)
    tried, reached, harmed, told = Counter(), Counter(), Counter(), []

    def work(case):
        place = free.pop()
        try:
            return case, *try_one(place, *case)
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            return case, [str(error)], ""
        finally:
            free.append(place)

    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(free)) as pool:
        for (scenario, how, number), problems, hit in pool.map(work, cases):
            kind = named(scenario, how)
            tried[kind] += 1
            reached[kind] += bool(hit)
            if problems:
                harmed[kind] += 1
                told.append(f"{kind}, call {number}, {hit}: {'; '.join(problems)[:600]}")
    print(f"\n{'daemon killed':<24} {'cases':>6} {'killed':>6} {'harm':>6}")
    for kind in sorted(tried):
        print(f"{kind:<24} {tried[kind]:>6} {reached[kind]:>6} {harmed[kind]:>6}")
    sums = [sum(each.values()) for each in (tried, reached, harmed)]
    print(f"{'all':<24} {sums[0]:>6} {sums[1]:>6} {sums[2]:>6}  in {time.monotonic() - started:.0f} s")
    if sums[0] < whole:
        print(f"# {sums[0]} of {whole} calls; DDUM_FAULTS=all tries each")
    for line in told[:100]:
        print(f"HARM: {line}")
    # Threads may come to the same calls in another order, but seldom is there one fewer.
    if sums[1] * 10 < sums[0] * 9:
        print("HARM: a tenth of the kills came to nothing")
    sys.exit(1 if told or sums[1] * 10 < sums[0] * 9 else 0)


if __name__ == "__main__":
    main()
