#!/usr/bin/python3
"""The WebSocket sink as a client, through the program. websocket_dial.py BUILD [PATTERN]: cases whose names contain PATTERN.
SPDX-License-Identifier: Apache-2.0"""
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from websocket_client import BINARY, CLOSE, PING, PONG, TEXT, frame
from websocket_program import BUILD, DEADLINE_S, Program, Skip, case, equal, holds, main, make_certificates, options_text, until
from websocket_server import Server


def sink(server, columns="k BIGINT, t VARCHAR", of="s", more="", env=(), **options):
    """Rows are what the test writes to it."""
    options = {"url": server if isinstance(server, str) else server.url("/in"), "retry.first": "10 ms", **options}
    return Program(f"CREATE SOURCE s ({columns}) FROM STDIN (format = 'csv', header = 'false');\n{more}"
                   f"CREATE SINK w FROM {of} INTO WEBSOCKET ({options_text(options)});\n", stdin=True, env=env)


def message(c):
    """The next frame that is no ping; pings are answered."""
    while True:
        opcode, data = c.frame()
        if opcode != PING:
            return opcode, data
        c.send(frame(PONG, data, mask=False))


def keys(c, n):
    out = []
    while len(out) < n:
        opcode, data = message(c)
        equal(opcode, TEXT)
        out += [json.loads(x)["k"] for x in data.split(b"\n")]
    return out


def finish(c):
    """Records until it closes, which is answered."""
    out = []
    while True:
        opcode, data = message(c)
        if opcode == CLOSE:
            c.send(frame(CLOSE, data, mask=False))
            return out, int.from_bytes(data[:2], "big")
        out += [json.loads(x)["k"] for x in data.split(b"\n")]


def lines(n, start=0, width=1):
    return [f"{k}," + "x" * width for k in range(start, start + n)]


@case
def rows_arrive():
    with Server() as s, sink(s) as p:
        c = s.open()
        equal(c.first, "GET /in HTTP/1.1")
        p.rows(["1,a", '2,"say ""hi"""', "3,"])
        equal([message(c) for _ in range(3)], [(TEXT, b'{"k":1,"t":"a"}'), (TEXT, b'{"k":2,"t":"say \\"hi\\""}'), (TEXT, b'{"k":3,"t":null}')])
        p.process.stdin.close()
        p.process.stdin = None
        equal(finish(c), ([], 1000))
        equal(p.end(), {"records": 3, "in frames": 3, "connections": 1, "may be lost": 0})
        equal(len(set(c.keys)), len(c.keys), "masks")


@case
def formats_and_sizes():
    with Server() as s, sink(s, format="csv", header="false") as p:
        c = s.open()
        p.rows(["1,a"])
        equal(message(c), (TEXT, b"1,a"))
    with Server() as s, sink(s, columns="b VARCHAR", format="raw") as p:
        c = s.open()
        p.rows(["hello"])
        equal(message(c), (BINARY, b"hello"))
    for width in [0, 1, 100, 110, 111, 112, 65000, 65530, 70000, 1000000]:
        with Server() as s, sink(s) as p:
            c = s.open()
            p.rows([f"1,{'x' * width}" if width else "1,"])
            equal(json.loads(message(c)[1]), {"k": 1, "t": "x" * width or None})


@case
def batches():
    with Server() as s, sink(s, batch__max__size=100, batch__interval__ms=600000, flush__interval="1 hour") as p:
        c = s.open()
        p.rows(lines(250))
        got = [message(c)[1].split(b"\n") for _ in range(2)]
        equal([len(x) for x in got], [100, 100])
        p.process.stdin.close()
        p.process.stdin = None
        equal(finish(c)[0], list(range(200, 250)))
        equal(p.end()["in frames"], 3)
    with Server() as s, sink(s, batch=100, batch__interval__ms=20, flush__interval="1 hour") as p:
        c = s.open()
        p.rows(lines(3))
        equal(keys(c, 3), [0, 1, 2])


