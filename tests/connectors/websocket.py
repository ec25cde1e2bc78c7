#!/usr/bin/python3
"""The WebSocket sink through the program. websocket.py BUILD [PATTERN]: cases whose names contain PATTERN.
SPDX-License-Identifier: Apache-2.0"""
import json
import os
import re
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from websocket_run import BUILD, DEADLINE_S, Run, Skip, case, equal, holds, main, records, rest
from websocket_client import BINARY, CLOSE, PING, PONG, TEXT, Client, answer, connect, frame, request



def numbered(n, start=0, width=1):
    return [(i, "x" * width) for i in range(start, start + n)]


@case
def rows_arrive():
    with Run() as r:
        c = Client(r.port)
        r.rows([(1, "a"), (2, '"say ""hi"""'), (3, "")])
        got = records(c, 3)
        equal([v for _, v in got], [{"k": 1, "t": "a"}, {"k": 2, "t": 'say "hi"'}, {"k": 3, "t": None}])
        equal([s - got[0][0] for s, _ in got], [0, 1, 2])
        c.send(frame(CLOSE, (1000).to_bytes(2, "big")))
        equal(c.close_code()[0], 1000)
        equal(c.ended(), True)
        n = r.end()
        equal((n["records"], n["offered"], n["sent"], n["clients"]), (3, 3, 3, 1))


@case
def the_end_is_told():
    with Run() as r:
        c = Client(r.port)
        r.rows(numbered(1000))
        n = r.end()
        got, code, reason = rest(c)
        equal([x["data"]["k"] for x in got], list(range(1000)))
        equal((code, reason), (1001, "the sink has ended"))
        equal((n["sent"], n["left"]), (1000, 0))


@case
def two_hundred_at_once():
    with Run(per__client__buffer="16 MiB") as r:
        clients = [Client(r.port) for _ in range(200)]
        done = []

        def listen(some):
            done.extend([rest(c) for c in some])

        threads = [threading.Thread(target=listen, args=(clients[i::10],)) for i in range(10)]
        for t in threads:
            t.start()
        for i in range(20):
            r.rows(numbered(100, 100 * i, 20))
        n = r.end()
        for t in threads:
            t.join(DEADLINE_S)
        equal(len(done), 200)
        sequences = [x["sequence"] for x in done[0][0]]
        equal(sequences, list(range(sequences[0], sequences[0] + 2000)))
        for got, code, _ in done:
            equal(code, 1001)
            equal([x["data"]["k"] for x in got], list(range(2000)))
            equal([x["sequence"] for x in got], sequences)
        equal((n["offered"], n["sent"], n["dropped"]), (400000, 400000, 0))


@case
def lengths_of_frames():
    with Run(envelope="none") as r:
        c = Client(r.port)
        empty = len('{"k":1,"t":""}')
        sizes = [1, 125 - empty, 126 - empty, 65535 - empty, 65536 - empty, 200000]
        r.rows([(1, "y" * n) for n in sizes])
        for n in sizes:
            opcode, data = c.frame()
            equal((opcode, json.loads(data)), (TEXT, {"k": 1, "t": "y" * n}))
        r.end()


@case
def joined_lines():
    with Run(batch=10, replay__buffer__size="64 KiB") as r:
        r.rows(numbered(25))
        Client(r.port).close()
        c = Client(r.port, "/?last_sequence=0")
        frames = []
        while sum(len(f) for f in frames) < 25:
            frames.append([json.loads(x)["data"]["k"] for x in c.frame()[1].split(b"\n")])
        equal(sum(frames, []), list(range(25)))
        equal(max(len(f) for f in frames), 10)
        r.end()


@case
def other_formats():
    with Run(format="csv", envelope="none") as r:
        c = Client(r.port)
        r.rows([(1, "a")])
        equal(c.frame(), (TEXT, b"1,a"))
        r.end()
    with Run("t VARCHAR", format="raw", envelope="none") as r:
        c = Client(r.port)
        r.process.stdin.write(b"hello\n")
        r.process.stdin.flush()
        equal(c.frame(), (BINARY, b"hello"))
        r.end()


