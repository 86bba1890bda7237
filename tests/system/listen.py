"""Collects the datagrams that reach a Unix socket, as the system log and systemd's notification socket do.

    listen.py SOCKET FILE     each datagram becomes lines of FILE
"""

import os
import socket
import sys


def main(path, log):
    log = os.path.abspath(log)
    # A socket's whole path may be 107 bytes long, and the roots under test lie deep.
    os.chdir(os.path.dirname(path))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(os.path.basename(path))
    os.chmod(os.path.basename(path), 0o666)
    while True:
        datagram = listener.recv(65536)
        with open(log, "ab") as file:
            file.write(datagram.rstrip(b"\n") + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
