"""Daemons that each meet another trouble of the network, all at once, and must outlive it.

    network.py BINARY FIXTURE DIRECTORY [--seconds N] [--hosts FILE]

For each trouble a server of its own and a daemon: a good update, then the trouble for N seconds while the tables hold
something new, then none. Meanwhile the tree must stay byte for byte what it was, the daemon must neither ask without
pause nor burn the processor nor grow, and must say what is wrong without a secret; afterwards it must have the new
tables by itself. --hosts is the machine's hosts(5), to be written to: for a name that cannot be resolved.
"""

import argparse
import concurrent.futures
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

SALT = "ddumsecretsalt"
SECRETS = [SALT, "plantedsecretkey", "plantedsessiontoken"]
# 16 attempts at a page that is throttled, 4 at others, in no more than four updates.
MOST_REQUESTS = 80
# Pages that are empty are asked for until it is clear that no other will come: a hundred of them.
MOST_HOLLOW = 8 * 102
MOST_MEMORY = 250_000
# What is waited for so long that nothing is said before it is over.
PATIENT = ("hangs", "drips", "throttled")
NAME = "dynamodb.ddum.test"
TROUBLES = """refused closed reset reset-later hangs hangs-later drips endless garbage wrong-types html empty error-500
    unavailable throttled redirected denied expired-later expired-instance skewed unknown-name no-credentials
    slow-credentials old-credentials endless-credentials many-values deep hollow-later date-9999 date-1970 date-2060""".split()


def exception(code, message):
    name = "com.amazonaws.dynamodb.v20120810#" + code
    return 400, json.dumps({"__type": name, "message": message})


