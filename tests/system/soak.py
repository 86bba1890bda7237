"""The daemon makes update after update from tables that change: does it grow?

    soak.py BINARY FIXTURE DIRECTORY [--updates N] [--seconds N]

Works in a tree below DIRECTORY, which should be a tmpfs, and ends when it has seen that many updates or that many
seconds, whichever is later. The tables' server is this program: prepared pages, so that the daemon never waits for
them. It asks for the next update while one is under way (SIGUSR1, as an administrator would), so that one follows the
other without a pause. Every update has something to do; some of them meet an item or a key that is wrong, a home that
is gone, an answer that denies, a configuration to be read anew.

Prints figures on the way; exits 1 when memory, descriptors or threads grew, or the last table is not the host's.
"""

import argparse
import contextlib
import json
import os
import random
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

PEOPLE, VERSIONS = 20, 360
SALT = "ddumsecretsalt"
SECRETS = [SALT, "plantedsecretkey", "plantedsessiontoken"]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} {}"
KEYS = [
    KEY.format("BfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI", "laptop"),
    KEY.format("LJjVc9qa2ORpiMJ5uRQPxDr7xRxwmn1iwbhpN1eeRKL", "phone"),
]
# What the log may complain of.
EXPECTED = "! user user5: Shell: it holds a newline|! user user7: SSHPublicKeys: |update failed: .*AccessDenied"
DENIED = json.dumps({"__type": "com.amazonaws.dynamodb.v20120810#AccessDeniedException", "message": "not allowed"})


