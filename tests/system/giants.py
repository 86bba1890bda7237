"""Tables as large and as odd as DynamoDB lets them be: what an update makes of them, and how much memory it takes.

    giants.py BINARY FIXTURE DIRECTORY

Every table is served page by page as DynamoDB would, 1 MB of items a page, and synced into a tree of its own. The
figures are those of the whole process.
"""

import base64
import http.server
import json
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

binary, fixture, area = sys.argv[1:4]
# Of one page, its text and its items, and of what is kept of all items.
MOST_MIB = 128
PAGE = 1_000_000
SALT = "ddumsecretsalt"


def key(seed):
    blob = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + seed.to_bytes(32, "big")
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {seed}"


def user(number, name=None, **more):
    item = {"Name": {"S": name or f"u{number:05}"}, "UID": {"N": str(3000 + number)}, "GID": {"N": "2000"}}
    return item | {"Home": {"S": f"/home/{name or number}"}, "Password": {"S": f"$6${SALT}$x"}} | more


def weight(item):
    """About what DynamoDB counts."""
    return len(json.dumps(item))


def pages(items):
    page, size = [], 0
    for item in items:
        page.append(item)
        size += weight(item)
        if size >= PAGE:
            yield page
            page, size = [], 0
    yield page


def people(count=2, **more):
    return [user(number, **more) for number in range(count)]


GROUPS = [{"Name": {"S": "people"}, "GID": {"N": "2000"}}]
FILLER = {"Filler": {"S": "x" * 399_000}}
UNKNOWN = {f"a{number}": {"NULL": True} for number in range(50_000)}
KEYS = {"SSHPublicKeys": {"SS": [key(number) for number in range(1_000)]}}
HUGE = "ssh-ed25519 " + "A" * 390_000
MEMBERS = {"Members": {"SS": [f"nobody{number:06}" for number in range(30_000)]}}
DEEP = {"NULL": True}
for _ in range(32):
    DEEP = {"L": [DEEP]}