@case
def ping_pong_and_fragments():
    with Run() as r:
        c = Client(r.port)
        c.send(frame(PING, b"are you there"))
        equal(c.frame(), (PONG, b"are you there"))
        c.send(frame(TEXT, b"one ", fin=False) + frame(PING, b"!") + frame(0, b"two", fin=True))
        equal(c.frame(), (PONG, b"!"))
        opcode, data = c.frame()
        equal((opcode, json.loads(data)["type"]), (TEXT, "error"))
        for b in frame(TEXT, b'{"action":"ping"}'):
            c.send(bytes([b]))
        equal(json.loads(c.frame()[1])["type"], "heartbeat")
        r.rows([(7, "a")])
        equal(records(c, 1)[0][1]["k"], 7)
        equal(r.end()["messages from clients"], 2)


@case
def frames_beside_the_request():
    with Run() as r:
        c = Client(r.port, more=frame(PING, b"early"))
        equal(c.frame(), (PONG, b"early"))
        r.end()


@case
def bad_frames():
    wrong = {"not masked": (frame(TEXT, b"hi", mask=False), 1002), "rsv": (frame(TEXT, b"hi", rsv=4), 1002),
             "opcode": (frame(3, b"hi"), 1002), "long control": (frame(PING, b"x" * 126), 1002),
             "control in parts": (frame(PING, b"x", fin=False), 1002), "continues nothing": (frame(0, b"x"), 1002),
             "a second beginning": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"), 1002), "not UTF-8": (frame(TEXT, b"\xc0\x80"), 1007),
             "too long": (frame(TEXT, b"x" * 1001), 1009), "too long in parts": (frame(TEXT, b"x" * 600, fin=False) + frame(0, b"x" * 600), 1009),
             "a length that is too long": (b"\x81\xfe\x00\x05" + b"k" * 9, 1002), "64 bits": (frame(BINARY, b"", length=1 << 63), 1002), "63 bits": (frame(BINARY, b"x", length=(1 << 63) - 1), 1009), "close of one byte": (frame(CLOSE, b"x"), 1002),
             "close 1005": (frame(CLOSE, (1005).to_bytes(2, "big")), 1002)}
    with Run(max__message__size=1000) as r:
        for what, (data, code) in wrong.items():
            c = Client(r.port)
            c.send(data)
            try:
                got = c.close_code()[0]
            except (EOFError, TimeoutError):
                got = "nothing"
            equal(got, code, what)
            c.close()
        good = Client(r.port)
        r.rows([(1, "a")])
        records(good, 1)
        r.end()


@case
def bad_handshakes():
    with Run(allowed__origins="https://good.example, http://localhost:8000", path="/live", max__request__size=1024) as r:
        ask = lambda path="/live", **h: answer(r.port, request(r.port, path, **h))
        for status, got in [(404, ask("/")), (404, ask("/live/")), (403, ask(Origin="https://evil.example")), (403, ask(Origin="null")),
                            (403, ask(Origin="https://good.example.evil.example")), (426, ask(Upgrade=None)), (426, ask(Upgrade="h2c")),
                            (426, ask(Connection="close")), (426, ask(Sec__WebSocket__Version="8")), (400, ask(Sec__WebSocket__Key="short")),
                            (400, ask(Sec__WebSocket__Key=None)), (400, ask(Host=None)), (400, ask("/live?last_sequence=x")),
                            (400, ask("/live?last_sequence=1&last_sequence=2")), (431, ask(Cookie="c" * 2000)),
                            (400, answer(r.port, b"\x16\x03\x01\x02\r\n\r\n")), (400, answer(r.port, b"GET /live HTTP/1.0\r\nHost: x\r\n\r\n")),
                            (405, answer(r.port, b"POST /live HTTP/1.1\r\nHost: x\r\n\r\n")),
                            (400, answer(r.port, request(r.port, "/live").replace(b"Host", b"Host : x\r\nHost"))),
                            (400, answer(r.port, request(r.port, "/live").replace(b"Upgrade: w", b"Upgrade: w\r\n w"))),
                            (400, answer(r.port, request(r.port, "/live").replace(b"\r\nHost", b"\nHost")))]:
            holds(got, f"HTTP/1.1 {status} ", "Content-Length")
        c = Client(r.port, "/live", Origin="http://localhost:8000", Connection="keep-alive, Upgrade", Upgrade="WebSocket")
        r.rows([(1, "a")])
        records(c, 1)
        equal(r.end()["refused"], 21)


