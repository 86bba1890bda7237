"""The kernel refuses ddum a thread, at each place where one is started, once and from there on.

    threads.py BINARY INJECT FIXTURE DIRECTORY

That is what RLIMIT_NPROC and the pids.max of a cgroup do. A sync must then end with an error that says so, or do without,
and leave nothing damaged; a daemon must go on and do at its next update what it could not do before.
"""

import http.server
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import trees

bench = trees.Bench(*sys.argv[1:5])
# EAGAIN, of 1 in each way of counting.
ACTIONS = ["E11", "S11"]
harm = []


class Tables(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    items = {}

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        items = self.items[asked["TableName"].lower()]
        body = json.dumps({"Items": items, "Count": len(items), "ScannedCount": len(items)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Served(trees.Place):
    """A tree whose tables come from a server that has a name, not only an address."""

    port = 0

    def command(self):
        config = self.path / "config"
        text = {"endpoint_url": f"http://localhost:{self.port}", "aws_region": "us-east-1", "full_update_period": 60}
        config.write_text(json.dumps(text | {"aws_access_key": "AKIDEXAMPLE", "aws_secret_key": "plantedsecretkey"}))
        config.chmod(0o600)
        return [self.bench.binary, "-c", str(config), "--root", str(self.tree)]


def judged(title, scenario, place, status, said):
    problems = []
    if trees.SALT in said or "plantedsecretkey" in said:
        problems.append("a secret was shown")
    if "panicked" in said or "internal error" in said or status not in (0, 1, 3, 75):
        problems.append(f"exit status {status}: {said[-300:]}")
    if status == 0:
        problems += [f"exit status 0, but {what}" for what in scenario.difference(place.tree)[:3]]
    else:
        problems += scenario.damage(place.tree)
        if "os error 11" not in said and "hread" not in said:
            problems.append(f"it does not say why: {said[-300:]}")
    status, out, err = place.sync()
    problems += [f"after the next sync ({status}) {what}: {out}{err}" for what in scenario.difference(place.tree)[:3]]
    harm.extend(f"{title}: {problem}" for problem in problems)


def count(scenario, place):
    place.fill(scenario.template)
    place.wants(scenario.wanted)
    place.sync(bench.inject, place.path / "calls", "thread", 0, "count")
    return len((place.path / "calls").read_text().splitlines())


def syncs(scenario, place, what):
    calls = count(scenario, place)
    ends = []
    for number in range(1, calls + 1):
        for action in ACTIONS:
            place.fill(scenario.template)
            status, out, err = place.sync(bench.inject, place.path / "calls", "thread", number, action)
            ends.append(status)
            judged(f"{scenario.name} from {what}, thread {number} {action}", scenario, place, status, out + err)
    told = ", ".join(f"{status}: {ends.count(status)}" for status in sorted(set(ends)))
    print(f"{scenario.name + ' from ' + what:<24} {calls:>7} {len(ends):>6}  {told}", flush=True)
    return calls


def is_done(scenario, place):
    try:
        return not scenario.difference(place.tree)
    except FileNotFoundError:
        # It is at work there.
        return False


def daemon(scenario, place, number):
    """A thread of the daemon's first update is refused; the next update has it."""
    place.fill(scenario.template)
    log = place.path / "log"
    command = [bench.inject, place.path / "calls", "thread", str(number), "E11", *place.command()]
    with open(log, "wb") as said:
        child = subprocess.Popen(command + ["-f", "-p", "/run/ddum.pid"], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    end = time.monotonic() + 90
    while not is_done(scenario, place) and time.monotonic() < end and child.poll() is None:
        time.sleep(0.1)
    pidfile = place.tree / "run/ddum.pid"
    try:
        subprocess.run(["kill", "-TERM", pidfile.read_text().strip()], check=True)
        status = child.wait(60)
    except (OSError, subprocess.SubprocessError):
        child.kill()
        status = child.wait()
    problems = scenario.difference(place.tree)[:3]
    text = log.read_text()
    if status != 0 or "panicked" in text or "internal error" in text:
        problems.append(f"it ended with {status}: {text[-300:]}")
    harm.extend(f"daemon, thread {number}: {problem}" for problem in problems)


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tables)
    server.daemon_threads = True
    # A client that is gone in the middle of an answer is no harm.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Served.port = server.server_address[1]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    first = next(scenario for scenario in trees.scenarios(bench) if scenario.name == "first")
    Tables.items = first.wanted
    print(f"{'sync':<24} threads refused  exit statuses")
    served = Served(bench, "served")
    calls = syncs(first, served, "a server")
    for number in range(1, calls + 1):
        daemon(first, served, number)
    print(f"{'daemon from a server':<24} {calls:>7} {calls:>6}")
    for line in harm:
        print(f"HARM: {line}")
    sys.exit(1 if harm else 0)


main()
