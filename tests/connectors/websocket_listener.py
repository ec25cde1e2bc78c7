#!/usr/bin/python3
"""The client of tests/conformance/websocket.c: websocket_listener.py PORT FOLDER. SPDX-License-Identifier: Apache-2.0"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from websocket_client import CLOSE, TEXT, Client

port, folder = int(sys.argv[1]), sys.argv[2]
rows = os.open(folder + "/rows.json", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
last_file, mark = folder + "/last", folder + "/connected"
try:
    last = int(open(last_file).read())
except (OSError, ValueError):
    last = 0


def listen():
    """Until the server ends."""
    global last
    c = Client(port, f"/?last_sequence={last}")
    c.socket.settimeout(None)
    open(mark, "w").close()
    try:
        while True:
            opcode, data = c.frame()
            if opcode == CLOSE:
                return
            if opcode != TEXT or not data.startswith(b'{"type":"data","sequence":'):
                continue
            last = int(data[26:data.index(b",", 26)])
            os.write(rows, data[data.index(b'"data":', 26) + 7:-1] + b"\n")
            if not c.buffer:
                with open(last_file + ".new", "w") as f:
                    f.write(str(last))
                os.rename(last_file + ".new", last_file)
    finally:
        os.unlink(mark)


while True:
    try:
        listen()
    except (OSError, EOFError):
        time.sleep(0.002)