@case
def a_port_that_is_taken():
    with Run() as r, tempfile.TemporaryDirectory(prefix="laminar-ws-test.") as folder:
        script = os.path.join(folder, "s.sql")
        with open(script, "w") as f:
            f.write("CREATE SOURCE s (k BIGINT) FROM STDIN (format = 'csv', header = 'false');\n"
                    f"CREATE SINK w FROM s INTO WEBSOCKET (bind.address = '{r.port}', retry.first = '10 ms');\n")
        p = subprocess.Popen([BUILD + "/laminar", "run", script], env={**os.environ, "LAMINAR_MODULES": BUILD + "/modules"}, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        said = p.stderr.readline().decode()  # while it tries
        holds(said, f'sink "w": w cannot listen on {r.port}: Address already in use; it is tried again')
        r.end()
        holds(p.stderr.readline().decode(), "listening on ws://")
        p.stdin.close()
        equal(p.wait(DEADLINE_S), 0)
        p.stderr.close()


@case
def slow_requests_end():
    with Run(handshake__timeout__ms=300) as r:
        s = connect(r.port)
        whole = request(r.port)
        at, i = time.monotonic(), 0
        select = selectors.DefaultSelector()
        select.register(s, selectors.EVENT_READ)
        while not select.select(0.02):  # until the server hangs up; a byte at a time until then
            if time.monotonic() - at > 10:
                raise AssertionError("it still waits")
            try:
                s.send(whole[i:i + 1])
            except OSError:
                break
            i = min(i + 1, len(whole) - 3)
        c = Client(r.port)
        r.rows([(1, "a")])
        records(c, 1)
        equal(r.end()["timed out"], 1)


@case
def no_pong():
    with Run(ping__interval__ms=100, ping__timeout__ms=300) as r:
        deaf, good = Client(r.port), Client(r.port)
        while True:
            opcode, data = good.frame()
            equal(opcode, PING)
            good.send(frame(PONG, data))
            deaf.socket.setblocking(False)
            try:
                while deaf.socket.recv(4096):
                    pass
                break
            except BlockingIOError:
                pass
        r.rows([(1, "a")])
        while good.frame()[0] != TEXT:
            pass
        equal(r.end()["timed out"], 1)


@case
def too_many():
    with Run(max__connections=2) as r:
        a, b = Client(r.port), Client(r.port)
        holds(answer(r.port, b""), "HTTP/1.1 503 ")
        a.send(frame(CLOSE))
        a.close_code()
        equal(a.ended(), True)
        c = Client(r.port)
        r.rows([(1, "a")])
        equal(records(b, 1), records(c, 1))
        r.end()


def stall(policy, **more):
    """A client that does not read while another gets everything: what it finds afterwards."""
    n = 20000
    with Run(per__client__buffer="64 KiB", slow__client__policy=policy, **more) as r:
        live, slow = Client(r.port), Client(r.port, receive_buffer=4096)
        for i in range(0, n, 20):
            r.rows(numbered(20, i, 1000))
            got = records(live, 20)
            equal([v["k"] for _, v in got], list(range(i, i + 20)))
        if policy == "disconnect":
            seen, code, reason = rest(slow)
            counts = r.end()
        else:
            r.rows([(n, "last")])
            live_last = records(live, 1)[0]
            seen = []
            while not seen or (policy == "drop_oldest" and seen[-1]["sequence"] < live_last[0]) or (policy != "drop_oldest" and len(seen) < 60):
                seen.append(json.loads(slow.frame()[1]))
            ends = threading.Thread(target=r.end)
            ends.start()
            more_seen, code, reason = rest(slow)
            seen += more_seen
            ends.join()
            counts = r.counts()
        sequences = [x["sequence"] for x in seen]
        equal(sequences, sorted(set(sequences)), "in order, each once")
        first = sequences[0] - seen[0]["data"]["k"]
        equal([x["sequence"] - x["data"]["k"] for x in seen], [first] * len(seen), "whole frames")
        return n, seen, code, reason, counts


@case
def slow_drop_oldest():
    n, seen, code, _, counts = stall("drop_oldest")
    equal((code, seen[0]["data"]["k"], seen[-1]["data"]["k"]), (1001, 0, n))
    equal(counts["dropped"], n + 1 - len(seen))
    assert counts["dropped"] > n / 2, counts
    equal((counts["sent"], counts["left"]), (n + 1 + len(seen), 0))


@case
def slow_drop_newest():
    n, seen, code, _, counts = stall("drop_newest")
    ks = [x["data"]["k"] for x in seen]
    equal((code, ks[:50]), (1001, list(range(50))))
    equal((counts["dropped"], counts["left"]), (n + 1 - len(seen), 0))
    assert counts["dropped"] > n / 2, counts


@case
def slow_disconnect():
    n, seen, code, reason, counts = stall("disconnect")
    equal((code, reason), (1013, f"last_sequence={seen[-1]['sequence']}"))
    ks = [x["data"]["k"] for x in seen]
    equal(ks, list(range(len(ks))))
    equal(counts["evicted"], 1)
    equal(counts["sent"], n + len(seen))


@case
def ten_thousand_stalled():
    """Their buffers hold what they may, in memory that is shared, and one who keeps up hardly sees them."""
    n, cap = 10000, 65536
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit[1] < n + 200:
        raise Skip(f"{n} clients need ulimit -n {n + 200}, and {limit[1]} is the most here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (n + 200, limit[1]))
    try:
        with Run(per__client__buffer=cap, max__connections=n + 2, listen__backlog=4096, ping__interval__ms=600000) as r:
            memory = lambda: int(re.search(r"VmRSS:\s*(\d+)", open(f"/proc/{r.process.pid}/status").read())[1]) << 10

            def p99(client, rows):
                took = []
                for k in range(rows):
                    at = time.perf_counter()
                    r.rows([(k, "x" * 500)])
                    records(client, 1)
                    took.append(time.perf_counter() - at)
                return sorted(took)[rows * 99 // 100]

            alone = Client(r.port)
            p99(alone, 50)
            without, before = p99(alone, 500), memory()
            stalled = [connect(r.port, 2048) for _ in range(n)]
            for s in stalled:
                s.sendall(request(r.port))
            for s in stalled:
                assert s.recv(4, socket.MSG_PEEK) == b"HTTP"
            live = Client(r.port)
            alone.close()
            p99(live, 200)  # fills them
            among, after = p99(live, 500), memory()
            print(f"   p99 {without * 1e6:.0f} us alone, {among * 1e6:.0f} us among {n} stalled; {(after - before) // n} bytes of each, cap {cap}")
            assert after - before < n * cap * 1.1, (before, after)
            for s in stalled:
                s.close()
            r.end()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


@case
def replay():
    with Run(replay__buffer__size="4 KiB") as r:
        a = Client(r.port)
        r.rows(numbered(10))
        got = records(a, 10)
        b = Client(r.port, f"/?last_sequence={got[6][0]}")
        equal(records(b, 3), got[7:])
        c = Client(r.port, "/?other=1&last_sequence=0")
        equal(records(c, 10), got)
        d = Client(r.port, f"/?last_sequence={got[9][0]}")
        r.rows(numbered(1, 10))
        eleventh = records(a, 1)
        equal(records(d, 1), eleventh)
        equal(records(b, 1), eleventh)
        r.rows(numbered(1000, 11))
        records(a, 1000)
        e = Client(r.port, f"/?last_sequence={got[2][0]}")
        gap = json.loads(e.frame()[1])
        equal((gap["type"], gap["after"]), ("gap", got[2][0]))
        equal(json.loads(e.frame()[1])["sequence"], gap["next"])
        assert gap["next"] > eleventh[0][0]
        f = Client(r.port, "/?last_sequence=999999999999999999")
        equal(json.loads(f.frame()[1])["type"], "gap")
        r.end()


@case
def no_replay():
    with Run() as r:
        a = Client(r.port)
        r.rows(numbered(2))
        got = records(a, 2)
        b = Client(r.port, f"/?last_sequence={got[0][0]}")
        equal(json.loads(b.frame()[1]), {"type": "gap", "after": got[0][0], "next": got[1][0] + 1})
        r.end()


@case
def conformance():
    listener = os.path.join(os.path.dirname(os.path.abspath(__file__)), "websocket_listener.py")
    p = subprocess.run([BUILD + "/conformance", "websocket"], env={**os.environ, "LAMINAR_WEBSOCKET": listener, "LAMINAR_MODULES": BUILD + "/modules"},
                       capture_output=True, text=True, timeout=200)
    if p.returncode:
        raise AssertionError(p.stderr)
    for name in ["refuse", "rows", "wide", "types", "deadline", "slow", "outage", "cancel", "stop"]:
        holds(p.stderr, f"sink   websocket      {name:10}ok")


@case
def port_taken():
    with Run() as r:
        script = os.path.join(r.folder.name, "t.sql")
        with open(script, "w") as f:
            f.write(f"CREATE SOURCE s (k BIGINT) FROM STDIN (format = 'csv', header = 'false');\n"
                    f"CREATE SINK w FROM s INTO WEBSOCKET (bind.address = '127.0.0.1:{r.port}', retry.limit = 1, retry.first = '1 ms');\n")
        p = subprocess.run([BUILD + "/laminar", "run", script], env={**os.environ, "LAMINAR_MODULES": BUILD + "/modules"}, input=b"1\n",
                           stderr=subprocess.PIPE, timeout=DEADLINE_S)
        equal(p.returncode, 1, p.stderr.decode())
        holds(p.stderr.decode(), "cannot listen on 127.0.0.1", "in use")
        r.end()


@case
def tutorial():
    """docs/websocket.md as it is printed; what a browser does is done by node, which has the same WebSocket, when it is there."""
    if subprocess.run([sys.executable, "-c", "import websockets"], stderr=subprocess.DEVNULL).returncode:
        raise Skip("Debian: python3-websockets")
    ports = {}
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/websocket.md")) as f:
        page = re.sub("8137|8138|8139", lambda m: ports.setdefault(m[0], str(free_port())), f.read())
    script, want = "", ""
    with tempfile.TemporaryDirectory(prefix="laminar-ws-test.") as folder:
        for info, text in re.findall(r"^```(\S*(?: \S+)?)\n(.*?)^```$", page, re.S | re.M):
            if info.startswith("file "):
                with open(os.path.join(folder, info[5:]), "w") as f:
                    f.write(text)
                if info.endswith(".js") and not has_node():
                    print("websocket tutorial: the page's script is skipped: node has no WebSocket (node 20.10 or later)")
                elif info.endswith(".js"):
                    script += " ".join(NODE) + " look.js\n"
                    want += "AAPL true\nMSFT true\n"
            elif info == "sh":
                script += text
            elif info == "text":
                want += text
        env = {**os.environ, "PATH": f"{BUILD}:{os.path.dirname(sys.executable)}:" + os.environ["PATH"], "LAMINAR_MODULES": BUILD + "/modules"}
        p = subprocess.run(["timeout", "40", "bash", "-c", script + "wait"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        equal(p.stdout, want, p.stderr)


NODE = ["node", "--experimental-websocket"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def has_node():
    try:
        return b"function" in subprocess.run([*NODE, "-p", "typeof WebSocket"], stdout=subprocess.PIPE).stdout
    except OSError:
        return False


sys.exit(main("websocket"))