@case
def end_waits_for_the_other_side():
    """Sent is not arrived: the end comes when a ping behind the last row is answered."""
    with Server() as s, sink(s) as p:
        c = s.open()
        p.rows(lines(10))
        p.process.stdin.close()
        p.process.stdin = None
        got = []
        while True:
            opcode, data = c.frame()
            if opcode == PING:
                break
            got.append(json.loads(data)["k"])
        equal(got, list(range(10)))
        time.sleep(0.3)
        equal(p.process.poll(), None, "it ended before the answer")
        c.send(frame(PONG, data, mask=False))
        equal(finish(c), ([], 1000))
        p.end()


@case
def many_rows_slowly():
    """A server that takes little at a time, with small buffers."""
    n = 20000
    with Server(receive_buffer=4096) as s, sink(s) as p:
        c = s.open()
        t = threading.Thread(target=lambda: (p.rows(lines(n, width=200)), p.process.stdin.close()))
        t.start()
        time.sleep(0.3)
        got = keys(c, n)
        equal(got, list(range(n)))
        t.join()
        p.process.stdin = None
        equal(finish(c), ([], 1000))
        equal(p.end()["may be lost"], 0)


@case
def server_comes_late():
    with Server() as s:
        port = s.port
    with sink(f"ws://127.0.0.1:{port}/", retry__max="50 ms", open__timeout="5 s") as p:
        p.rows(lines(10))
        time.sleep(0.3)
        equal(p.process.poll(), None, p.said)
        with Server(port=port) as s:
            c = s.open()
            equal(keys(c, 10), list(range(10)))
            p.process.stdin.close()
            p.process.stdin = None
            finish(c)
            p.end()


@case
def reconnects():
    """Each row that a ping was answered behind arrives once; none arrives twice; what may be lost is counted."""
    with Server() as s, sink(s, flush__interval="10 ms") as p:
        got, lost = [], 0
        for i, leave in enumerate([lambda c: c.reset(), lambda c: c.close(), lambda c: c.send(frame(CLOSE, (1012).to_bytes(2, "big"), mask=False))]):
            p.rows(lines(100, i * 100))
            c = s.open()
            got += keys(c, 100)
            opcode, data = c.frame()
            while opcode != PING:
                opcode, data = c.frame()
            c.send(frame(PONG, data, mask=False) + frame(PING, b"seen", mask=False))
            while c.frame() != (PONG, b"seen"):  # so it has seen the other one
                pass
            leave(c)
            until(lambda: len(re.findall("is lost|closed the connection", p.said)) == i + 1, "it is noticed: " + p.said)
        p.rows(lines(100, 300))
        c = s.open()
        got += keys(c, 100)
        equal(got, list(range(400)))
        p.process.stdin.close()
        p.process.stdin = None
        finish(c)
        counts = p.end()
        equal((counts["records"], counts["connections"], counts["may be lost"]), (400, 4, 0))


@case
def breaks_in_the_middle():
    """A server that reads a part of what is on its way and then is gone: no row twice, none gone that is not counted."""
    n, width = 20000, 1000  # more than the system takes for three connections, each of which may hold 4 MB
    with Server(receive_buffer=4096) as s, sink(s) as p:
        t = threading.Thread(target=lambda: (p.rows(lines(n, width=width)), p.process.stdin.close()))
        t.start()
        got, parts = [], 0
        for _ in range(3):
            c = s.open()
            got += keys(c, 200)
            c.reset()
            parts += 1
        c = s.open()
        p_rest = None
        while True:
            opcode, data = message(c)
            if opcode == CLOSE:
                c.send(frame(CLOSE, data, mask=False))
                break
            got.append(json.loads(data)["k"])
        t.join()
        p.process.stdin = None
        counts = p.end()
        equal(got, sorted(set(got)), "in order, none twice")
        equal(counts["records"], n)
        missing = n - len(got)
        assert missing <= counts["may be lost"], (missing, counts)
        assert counts["may be lost"] < n, counts


@case
def stalled():
    """A server that reads nothing more is left after ping.timeout.ms; what its connection had not taken goes by the next."""
    n = 20000
    with Server(receive_buffer=4096) as s, sink(s, ping__timeout__ms=300) as p:
        t = threading.Thread(target=lambda: (p.rows(lines(n, width=1000)), p.process.stdin.close()))
        t.start()
        first = s.open()
        c = s.open()
        p.wait_said("nothing moved for ping.timeout.ms.*may be lost")
        got, code = finish(c)
        t.join()
        p.process.stdin = None
        counts = p.end()
        equal(got, list(range(got[0], n)))
        equal(counts["may be lost"], got[0])
        first.close()


