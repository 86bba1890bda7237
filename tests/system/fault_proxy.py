"""Stands between ddum and a DynamoDB emulator: notes every request, and answers some of them wrongly.

    fault_proxy.py PORT BACKEND-PORT LOG FAULTS

LOG gets one JSON line a request: target, table, page (1-based, of that table's current scan), consistent, fault.
FAULTS is read anew for each request; it may be missing, or hold a JSON list of

    {"table": "Users", "page": 2, "kind": "deny", "times": 3}

where page and table default to any, times to forever. Kinds: deny, throttle, error (500), drop (the connection closes
half-way through the body), refuse (it closes at once), empty (200 with {}), html (200 with a page of a captive
portal), truncate (valid JSON that lacks items but keeps Count), repeat (LastEvaluatedKey of the page before), hang.
"""

import http.client
import http.server
import json
import sys
import threading
import time

state = threading.Lock()
pages = {}
used = {}


def fault_for(path, table, page):
    try:
        with open(path, encoding="utf-8") as file:
            faults = json.load(file)
    except FileNotFoundError:
        return None
    for fault in faults:
        if fault.get("table", table) != table or fault.get("page", page) != page:
            continue
        key = json.dumps(fault, sort_keys=True)
        with state:
            used[key] = used.get(key, 0) + 1
            if used[key] <= fault.get("times", used[key]):
                return fault["kind"]
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    backend = 0
    log_path = ""
    faults_path = ""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        try:
            asked = json.loads(body)
        except ValueError:
            asked = {}
        table = asked.get("TableName", "")
        with state:
            # A retry asks for the same page again, and knows it by the key that it starts from.
            start = json.dumps(asked.get("ExclusiveStartKey"), sort_keys=True)
            seen = pages.setdefault(table, [])
            if "ExclusiveStartKey" not in asked:
                seen.clear()
            if start not in seen:
                seen.append(start)
            page = seen.index(start) + 1
        kind = fault_for(self.faults_path, table, page) if target == "Scan" else None
        with state, open(self.log_path, "a", encoding="utf-8") as log:
            line = {
                "target": target,
                "table": table,
                "page": page,
                "consistent": asked.get("ConsistentRead"),
                "fault": kind,
            }
            log.write(json.dumps(line) + "\n")
        if kind is None:
            self.answer(*self.forward(body))
        else:
            getattr(self, "fault_" + kind)(body, asked)

    def forward(self, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.backend, timeout=60)
        connection.request("POST", self.path, body, dict(self.headers))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, content

    def answer(self, status, content, kind="application/x-amz-json-1.0"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def error(self, status, code, message):
        content = {"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": message}
        self.answer(status, json.dumps(content).encode())

    def fault_deny(self, _body, asked):
        message = f"User: arn:aws:iam::123456789012:role/host is not authorized to perform: dynamodb:Scan on {asked.get('TableName')}"
        self.error(400, "AccessDeniedException", message)

    def fault_throttle(self, _body, _asked):
        self.error(400, "ProvisionedThroughputExceededException", "The level of configured throughput was exceeded.")

    def fault_error(self, _body, _asked):
        self.error(500, "InternalServerError", "The request processing has failed.")

    def fault_drop(self, body, _asked):
        status, content = self.forward(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.close_connection = True

    def fault_refuse(self, _body, _asked):
        self.close_connection = True

    def fault_empty(self, _body, _asked):
        self.answer(200, b"{}")

    def fault_html(self, _body, _asked):
        self.answer(200, b"<html><body>Please sign in to the guest network.</body></html>", "text/html")

    def fault_truncate(self, body, _asked):
        status, content = self.forward(body)
        page = json.loads(content)
        del page["Items"][len(page["Items"]) // 2 :]
        self.answer(status, json.dumps(page).encode())

    def fault_repeat(self, body, asked):
        status, content = self.forward(body)
        page = json.loads(content)
        page["LastEvaluatedKey"] = asked["ExclusiveStartKey"]
        self.answer(status, json.dumps(page).encode())

    def fault_hang(self, _body, _asked):
        time.sleep(300)
        self.close_connection = True

    def log_message(self, *_):
        pass


def main(port, backend, log_path, faults_path):
    Handler.backend = int(backend)
    Handler.log_path = log_path
    Handler.faults_path = faults_path
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