class Server:
    """The tables, and the instance's metadata; the trouble is in one of them."""

    def __init__(self, trouble):
        self.trouble, self.is_troubled, self.requests, self.version = trouble, False, 0, 0
        self.port = 0
        self.listen()

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(stream,), daemon=True).start()

    def set(self, is_troubled):
        self.is_troubled = is_troubled
        if self.trouble == "refused":
            if is_troubled:
                self.listener.shutdown(socket.SHUT_RDWR)
                self.listener.close()
            else:
                self.listen()

    def serve(self, stream):
        try:
            with stream, stream.makefile("rb") as file:
                while self.one(stream, file):
                    pass
        except OSError:
            pass

    def one(self, stream, file):
        first, headers = file.readline().decode(), {}
        if not first:
            return False
        for line in iter(file.readline, b"\r\n"):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = file.read(int(headers.get("content-length", 0)))
        method, path, _ = first.split(" ")
        if path.startswith("/latest/"):
            return self.metadata(stream, path, headers)
        if method != "POST" or path != "/":
            print(f"HARM: {self.trouble}: it was led to {path}")
        asked = json.loads(body)
        page = 2 if "ExclusiveStartKey" in asked else 1
        self.requests += self.is_troubled
        if self.is_troubled and self.trouble == "hollow-later" and page == 2:
            at = asked["ExclusiveStartKey"]["Name"]["S"] + "x"
            hollow = {"Items": [], "Count": 0, "ScannedCount": 0, "LastEvaluatedKey": {"Name": {"S": at}}}
            return self.answer(stream, 200, json.dumps(hollow))
        if self.is_troubled and (asked["TableName"], page) == ("Users", 2 if self.trouble.endswith("-later") else 1):
            kind = "date" if self.trouble.startswith("date-") else self.trouble.removesuffix("-later").replace("-", "_")
            act = getattr(self, "do_" + kind, None)
            if act:
                return act(stream, headers)
        return self.answer(stream, 200, json.dumps(self.page(asked["TableName"], page)))

    def page(self, table, page):
        if table == "Groups":
            items = [{"Name": {"S": "people"}, "GID": {"N": "2000"}}]
        else:
            name, shell = ["alice", "bob"][page - 1], ["/bin/sh", "/bin/dash"][self.version]
            items = [{"Name": {"S": name}, "UID": {"N": str(2000 + page)}, "GID": {"N": "2000"}, "Shell": {"S": shell},
                      "Home": {"S": f"/home/{name}"}, "Password": {"S": f"$6${SALT}${self.version}"}}]
        whole = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        if (table, page) == ("Users", 1):
            whole["LastEvaluatedKey"] = {"Name": {"S": "alice"}}
        return whole

    def answer(self, stream, status, body, more=""):
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n"
        stream.sendall((head + more + "\r\n" + body).encode())
        return True

    def metadata(self, stream, path, headers):
        trouble = self.trouble if self.is_troubled else ""
        if trouble == "no-credentials":
            return self.answer(stream, 404, "")
        if trouble == "slow-credentials":
            time.sleep(300)
        if trouble == "endless-credentials":
            return self.do_endless(stream, headers)
        if path == "/latest/api/token":
            if trouble == "old-credentials":
                return self.answer(stream, 404, "")
            return self.answer(stream, 200, "TOKEN", "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n")
        if headers.get("x-aws-ec2-metadata-token") != "TOKEN":
            print(f"HARM: {self.trouble}: the metadata were asked without a token")
        if path.endswith("/security-credentials/"):
            return self.answer(stream, 200, "web")
        key = "ASIAOLD" if not self.version or trouble else "ASIANEW"
        keys = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": key, "SecretAccessKey": SECRETS[1]}
        keys |= {"Token": SECRETS[2], "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z"}
        return self.answer(stream, 200, json.dumps(keys))

    def do_closed(self, *_):
        return False

    def do_reset(self, stream, _):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def do_hangs(self, *_):
        time.sleep(300)
        return False

    def do_drips(self, stream, _):
        body = json.dumps(self.page("Users", 1))
        stream.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for byte in body.encode():
            stream.sendall(bytes([byte]))
            time.sleep(1)
        return True

    def do_endless(self, stream, _):
        stream.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{"Items":[\r\n')
        while True:
            stream.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")

    def one_item(self, stream, elements):
        item = '{"Name":{"S":"x"},"List":{"L":[' + elements + "]}}"
        return self.answer(stream, 200, '{"Count":1,"ScannedCount":1,"Items":[' + item + "]}")

    def do_many_values(self, stream, _):
        return self.one_item(stream, ",".join(['{"S":""}'] * 1_200_000))

    def do_deep(self, stream, _):
        return self.one_item(stream, '{"L":[' * 500_000 + "]}" * 500_000)

    def do_date(self, stream, headers):
        day = {"9999": "Fri, 31 Dec 9999", "1970": "Thu, 01 Jan 1970", "2060": "Sun, 28 Nov 2060"}[self.trouble[5:]]
        # As AWS answers to a clock that is wrong, and as something before it breaks down.
        status, body = exception("InvalidSignatureException", "Signature not yet current") if self.requests % 2 else (500, "")
        return self.answer(stream, status, body, f"Date: {day} 23:59:59 GMT\r\n")

    def do_garbage(self, stream, _):
        return self.answer(stream, 200, "\x00\x01{[" + SALT * 100)

    def do_wrong_types(self, stream, _):
        return self.answer(stream, 200, json.dumps({"Items": {"S": SALT}, "Count": "1", "LastEvaluatedKey": []}))

    def do_html(self, stream, _):
        return self.answer(stream, 200, f"<html>Please log in. {SALT}</html>")

    def do_empty(self, stream, _):
        return self.answer(stream, 200, "{}")

    def do_error_500(self, stream, _):
        return self.answer(stream, 500, json.dumps({"__type": "x#InternalServerError", "message": SECRETS[2]})[:-20])

    def do_unavailable(self, stream, _):
        return self.answer(stream, 503, "<html>busy</html>")

    def do_throttled(self, stream, _):
        return self.answer(stream, *exception("ProvisionedThroughputExceededException", "too much"))

    def do_redirected(self, stream, _):
        return self.answer(stream, 307, "", f"Location: http://127.0.0.1:{self.port}/elsewhere\r\n")

    def do_denied(self, stream, _):
        return self.answer(stream, *exception("AccessDeniedException", "not authorized"))

    def do_expired(self, stream, _):
        return self.answer(stream, *exception("ExpiredTokenException", "The security token is expired"))

    def do_expired_instance(self, stream, headers):
        assert "ASIAOLD" in headers["authorization"], headers
        return self.do_expired(stream, headers)

    def do_skewed(self, stream, headers):
        quoted = f"Signature expired: 20200101T000000Z is now earlier than {headers['x-amz-date']}.\n{SECRETS[2]}"
        return self.answer(stream, *exception("InvalidSignatureException", quoted))


class Case:
    def __init__(self, options, trouble):
        self.trouble, self.options = trouble, options
        self.path = Path(options.directory) / trouble
        self.tree = self.path / "tree"
        (self.tree / "etc").mkdir(parents=True)
        for file in ["passwd", "shadow", "group", "gshadow"]:
            shutil.copyfile(Path(options.fixture) / file, self.tree / "etc" / file)
        self.server = Server(trouble)
        host = NAME if trouble == "unknown-name" else "127.0.0.1"
        config = {"endpoint_url": f"http://{host}:{self.server.port}/", "aws_region": "us-east-1"}
        config["full_update_period"] = 3600
        more = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{self.server.port}"}
        if trouble.endswith(("-credentials", "-instance")):
            more["AWS_EC2_METADATA_DISABLED"] = "false"
        else:
            config |= {"aws_access_key": "AKIDEXAMPLE", "aws_secret_key": SECRETS[1], "aws_session_token": SECRETS[2]}
        (self.path / "config").write_text(json.dumps(config))
        (self.path / "config").chmod(0o600)
        command = [options.binary, "-f", "-v", "-c", self.path / "config", "--root", self.tree, "-p", "/run/ddum.pid"]
        self.log = self.path / "log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with open(self.log, "wb") as log:
            self.daemon = subprocess.Popen(command, env=kept | more, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def shell(self):
        lines = (self.tree / "etc/passwd").read_text().splitlines()
        return [line.rpartition(":")[2] for line in lines if line.startswith(("alice:", "bob:"))]

    def wait_for(self, shell, seconds):
        started = time.monotonic()
        while self.shell() != [shell] * 2:
            if time.monotonic() - started > seconds:
                return None
            time.sleep(0.1)
        return time.monotonic() - started

    def is_reported(self, seconds):
        """Whether the update has come to its end."""
        started, status = time.monotonic(), self.tree / "run/ddum/status.json"
        while not (status.exists() and '"result": "done"' in status.read_text()):
            if time.monotonic() - started > seconds:
                return False
            time.sleep(0.1)
        return True

    def content(self):
        return {str(path): path.read_bytes() for path in sorted(self.tree.rglob("*"))
                if path.is_file() and path.relative_to(self.tree).parts[0] != "run"}

    def used(self):
        fields = Path(f"/proc/{self.daemon.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resolve(self, is_known):
        if self.trouble == "unknown-name":
            Path(self.options.hosts).write_text("127.0.0.1 localhost\n" + (f"127.0.0.1 {NAME}\n" if is_known else ""))

    def run(self):
        problems = []
        if self.wait_for("/bin/sh", 300) is None or not self.is_reported(120):
            return [f"no first update: {self.log.read_text()[-500:]}"], "", 0
        before, cpu = self.content(), self.used()
        self.resolve(False)
        self.server.set(True)
        self.server.version = 1
        self.daemon.send_signal(signal.SIGUSR1)
        time.sleep(self.options.seconds)
        cpu = self.used() - cpu
        if self.content() != before:
            problems.append("the tree changed")
        asked = self.server.requests
        lines = Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines()
        memory = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        said = [line for line in self.log.read_text().splitlines() if "update failed" in line]
        self.resolve(True)
        self.server.set(False)
        # The pauses double: the one that it is in may be as long as all before it, and half as long again. Before that
        # a page may have to be given up.
        took = self.wait_for("/bin/dash", 180 + 1.6 * self.options.seconds)
        if took is None:
            problems.append(f"it does not recover: {self.log.read_text()[-500:]}")
        if asked > (MOST_HOLLOW if self.trouble == "hollow-later" else MOST_REQUESTS):
            problems.append(f"{asked} requests")
        if cpu > self.options.seconds / 2:
            problems.append(f"{cpu:.1f} s of the processor")
        if memory > MOST_MEMORY:
            problems.append(f"{memory} kB of memory")
        self.daemon.send_signal(signal.SIGTERM)
        if self.daemon.wait(60) != 0:
            problems.append(f"it ends with {self.daemon.returncode}")
        text = self.log.read_text()
        problems += [f"a secret in the log: {line[:60]}" for line in text.splitlines() if any(s in line for s in SECRETS)]
        if "internal error" in text:
            problems.append("it panicked")
        if "update failed" not in text and not self.trouble.startswith(PATIENT):
            problems.append("it said nothing")
        if said and "accounts left as they were" not in said[0]:
            problems.append(f"it does not say what follows: {said[0]}")
        why = said[0].partition("failed: ")[2][:110] if said else "(still trying)"
        return problems, f"{asked:>5} {cpu:>6.1f} {memory // 1024:>5} {took or -1:>7.0f}  {why}", took


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["binary", "fixture", "directory"]:
        arguments.add_argument(name)
    arguments.add_argument("--seconds", type=float, default=25)
    arguments.add_argument("--hosts")
    arguments.add_argument("--only", nargs="*", default=TROUBLES)
    options = arguments.parse_args()
    if options.hosts:
        Path(options.hosts).write_text(f"127.0.0.1 localhost\n127.0.0.1 {NAME}\n")
    else:
        options.only = [trouble for trouble in options.only if trouble != "unknown-name"]
        print("# NOT CHECKED: a name that cannot be resolved, without a hosts file to write to")
    cases = [Case(options, trouble) for trouble in options.only]
    print(f"{'trouble':<18} asked    cpu   MiB recover  what it said")
    harmed = 0
    try:
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            for case, (problems, told, _) in zip(cases, pool.map(Case.run, cases)):
                print(f"{case.trouble:<18} {told}")
                for problem in problems:
                    harmed += 1
                    print(f"HARM: {case.trouble}: {problem}")
    finally:
        for case in cases:
            case.daemon.kill()
    print(f"all {len(cases)} troubles, harm {harmed}")
    sys.exit(1 if harmed else 0)


if __name__ == "__main__":
    main()
