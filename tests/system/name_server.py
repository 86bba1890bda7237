"""Answers DNS questions on loopback, as a host's name server would.

    name_server.py PORT SHORT LONG

SHORT has the address 127.0.0.1. So has LONG, whose answer does not fit into a datagram: only over TCP is it whole.
Neither has an IPv6 address, and no other name exists.
"""

import socketserver
import struct
import sys
import threading

A, AAAA = 1, 28
# What a resolver that did not ask for more must take in a datagram.
ROOM = 512


def name_at(message, at):
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    return ".".join(labels), at + 1


def answer(message, short, long, room):
    (identity,) = struct.unpack_from(">H", message)
    name, end = name_at(message, 12)
    (kind,) = struct.unpack_from(">H", message, end)
    known = name in (short, long)
    records = []
    if known and kind == A:
        address = struct.pack(">HHHIH4B", 0xC00C, A, 1, 60, 4, 127, 0, 0, 1)
        records = [address] * (100 if name == long else 1)
    body = message[12 : end + 4] + b"".join(records)
    truncated = 12 + len(body) > room
    if truncated:
        records, body = [], message[12 : end + 4]
    # An answer to a recursive question; 3 says that there is no such name.
    flags = 0x8180 | (0x0200 if truncated else 0) | (0 if known else 3)
    return struct.pack(">HHHHHH", identity, flags, 1, len(records), 0, 0) + body


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        message, sender = self.request
        sender.sendto(answer(message, *self.server.names, ROOM), self.client_address)


class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        while size := self.rfile.read(2):
            reply = answer(self.rfile.read(*struct.unpack(">H", size)), *self.server.names, 65535)
            self.wfile.write(struct.pack(">H", len(reply)) + reply)


class Streams(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


def main(port, *names):
    address = ("127.0.0.1", int(port))
    datagrams = socketserver.ThreadingUDPServer(address, Datagram)
    datagrams.names = names
    threading.Thread(target=datagrams.serve_forever, daemon=True).start()
    # Last, because a caller takes the open port for all being ready.
    streams = Streams(address, Stream)
    streams.names = names
    streams.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
