#!/usr/bin/python3
"""The server of tests/conformance/websocket_dial.c: websocket_partner.py take|give PORT FOLDER. SPDX-License-Identifier: Apache-2.0"""
import os
import select
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from websocket_client import CLOSE, PING, PONG, TEXT, frame
from websocket_server import Server

verb, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
server = Server(port=port)
server.socket.settimeout(None)
given = 0  # bytes of in.json


def answer(c):
    """One frame; False after the last."""
    opcode, data = c.frame()
    if opcode == PING:
        c.send(frame(PONG, data, mask=False))
    elif opcode == CLOSE:
        c.send(frame(CLOSE, data, mask=False))
    elif opcode == TEXT:
        os.write(rows, data + b"\n")
    return opcode != CLOSE


def give(c):
    """Lines of in.json as they come, then, when there is a file `last`, the end."""
    global given
    while True:
        ended = os.path.exists(folder + "/last")  # looked at first
        with open(folder + "/in.json", "rb") as f:
            f.seek(given)
            new = f.read(1 << 20)
        new = new[:new.rindex(b"\n") + 1] if b"\n" in new else b""
        if new:
            c.send(b"".join(frame(TEXT, x, mask=False) for x in new.split(b"\n")[:-1]))
            given += len(new)
        elif ended:
            c.send(frame(CLOSE, (1000).to_bytes(2, "big"), mask=False))
            while answer(c):
                pass
            return
        elif (c.buffer or select.select([c.socket], [], [], 0.002)[0]) and not answer(c):
            return


rows = os.open(folder + "/rows.json", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
open(folder + "/in.json", "ab").close()
open(folder + "/up", "w").close()
while True:
    peer = server.accept()
    peer.socket.settimeout(None)
    try:
        peer.open()
        if verb == "give":
            give(peer)
        else:
            while answer(peer):
                pass
    except (OSError, EOFError):
        pass
    peer.close()