# Users, groups, exit status, users that must have an account, what must be said, what goes wrong.
TABLES = {
    "400 KB an item, 400 of them": (people(400, **FILLER), GROUPS, 0, 400, "", None),
    "50,000 unknown attributes": (people(4, **UNKNOWN), GROUPS, 0, 4, "", None),
    "1,000 keys a user": (people(50, **KEYS), GROUPS, 0, 50, "", None),
    "a key of 390 KB": (people(2, SSHPublicKeys={"SS": [HUGE]}), GROUPS, 3, 2, "SSHPublicKeys", None),
    "a group of 30,000 names": (people(), [GROUPS[0] | MEMBERS], 0, 2, "", None),
    "32 levels deep": (people(2, Deep=DEEP), GROUPS, 0, 2, "", None),
    "lists of 390,000 empty texts": (people(3, Texts={"L": [{"S": ""}] * 390_000}), GROUPS, 0, 3, "", None),
    "100 lists of 3,000 lists": (people(100, Lists={"L": [{"L": []}] * 3_000}), GROUPS, 0, 100, "", None),
    "10,000 bad items": ([user(n, UID={"S": "x" * 60}) for n in range(10_000)] + [user(10_000)], GROUPS, 3, 1, "UID", None),
    "names that differ in case": ([user(0, "alice"), user(1, "Alice"), user(2, "ALICE")], GROUPS, 0, 3, "", None),
    "names that the host has": (
        [user(0, "root"), user(1, "daemon"), user(2, "wheel"), user(3, "alice")],
        GROUPS, 3, 2, "! user root", None,
    ),
    "empty tables": ([], [], 0, 0, "", None),
    "an item twice": (people(3, **FILLER) + [user(0)], GROUPS, 3, 2, "u00000", None),
    "a table that goes away": (people(8, **FILLER), GROUPS, 1, 0, "ResourceNotFoundException", "gone"),
    "a page that comes again": (people(8, **FILLER), GROUPS, 1, 0, "twice", "again"),
    "pages of nothing": (people(2), GROUPS, 0, 2, "", "hollow"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tables = {}
    trouble = None

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        table = asked["TableName"]
        at = int(asked.get("ExclusiveStartKey", {}).get("Name", {}).get("S", "0"))
        prepared, trouble = self.tables[table], self.trouble if table == "Users" else None
        if trouble == "gone" and at == 1:
            body = {"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "not found"}
            return self.say(400, json.dumps(body).encode())
        page = prepared[at] if at < len(prepared) else []
        # A filter that DynamoDB applies, or a partition without items, makes pages without any that are not the last.
        if trouble == "hollow":
            page, count = (prepared[at // 50] if at % 50 == 0 and at // 50 < len(prepared) else []), 50 * len(prepared)
        else:
            count = len(prepared)
        body = {"Items": page, "Count": len(page), "ScannedCount": len(page)}
        if at + 1 < count:
            body["LastEvaluatedKey"] = {"Name": {"S": str(at if trouble == "again" and at else at + 1)}}
        self.say(200, json.dumps(body, separators=(",", ":")).encode())

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def sync(server, title):
    tree = Path(area) / re.sub(r"\W+", "-", title)
    (tree / "root/etc").mkdir(parents=True)
    for file in ["passwd", "shadow", "group", "gshadow"]:
        shutil.copyfile(Path(fixture) / file, tree / "root/etc" / file)
    before = (tree / "root/etc/passwd").read_text().splitlines()
    config = {"endpoint_url": f"http://127.0.0.1:{server.server_address[1]}/", "aws_region": "us-east-1"}
    config |= {"aws_access_key": "AKIDEXAMPLE", "aws_secret_key": "plantedsecretkey"}
    (tree / "config").write_text(json.dumps(config))
    (tree / "config").chmod(0o600)
    with open(tree / "said", "wb") as said:
        started = time.monotonic()
        command = [binary, "-v", "-c", tree / "config", "--root", tree / "root", "sync"]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        # Not rusage, which begins with the memory of whoever forked it.
        peak = 0
        while child.poll() is None:
            lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
            peak = max([peak, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
            time.sleep(0.01)
    after = (tree / "root/etc/passwd").read_text().splitlines()
    made = len(after) - len(before)
    text = (tree / "said").read_text()
    shutil.rmtree(tree)
    is_kept = after[: len(before)] == before
    return child.returncode, made, text, is_kept, peak / 1024, time.monotonic() - started


def main():
    harm = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    # A client that is gone in the middle of an answer is no harm.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{'table':<30} {'MB':>5} status accounts   MiB seconds")
    for title, (users, groups, wanted, accounts, needle, trouble) in TABLES.items():
        Handler.tables = {"Users": list(pages(users)), "Groups": list(pages(groups))}
        Handler.trouble = trouble
        size = sum(map(weight, users + groups)) / 1e6
        status, made, said, is_kept, mib, seconds = sync(server, title)
        print(f"{title:<30} {size:5.1f} {status:>6} {made:>8} {mib:5.0f} {seconds:7.1f}", flush=True)
        problems = []
        if (status, made) != (wanted, accounts):
            problems.append(f"exit status {status}, {made} accounts, not {wanted} and {accounts}: {said[-300:]}")
        if needle not in said:
            problems.append(f"{needle} is not in {said[-300:]}")
        if not is_kept:
            problems.append("a line of the host changed")
        if mib > MOST_MIB:
            problems.append(f"{mib:.0f} MiB of memory")
        if SALT in said or "plantedsecretkey" in said or "internal error" in said:
            problems.append("a secret was shown, or it panicked")
        # A line for each change: of a thousand keys, that of their fingerprints.
        if max(map(len, said.splitlines()), default=0) > 500_000:
            problems.append("a line of output without end")
        harm += [f"{title}: {problem}" for problem in problems]
    for line in harm:
        print(f"HARM: {line}")
    sys.exit(1 if harm else 0)


if __name__ == "__main__":
    main()
