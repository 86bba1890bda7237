"""Stands between ddum and a DynamoDB emulator: writes down every request, and lets two who write meet.

    meeting_proxy.py PORT BACKEND-PORT LOG MEET

LOG gets one JSON line a request: its target and its body. While the file MEET is there, a write waits until another
one has come, too, so that both have read what neither has written yet; then MEET is gone. Requests go on one after
the other, as DynamoDB orders those to one item.
"""

import http.server
import json
import os
import sys
import threading

import fault_proxy

WRITES = ("UpdateItem", "DeleteItem", "PutItem", "TransactWriteItems")


class Handler(fault_proxy.Handler):
    meet_path = ""
    one_at_a_time = threading.Lock()
    meeting = threading.Condition()
    waiting = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        try:
            asked = json.loads(body)
        except ValueError:
            asked = {}
        with self.one_at_a_time, open(self.log_path, "a", encoding="utf-8") as log:
            log.write(json.dumps({"target": target, "body": asked}) + "\n")
        if target in WRITES:
            self.meet()
        with self.one_at_a_time:
            answer = self.forward(body)
        self.answer(*answer)

    def meet(self):
        cls = type(self)
        with self.meeting:
            if not os.path.exists(self.meet_path):
                return
            cls.waiting += 1
            if cls.waiting == 2:
                cls.waiting = 0
                os.unlink(self.meet_path)
                self.meeting.notify_all()
            elif not self.meeting.wait_for(lambda: not os.path.exists(self.meet_path), timeout=20):
                # Nobody came: the test will see that nobody was in the way.
                cls.waiting = 0


def main(port, backend, log_path, meet_path):
    Handler.backend = int(backend)
    Handler.log_path = log_path
    Handler.meet_path = meet_path
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