def user(at, turn):
    """In every turn other shells, keys and passwords for some; ids that move now and then."""
    item = {"Name": {"S": f"user{at}"}, "UID": {"N": str(2000 + at)}, "GID": {"N": "2000"}}
    step = (turn + at) // 6
    item |= {"Home": {"S": f"/home/user{at}"}, "Shell": {"S": f"/bin/sh{step % 5}"}}
    item["Password"] = {"S": f"$6${SALT}${(turn + at) // 8 % 7}"}
    keys = [KEYS[step % 2]] if step % 7 else KEYS
    item["SSHPublicKeys"] = {"SS": [*keys, "no key"] if at == 7 and turn % 4 == 0 else keys}
    if at == 3:
        item["UID"] = {"N": str(2100 + turn // 10 % 2)}
    if at == 5 and turn % 9 == 0:
        item["Shell"] = {"S": "/bin/sh\nforged"}
    if at == 9 and turn % 6 < 3:
        item["AccountExpireDate"] = {"S": "2020-01-01"}
    return item


def version(turn):
    """The pages of a turn, as bodies, and what the files must hold afterwards."""
    users = [user(at, turn) for at in range(PEOPLE) if at != PEOPLE - 1 or turn % 3]
    members = sorted({f"user{turn % PEOPLE}", f"user{turn * 7 % PEOPLE}"})
    groups = [{"Name": {"S": "people"}, "GID": {"N": "2000"}, "Members": {"SS": members}}]
    bodies = {}
    half = PEOPLE // 2
    for table, page, items in [("Users", 1, users[:half]), ("Users", 2, users[half:]), ("Groups", 1, groups)]:
        body = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        if (table, page) == ("Users", 1):
            body["LastEvaluatedKey"] = {"Name": items[-1]["Name"]}
        bodies[table, page] = answer(200, json.dumps(body))
    shells = {item["Name"]["S"]: item["Shell"]["S"] for item in users if "forged" not in item["Shell"]["S"]}
    return bodies, shells, members


def answer(status, body):
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


class Soak:
    def __init__(self, options):
        self.options = options
        self.area = Path(options.directory)
        self.tree = self.area / "tree"
        self.versions = [version(turn) for turn in range(VERSIONS)]
        self.denied = answer(400, DENIED)
        self.turn = self.refused = 0
        self.samples = []
        self.random = random.Random(options.seed)
        self.log = {"lines": 0, "summaries": 0, "bytes": 0}
        self.leaks, self.odd = [], []
        self.stopping = False

    def start(self):
        etc = self.tree / "etc"
        (etc / "skel").mkdir(parents=True)
        for file in ["passwd", "shadow", "group", "gshadow"]:
            shutil.copyfile(Path(self.options.fixture) / file, etc / file)
        (etc / "skel/.profile").write_text("umask 022\n")
        self.listener = socket.create_server(("127.0.0.1", 0))
        config = {"endpoint_url": f"http://127.0.0.1:{self.listener.getsockname()[1]}/", "aws_region": "us-east-1"}
        config |= {"aws_access_key": "AKIDEXAMPLE", "aws_secret_key": SECRETS[1], "aws_session_token": SECRETS[2]}
        config |= {"full_update_period": 3600, "metrics_file": "/run/ddum.prom"}
        (self.area / "config").write_text(json.dumps(config))
        (self.area / "config").chmod(0o600)
        command = [self.options.binary, "-f", "-v", "-c", self.area / "config", "--root", self.tree]
        command += ["-p", "/run/ddum.pid"]
        # A client reads the machine's certificates for each update, most of its time here, where none is asked for.
        (self.area / "certificates").mkdir()
        surroundings = os.environ | {"SSL_CERT_DIR": str(self.area / "certificates")}
        surroundings.pop("SSL_CERT_FILE", None)
        self.daemon = subprocess.Popen(command, env=surroundings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        self.started = time.monotonic()

    def read_log(self):
        for line in self.daemon.stdout:
            self.log["lines"] += 1
            self.log["bytes"] += len(line)
            text = line.decode(errors="replace")
            if any(secret in text for secret in SECRETS):
                self.leaks.append(text)
            if "from tables Users and Groups" in text and " user" in text:
                self.log["summaries"] += 1
            elif re.search("error|failed|cannot|panic|refused|! ", text) and not re.search(EXPECTED, text):
                self.odd.append(text)

    def serve(self):
        select = selectors.DefaultSelector()
        select.register(self.listener, selectors.EVENT_READ)
        buffers = {}
        while not self.stopping:
            for key, _ in select.select(60):
                if key.fileobj is self.listener:
                    stream, _ = self.listener.accept()
                    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    buffers[stream] = b""
                    select.register(stream, selectors.EVENT_READ)
                    continue
                stream = key.fileobj
                # A scan that a SIGHUP ended resets its connection when the answer is under way.
                with contextlib.suppress(ConnectionError):
                    got = b""
                    got = stream.recv(65536)
                if not got:
                    select.unregister(stream)
                    stream.close()
                    del buffers[stream]
                    continue
                buffers[stream] += got
                head, end, body = buffers[stream].partition(b"\r\n\r\n")
                if not end:
                    continue
                length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                if len(body) >= length:
                    buffers[stream] = body[length:]
                    with contextlib.suppress(ConnectionError):
                        stream.sendall(self.respond(json.loads(body[:length])))
            if self.daemon.poll() is not None:
                sys.exit(f"HARM: the daemon ended by itself: {self.daemon.returncode}")

    def respond(self, asked):
        table, page = asked["TableName"], 2 if "ExclusiveStartKey" in asked else 1
        if (table, page) == ("Users", 1):
            self.turn += 1
            self.sample()
        bodies, _, _ = self.versions[self.turn % VERSIONS]
        if table == "Users":
            return bodies[table, page]
        # No home is worked on now.
        if self.turn % 5 == 0:
            shutil.rmtree(self.tree / f"home/user{self.random.randrange(PEOPLE)}", ignore_errors=True)
        is_last = self.turn >= self.options.updates and time.monotonic() - self.started >= self.options.seconds
        is_last = is_last and self.turn % VERSIONS not in [0, 9, 18]
        if is_last:
            self.stopping = True
        else:
            self.daemon.send_signal(signal.SIGHUP if self.turn % 1000 == 0 else signal.SIGUSR1)
            if self.turn % 100 == 50:
                self.refused += 1
                return self.denied
        return bodies[table, page]

    def figures(self):
        lines = Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines()
        status = {line.split(":")[0]: line.split(":")[1].split()[0] for line in lines if line.startswith(("Vm", "Thr"))}
        return int(status["VmRSS"]), len(os.listdir(f"/proc/{self.daemon.pid}/fd")), int(status["Threads"])

    def sample(self):
        # Not in the first turns, in which an allocator and the pools are filled.
        if self.turn <= 50 or self.turn % self.options.every:
            return
        rss, fds, threads = self.figures()
        self.samples.append((self.turn, rss, fds, threads))
        if len(self.samples) % 10 == 1:
            took = time.monotonic() - self.started
            print(f"# {took:7.0f} s {self.turn:8} updates: {rss} kB, {fds} descriptors, {threads} threads", flush=True)

    def wait_for_the_last(self):
        _, shells, members = self.versions[self.turn % VERSIONS]
        until = time.monotonic() + 120
        while time.monotonic() < until:
            passwd = [line.split(":") for line in (self.tree / "etc/passwd").read_text().splitlines()]
            group = [line for line in (self.tree / "etc/group").read_text().splitlines() if line.startswith("people:")]
            have = {fields[0]: fields[-1] for fields in passwd}
            present = [name for name in members if name in have]
            is_wanted = all(have.get(name) == shell for name, shell in shells.items())
            if is_wanted and group == [f"people:x:2000:{','.join(present)}"]:
                return []
            time.sleep(0.05)
        return ["the last table is not the host's"]

    def judge(self):
        problems = self.wait_for_the_last()
        # The accounts are there before the homes are done, and the summary comes after them.
        until = time.monotonic() + 60
        while self.log["summaries"] < self.turn - self.refused and time.monotonic() < until:
            time.sleep(0.05)
        self.daemon.send_signal(signal.SIGTERM)
        if self.daemon.wait(60) != 0:
            problems.append(f"it ends with {self.daemon.returncode}")
        self.reader.join(60)
        took = time.monotonic() - self.started
        quarter = max(1, len(self.samples) // 4)
        early, late = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        if self.log["summaries"] != self.turn - self.refused:
            problems.append(f"{self.log['summaries']} of {self.turn - self.refused} updates are in the log")
        print(f"# {self.turn} updates in {took:.0f} s, {self.turn / took:.0f} a second; {self.log['lines']} log lines")
        for at, what in enumerate(["memory in kB", "descriptors", "threads"], 1):
            before, after = sorted(s[at] for s in early), sorted(s[at] for s in late)
            low, high = min(s[at] for s in self.samples), max(s[at] for s in self.samples)
            middle = before[len(before) // 2], after[len(after) // 2]
            print(f"# {what}: second quarter {middle[0]}, last quarter {middle[1]} (medians); {low} to {high} over all")
            # A sample may fall between the end of a thread and its leaving; one that stays shows in the middle.
            if middle[1] > (middle[0] * 1.1 if at == 1 else middle[0] + 1):
                problems.append(f"{what} grew: {middle[0]} to {middle[1]}")
        if len(self.samples) < 8:
            problems.append(f"too few samples: {len(self.samples)}")
        problems += [f"a secret in the log: {line[:40]}" for line in self.leaks[:3]]
        problems += [f"unexpected in the log: {line.strip()[:300]}" for line in self.odd[:5]]
        problems += [f"{path} is left over" for path in self.tree.rglob(".ddum*")]
        return problems


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["binary", "fixture", "directory"]:
        arguments.add_argument(name)
    arguments.add_argument("--updates", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=0)
    arguments.add_argument("--every", type=int, default=25, help="updates between two samples")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    soak = Soak(options)
    soak.start()
    try:
        soak.serve()
        problems = soak.judge()
    finally:
        soak.daemon.kill()
        soak.daemon.wait()
    for problem in problems:
        print(f"HARM: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