@case
def refused():
    """What trying again would not change waits for an operator; the rows stay."""
    with Server() as s, sink(s) as p:
        s.answer("HTTP/1.1 401 Unauthorized\r\n\r\n")
        p.rows(lines(3))
        p.end(1)
        holds(p.said, "answers 401: it wants another authorization")
    with Server() as s, sink(s) as p:
        for _ in range(2):
            s.answer("HTTP/1.1 503 Unavailable\r\n\r\n")
        p.rows(lines(3))
        c = s.open()
        equal(keys(c, 3), [0, 1, 2])
    for options, why in [(dict(mode="client", bind__address="0"), "bind.address of w is an option of mode = 'server'"), (dict(buffer__on__disconnect="1000"), "rows wait in the log"),
                         (dict(mode="server"), "url of w is an option of mode = 'client'"), (dict(envelope="data"), "envelope of w is an option of mode"), (dict(format="raw", batch=2), "cannot be joined")]:
        with sink("ws://127.0.0.1:1/", columns="t VARCHAR", **options) as p:
            p.end(1)
            holds(p.said, why)


@case
def null_is_no_message():
    more = "CREATE STREAM dead (t VARCHAR, error VARCHAR);\nCREATE SINK d FROM dead INTO FILE (path = 'dead.csv');\n"
    with Server() as s, sink(s, columns="t VARCHAR", of="(SELECT NULLIF(t, 'none') AS t FROM s)", format="raw", dead_letter="dead", more=more) as p:
        c = s.open()
        p.rows(["a", "none", "b"])
        equal([message(c)[1], message(c)[1]], [b"a", b"b"])
        p.process.stdin.close()
        p.process.stdin = None
        finish(c)
        p.end()
        with open(os.path.join(p.folder.name, "dead.csv")) as f:
            holds(f.read(), "a row of w whose value is NULL is no message")


@case
def tls_and_log_in():
    secret = "c4n4ry-" + os.urandom(8).hex()
    with tempfile.TemporaryDirectory(prefix="laminar-ws-test.") as folder:
        at = make_certificates(folder)
        with Server(at("good.pem"), at("good.key")) as s, sink(s, ssl__ca__location=at("ca.pem"), auth__type="bearer", auth__token="${S}", env={"S": secret}) as p:
            n = 5000
            t = threading.Thread(target=lambda: (p.rows(lines(n, width=1000)), p.process.stdin.close()))
            t.start()
            c = s.open()
            equal(c.headers["authorization"], "Bearer " + secret)
            time.sleep(0.2)
            equal(keys(c, n), list(range(n)))
            t.join()
            p.process.stdin = None
            finish(c)
            p.end()
            assert secret not in p.said
        with Server(at("good.pem"), at("good.key")) as s, sink(s) as p:
            try:
                s.open()
                raise AssertionError("it trusts anybody")
            except (OSError, EOFError):
                pass
            p.rows(lines(1))
            p.end(1)
            holds(p.said, "cannot connect to wss://")


@case
def conformance():
    if not os.path.exists(BUILD + "/conformance"):
        raise Skip("the conformance suite is not built")
    partner = os.path.join(os.path.dirname(os.path.abspath(__file__)), "websocket_partner.py")
    p = subprocess.run([BUILD + "/conformance", "ws"], env={**os.environ, "LAMINAR_WEBSOCKET_PARTNER": partner, "LAMINAR_MODULES": BUILD + "/modules"},
                       capture_output=True, text=True, timeout=200)
    if p.returncode:
        raise AssertionError(p.stderr)
    for name in ["refuse", "rows", "wide", "types", "deadline", "slow", "cancel", "stop"]:
        holds(p.stderr, f"sink   ws             {name:10}ok")
    for name in ["refuse", "rows", "wide", "types", "follow", "pause", "stop"]:
        holds(p.stderr, f"source ws             {name:10}ok")


sys.exit(main("websocket_dial"))
