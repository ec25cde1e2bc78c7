#!/usr/bin/python3
"""The WebSocket source in both modes, through the program. websocket_source.py BUILD [PATTERN]: cases whose names contain PATTERN.
SPDX-License-Identifier: Apache-2.0"""
import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from websocket_client import BINARY, CLOSE, PING, PONG, TEXT, Client, answer, connect, frame, request
from websocket_program import BUILD, DEADLINE_S, Program, Skip, case, equal, holds, main, make_certificates, options_text, until
from websocket_server import Server


def text(data, **how):
    """A frame as a server sends it."""
    return frame(TEXT, data.encode() if isinstance(data, str) else data, mask=False, **how)


def row(k, t="x"):
    return json.dumps({"k": k, "t": t})


def close(code, reason=""):
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode(), mask=False)


def source(columns="k BIGINT, t VARCHAR", select="*", env=(), reads=True, **options):
    return Program(f"CREATE SOURCE s ({columns}) FROM WEBSOCKET ({options_text(options)});\nCREATE STREAM o AS SELECT {select} FROM s;\n", "o", env=env, reads=reads)


def from_server(server, path="/", **options):
    return source(url=server.url(path), **{"reconnect__enabled": "false", **options})


# ---- client: messages ------------------------------------------------------------------------------------------------


@case
def rows_arrive():
    with Server() as s, from_server(s, "/feed?x=1&y=a%20b", subscribe__message='{"subscribe":"all"}', columns="k BIGINT, t VARCHAR, _connection BIGINT, _received TIMESTAMPTZ",
                                    select="k, t, _connection, _received > TIMESTAMPTZ '2024-01-01' AS late") as p:
        c = s.open(more=text(row(1, "a")))
        equal(c.first, "GET /feed?x=1&y=a%20b HTTP/1.1")
        equal({k: c.headers.get(k) for k in ["host", "upgrade", "connection", "sec-websocket-version", "sec-websocket-extensions", "authorization"]},
              {"host": f"127.0.0.1:{s.port}", "upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13", "sec-websocket-extensions": None, "authorization": None})
        equal(len(base64.b64decode(c.headers["sec-websocket-key"])), 16)
        equal(c.frame(), (TEXT, b'{"subscribe":"all"}'))
        c.send(text(row(2, "b")) + text(row(3, 'say "hi"')) + close(1000))
        equal(c.close_code()[0], 1000)
        equal(c.ended(), True)
        equal(p.end(), {"messages": 3, "connections": 1, "gaps": 0, "dropped": 0})
        equal(p.lines, ["k,t,_connection,late", "1,a,1,true", "2,b,1,true", '3,"say ""hi""",1,true'])


@case
def formats():
    with Server() as s, from_server(s, format="csv", header="false") as p:
        c = s.open()
        c.send(text("1,a") + text("2,b") + close(1000))
        p.end()
        equal(p.lines, ["k,t", "1,a", "2,b"])
    with Server() as s, from_server(s, format="raw", columns="b BLOB") as p:
        c = s.open()
        c.send(frame(BINARY, b"\0\xff", mask=False) + frame(BINARY, b"", mask=False) + close(1000))
        p.end()
        equal(p.lines, ["b", r"\x00ff", r"\x"])
    with Server() as s, from_server(s, split="lines") as p:
        c = s.open()
        c.send(text(row(1) + "\n" + row(2) + "\r\n\n" + row(3)) + text(row(4) + "\n") + close(1000))
        equal(p.end()["messages"], 4)
        equal([x[0] for x in p.lines[1:]], ["1", "2", "3", "4"])
    with Server() as s, from_server(s, split="lines") as p:  # many more lines than messages may wait
        c = s.open()
        c.send(text("\n".join(row(k) for k in range(20000))) + close(1000))
        equal(p.end(), {"messages": 20000, "connections": 1, "gaps": 0, "dropped": 0})
        equal([x.split(",")[0] for x in p.lines[1:]], [str(k) for k in range(20000)])


@case
def bad_records_are_counted():
    with Server() as s, from_server(s) as p:
        c = s.open()
        c.send(text(row(1)) + text("[1]") + text("") + text(row(2)) + close(1000))
        p.end()
        equal([x[0] for x in p.lines[1:]], ["1", "2"])
        holds(p.said, "cannot be read: 2 ")


@case
def fragments_and_pings():
    with Server() as s, from_server(s) as p:
        c = s.open()
        whole = row(1, "x" * 300000).encode()
        c.send(frame(TEXT, whole[:10], fin=False, mask=False) + frame(PING, b"are you there", mask=False) + frame(0, whole[10:200000], fin=False, mask=False))
        equal(c.frame(), (PONG, b"are you there"))
        c.send(frame(0, b"", fin=False, mask=False) + frame(0, whole[200000:], mask=False) + frame(PONG, b"unasked", mask=False))
        for b in text(row(2)):
            c.send(bytes([b]))
        c.send(frame(TEXT, b"", fin=False, mask=False) + frame(0, row(3).encode(), mask=False) + close(1000))
        p.end()
        equal([x[0] for x in p.lines[1:]], ["1", "2", "3"])
        equal(len(p.lines[1]), 300002)


@case
def masks_are_random():
    with Server() as s, from_server(s) as p:
        c = s.open()
        c.send(frame(PING, b"1234", mask=False) * 50)
        for _ in range(50):
            equal(c.frame(), (PONG, b"1234"))
        c.send(close(1000))
        c.close_code()
        equal(len(set(c.keys)), 51)
        p.end()


@case
def bad_frames():
    wrong = {"masked": (frame(TEXT, b"hi"), 1002), "rsv": (text("hi", rsv=4), 1002), "opcode": (frame(3, b"hi", mask=False), 1002),
             "long control": (frame(PING, b"x" * 126, mask=False), 1002), "control in parts": (frame(PING, b"x", fin=False, mask=False), 1002),
             "continues nothing": (frame(0, b"x", mask=False), 1002), "a second beginning": (text("x", fin=False) + text("x"), 1002),
             "not UTF-8": (text(b"\xc0\x80"), 1007), "half a character": (text(b"\xe2\x82"), 1007), "too long": (text("x" * 1001), 1009), "too long in parts": (text("x" * 600, fin=False) + frame(0, b"x" * 600, mask=False), 1009),
             "a length that is too long": (b"\x81\x7e\x00\x05" + b"k" * 9, 1002), "64 bits": (frame(BINARY, b"", length=1 << 63, mask=False), 1002),
             "63 bits": (frame(BINARY, b"x", length=(1 << 63) - 1, mask=False), 1009), "close of one byte": (frame(CLOSE, b"x", mask=False), 1002),
             "close 1005": (close(1005), 1002)}
    for what, (data, code) in wrong.items():
        with Server() as s, from_server(s, max__message__size=1000) as p:
            c = s.open(more=text(row(1)))
            p.wait_lines(2)
            c.send(data)
            try:
                got = c.close_code()[0]
            except (EOFError, TimeoutError):
                got = "nothing"
            equal(got, code, what)
            c.close()
            p.end(1)
            holds(p.said, "LAM-5003", s.url()[:-1])
            equal([x[0] for x in p.lines[1:]], ["1"], what)


# ---- client: the server's answer -----------------------------------------------------------------------------------------


def answered(reply, **options):
    """The error of a source whose server answers so."""
    with Server() as s, from_server(s, **options) as p:
        try:
            s.answer(reply)
        except OSError:
            pass
        p.end(1)
        holds(p.said, "LAM-5001", f"127.0.0.1:{s.port}")
        return p.said


@case
def answers():
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    for reply, why in [("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "redirects are not followed"),
                       ("HTTP/1.1 401 Unauthorized\r\n\r\n", "answers 401: it wants another authorization"),
                       ("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", "answers 404: there is nothing at this path"),
                       ("HTTP/1.1 200 OK\r\n\r\n", "answers 200: it opens no WebSocket"), ("HTTP/1.0 101 X\r\n\r\n", "not HTTP/1.1"),
                       (head + "\r\n", "not that of our key"), (head + "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n", "not that of our key"),
                       ("HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n", "does not open a WebSocket"), ("SSH-2.0-OpenSSH\r\n\r\n", "not HTTP/1.1"),
                       ("HTTP/1.1 101 X\nUpgrade: websocket\r\n\r\n", "not HTTP/1.1"), ("HTTP/1.1 101 X\r\nx" + "y" * 20000, "not HTTP/1.1"),
                       ("HTTP/1.1 1", "hung up before it answered"), ("", "hung up before it answered")]:
        holds(answered(reply), why)
    for more, why in [("Sec-WebSocket-Extensions: permessage-deflate\r\n", "an extension that nobody offered"), ("Sec-WebSocket-Protocol: x\r\n", "a subprotocol that nobody offered"),
                      ("Upgrade: websocket\r\n", "not HTTP/1.1")]:
        with Server() as s, from_server(s) as p:
            s.open(headers=more)
            p.end(1)
            holds(p.said, why)
    with Server() as s, from_server(s, subprotocol="v2.json") as p:
        c = s.open(headers="Sec-WebSocket-Protocol: v2.json\r\n")
        equal(c.headers["sec-websocket-protocol"], "v2.json")
        c.send(close(1000))
        p.end()
    with Server() as s, from_server(s, subprotocol="v2.json") as p:
        s.open()
        p.end(1)
        holds(p.said, "does not speak the subprotocol")


@case
def nobody_answers():
    with Server() as s, from_server(s, connect__timeout__ms=200) as p:
        c = s.accept()
        c.request()
        p.end(1)
        holds(p.said, "did not answer within connect.timeout.ms")


@case
def comes_back_after_refusals():
    with Server() as s, source(url=s.url(), reconnect__initial__delay__ms=10, subscribe__message="hello") as p:
        at = time.monotonic()
        s.answer("HTTP/1.1 503 Unavailable\r\n\r\n")
        s.answer("HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\n\r\n")
        c = s.open(more=text(row(1)))
        assert time.monotonic() - at > 1, "Retry-After was not waited for"
        p.wait_lines(2)
        holds(p.said, "answers 503: it is not available now; the next try comes in", "answers 429")
        equal(c.frame(), (TEXT, b"hello"))
        equal(p.stop()["gaps"], 0)
    with Server() as s, source(url=s.url(), reconnect__initial__delay__ms=10) as p:
        s.answer("HTTP/1.1 403 Forbidden\r\n\r\n")
        p.end(1)
        holds(p.said, "LAM-5001", "answers 403: it forbids this")


# ---- client: losing the connection -----------------------------------------------------------------------------------------------


@case
def reconnects():
    with Server() as s, source(url=s.url(), reconnect__initial__delay__ms=10, reconnect__max__delay__ms=50, subscribe__message="again",
                               columns="k BIGINT, t VARCHAR, _connection BIGINT") as p:
        for i, leave in enumerate([lambda c: c.reset(), lambda c: c.close(), lambda c: c.send(close(1001, "restart\x07")), lambda c: c.send(close(1013)), lambda c: c.send(close(1000))]):
            c = s.open(more=text(row(i)))
            equal(c.frame(), (TEXT, b"again"))
            p.wait_lines(i + 2)
            leave(c)
        c = s.open(more=text(row(9)))
        p.wait_lines(7)
        equal([x.split(",")[0::2] for x in p.lines[1:]], [["0", "1"], ["1", "2"], ["2", "3"], ["3", "4"], ["4", "5"], ["9", "6"]])
        p.wait_said("gap 5, after 5 messages")  # which another thread reads
        holds(p.said, "closed the connection: 1001 restart?;", "what is sent until then is missed", "again after", "gap 5, after 5 messages", "closed the connection: 1013")
        equal(p.stop()["gaps"], 5)
        equal(c.close_code()[0], 1000)


@case
def gives_up():
    with Server() as s:
        url = s.url()
    with source(url=url, reconnect__initial__delay__ms=1, reconnect__max__retries=3) as p:
        p.end(1)
        equal(p.said.count("the next try comes in"), 2)  # the third is told at level 3
        holds(p.said, "LAM-5001", "cannot connect to " + url[:-1])
    with source(url=url, reconnect__enabled="false") as p:
        p.end(1)
        holds(p.said, "LAM-5001", "cannot connect to", "refused" if "refused" in p.said else "connect to server")


@case
def codes_that_stay():
    with Server() as s, source(url=s.url(), reconnect__initial__delay__ms=1) as p:
        c = s.open()
        c.send(close(1003, "text only"))
        p.end(1)
        holds(p.said, "LAM-5003", "closed the connection: 1003 text only")
    with Server() as s, from_server(s) as p:
        c = s.open()
        c.send(close(1001))
        p.end(1)
        holds(p.said, "LAM-5003", "1001", "reconnect.enabled = true tries again")


@case
def pauses_grow():
    """A server that takes each connection and closes it at once is not asked ten times a second."""
    with Server() as s, source(url=s.url(), reconnect__initial__delay__ms=20, reconnect__max__delay__ms=100000) as p:
        for _ in range(5):
            c = s.open()
            c.send(close(1008, "not you"))
            c.ended()
        p.wait_said(r"(?s)(next try comes.*){5}")
        import re
        pauses = [int(x) for x in re.findall(r"next try comes in (\d+) ms", p.said)]
        for i, ms in enumerate(pauses[:5]):
            assert 20 * 2**i // 2 <= ms <= 20 * 2**i, pauses
        p.stop()


@case
def half_open():
    with Server() as s, source(url=s.url(), ping__interval__ms=50, ping__timeout__ms=150, reconnect__initial__delay__ms=10) as p:
        c = s.open(more=text(row(1)))
        opcode, data = c.frame()
        equal(opcode, PING)
        c.send(frame(PONG, data, mask=False))
        equal(c.frame()[0], PING)  # it is not answered any more
        again = s.open(more=text(row(2)))
        p.wait_lines(3)
        holds(p.said, "nothing moved for ping.timeout.ms")
        again.socket.close()
        p.stop()


@case
def server_is_stopped():
    """A process that stands still, as one whose machine has gone: SIGSTOP."""
    helper = "import sys; sys.path.insert(0, sys.argv[1]); from websocket_server import Server\n" \
             "s = Server(); print(s.port, flush=True)\nfor i in range(2):\n    c = s.open(); c.send(bytes([0x81, 8]) + b'{\"k\":%d }' % i)\n    try:\n        while True: c.send(bytes([0x8a, len(d := c.frame()[1])]) + d)\n    except (EOFError, OSError): pass\n"
    h = subprocess.Popen([sys.executable, "-c", helper, os.path.dirname(os.path.abspath(__file__))], stdout=subprocess.PIPE)
    try:
        port = int(h.stdout.readline())
        with source(url=f"ws://127.0.0.1:{port}/", ping__interval__ms=50, ping__timeout__ms=300, connect__timeout__ms=500, reconnect__initial__delay__ms=10) as p:
            p.wait_lines(2)
            h.send_signal(signal.SIGSTOP)
            p.wait_said("nothing moved")
            h.send_signal(signal.SIGCONT)
            p.wait_said("again after")
            p.stop()
    finally:
        h.kill()
        h.wait()
        h.stdout.close()


# ---- client: who is who ------------------------------------------------------------------------------------------------------------------

SECRET = "c4n4ry-" + os.urandom(8).hex()


@case
def logs_in():
    key = "k-" + SECRET
    bearer = dict(auth__type="bearer", auth__token="${S}")
    basic = dict(auth__type="basic", auth__username="alice", auth__password="${S}")
    signed = dict(auth__type="hmac", auth__api__key="${K}", auth__secret="${S}")
    other = dict(headers="X-Key: ${S}\nX-More:  a b ", origin="https://example.com")
    for options in [bearer, basic, signed, other]:
        with Server() as s, from_server(s, "/private?q=1", env={"S": SECRET, "K": key}, **options) as p:
            c = s.open()
            c.send(close(1000))
            h = c.headers
            if options is bearer:
                equal(h["authorization"], "Bearer " + SECRET)
            elif options is basic:
                equal(h["authorization"], "Basic " + base64.b64encode(f"alice:{SECRET}".encode()).decode())
            elif options is signed:
                equal(h["x-api-key"], key)
                equal(h["x-signature"], hmac.new(SECRET.encode(), (h["x-timestamp"] + "GET/private?q=1").encode(), hashlib.sha256).hexdigest())
                assert abs(int(h["x-timestamp"]) - time.time() * 1000) < 60000
            else:
                equal((h["x-key"], h["x-more"], h["origin"]), (SECRET, "a b", "https://example.com"))
            p.end()
            assert SECRET not in p.said + "".join(p.lines), p.said


@case
def secrets_are_not_told():
    shows = "SHOW SOURCES; SHOW CREATE SOURCE s; SHOW CONNECTORS; SHOW METRICS;"
    for options in [dict(auth__type="bearer", auth__token=SECRET + "\n"), dict(auth__token=SECRET), dict(auth__type="basic", auth__password=SECRET, auth__username="a:b"),
                    dict(auth__type="hmac", auth__secret=SECRET, auth__api__key=SECRET), dict(headers="Host: " + SECRET), dict(headers=SECRET), dict(proxy=f"http://u:{SECRET}@127.0.0.1:1")]:
        script = f"CREATE SOURCE s (k BIGINT) FROM WEBSOCKET ({options_text(dict(url='ws://127.0.0.1:1/', reconnect__enabled='false', **options))});\n{shows}\nCREATE STREAM o AS SELECT * FROM s;"
        with Program(script, "o") as p:
            p.process.wait(DEADLINE_S)
            for t in p.threads:
                t.join()
            equal(p.process.returncode, 1, p.said)
            assert SECRET not in p.said + "".join(p.lines), p.said + "".join(p.lines)


@case
def refused_options():
    for options, why in [(dict(), "the url of s is missing"), (dict(url="http://x/"), "does not begin with ws://"), (dict(url="ws://u:p@x/"), "holds a user or password"), (dict(url="ws://x/#y"), "fragment"),
                         (dict(url="ws://"), "cannot be read"), (dict(url="ws://x y/"), "cannot be read"), (dict(url="ws://x:99999/"), "cannot be read"), (dict(url="ws://x/", path="/y"), "path of s is an option of mode = 'server'"),
                         (dict(mode="server", subscribe__message="x"), "subscribe.message of s is an option of mode = 'client'"), (dict(bind__address="0", reconnect__enabled="true"), "reconnect.enabled of s is an option of mode"),
                         (dict(url="ws://x/", event__time__field="ts"), "declare the time of rows by WATERMARK"), (dict(url="ws://x/", auth__token="x"), "auth.token of s is for auth.type = 'bearer'"),
                         (dict(url="ws://x/", auth__type="basic", auth__username="a"), "needs auth.password"), (dict(url="ws://x/", headers="a b: c"), "line 1 of the headers"), (dict(url="ws://x/", headers="a: b\nUpgrade: c"), "line 2 of the headers"),
                         (dict(url="ws://x/", ssl__ca__location="/nowhere/at.all"), "/nowhere/at.all: No such file"), (dict(url="ws://x/", subprotocol="a, b"), "a character that no header may"),
                         (dict(mode="server", bind__address="x"), "no address of this machine"),
                         *((dict(mode="server", bind__address="0", path=x), "nothing that a client can ask for") for x in ["x", "", "/a?b", "/a b", "/#", "/\u00e9"]),
                         (dict(mode="server", ack="message", on__backpressure="drop"), "cannot acknowledge")]:
        with source(**options) as p:
            p.end(1)
            holds(p.said, "LAM-5005", why)


# ---- client: TLS ------------------------------------------------------------------------------------------------------------------------


@case
def tls():
    with tempfile.TemporaryDirectory(prefix="laminar-ws-test.") as folder:
        at = make_certificates(folder)
        with Server(at("good.pem"), at("good.key")) as s, from_server(s, ssl__ca__location=at("ca.pem")) as p:
            c = s.open(more=text(row(1)))
            c.send(b"".join(text(row(k, "x" * 1000)) for k in range(2, 1002)) + close(1000))
            p.end()
            equal([int(x.split(",")[0]) for x in p.lines[1:]], list(range(1, 1002)))
        for certificate, more in [("good", {}), ("good", {"ssl__ca__location": at("other.pem")}), ("elsewhere", {"ssl__ca__location": at("ca.pem")})]:
            with Server(at(certificate + ".pem"), at(certificate + ".key")) as s, source(url=s.url(), reconnect__initial__delay__ms=10, **more) as p:
                try:
                    s.open()
                    raise AssertionError("it trusts " + certificate)
                except (OSError, EOFError):
                    pass
                p.end(1)
                holds(p.said, "LAM-5001", "cannot connect to wss://", "certificate" if "certificate" in p.said else "SSL")


# ---- backpressure -----------------------------------------------------------------------------------------------------------------------


def blast(send, n, width):
    """Sends n rows; how many the other side has taken when it stops taking."""
    sent = [0]

    def run():
        for k in range(n):
            send(row(k, "x" * width))
            sent[0] = k + 1
    t = threading.Thread(target=run, daemon=True)
    t.start()
    return sent, t


def stands(sent):
    """Waits until it grows no more."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < 0.7:
        if sent[0] != before:
            before, since = sent[0], time.monotonic()
        time.sleep(0.02)
    return before


@case
def block():
    n = 60000
    with Server() as s, from_server(s, reads=False) as p:
        c = s.open()
        sent, t = blast(lambda x: c.send(text(x)), n, 1000)
        until(lambda: sent[0] > 1000, "rows are taken")
        taken = stands(sent)
        assert taken < n, "nobody reads, and all was taken"
        assert p.memory() < 300 << 20, p.memory()
        before = p.cpu_ticks()
        time.sleep(0.5)
        assert p.cpu_ticks() - before < 10, "it waits busily"
        reader = threading.Thread(target=p.read)
        reader.start()
        t.join(DEADLINE_S)
        c.send(close(1000))
        p.process.wait(DEADLINE_S)
        reader.join()
        equal([int(x.split(",")[0]) for x in p.lines[1:]], list(range(n)))
        equal(p.end()["dropped"], 0)


@case
def drop():
    n = 60000
    with Server() as s, from_server(s, reads=False, on__backpressure="drop") as p:
        c = s.open()
        sent, t = blast(lambda x: c.send(text(x)), n, 1000)
        t.join(DEADLINE_S)
        equal(sent[0], n, "the sender had to wait")
        c.send(frame(PING, b"end", mask=False))
        equal(c.frame(), (PONG, b"end"))
        c.send(close(1000))
        reader = threading.Thread(target=p.read)
        reader.start()
        p.process.wait(DEADLINE_S)
        reader.join()
        counts = p.end()
        got = [int(x.split(",")[0]) for x in p.lines[1:]]
        equal(got, sorted(set(got)))
        equal((counts["messages"], counts["messages"] - counts["dropped"]), (n, len(got)))
        assert 0 < counts["dropped"] < n and got[0] == 0, counts
        holds(p.said, "messages were dropped so far")


# ---- server ----------------------------------------------------------------------------------------------------------------------------


class Listening:
    """A source in mode server, and its port."""

    def __init__(self, **options):
        self.program = source(**{"mode": "server", "bind__address": "0", **options})
        self.port = int(self.program.wait_said(r"listening on wss?://[^ ]*:(\d+)/")[1])

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.program.__exit__(*what)


def put(client, k, t="x"):
    client.send(frame(TEXT, row(k, t).encode()))


def ack(client):
    opcode, data = client.frame()
    equal(opcode, TEXT)
    m = json.loads(data)
    equal(m["type"], "ack")
    return m["sequence"]


@case
def server_takes_rows():
    with Listening(columns="k BIGINT, t VARCHAR, _connection BIGINT", ack="message") as l:
        a, b = Client(l.port), Client(l.port, more=frame(TEXT, row(10).encode()))
        for k in range(5):
            put(a, k)
            equal(ack(a), k + 1)
        equal(ack(b), 1)
        l.program.wait_lines(7)
        a.send(frame(CLOSE, (1000).to_bytes(2, "big")))
        equal(a.close_code()[0], 1000)
        equal(a.ended(), True)
        put(b, 11)
        equal(ack(b), 2)
        c = l.program.stop()
        equal(b.close_code()[0], 1001)
        equal((c["messages"], c["connections"]), (7, 2))
        equal(sorted(l.program.lines[1:]), sorted([f"{k},x,1" for k in range(5)] + ["10,x,2", "11,x,2"]))


@case
def server_acknowledges_messages_of_lines():
    with Listening(split="lines", ack="message") as l:
        a = Client(l.port)
        a.send(frame(TEXT, "\n".join(row(k) for k in range(9000)).encode()))
        equal(ack(a), 1)
        a.send(frame(TEXT, b"\n"))
        equal(ack(a), 2)
        l.program.wait_lines(9001)
        equal(l.program.stop()["dropped"], 0)


@case
def server_many_clients():
    with Listening(ack="message", max__connections=300) as l:
        clients = [Client(l.port) for _ in range(200)]
        for i, c in enumerate(clients):
            c.send(b"".join(frame(TEXT, row(i * 100 + k).encode()) for k in range(100)))
        for c in clients:
            while ack(c) < 100:
                pass
        l.program.wait_lines(20001)
        got = [int(x.split(",")[0]) for x in l.program.lines[1:]]
        equal(sorted(got), list(range(20000)))
        for i in range(200):  # the order of each is kept
            mine = [k for k in got if k // 100 == i]
            equal(mine, sorted(mine))
        for c in clients:
            c.close()
        equal(l.program.stop()["messages"], 20000)


@case
def server_bad_frames():
    wrong = {"not masked": (frame(TEXT, b"hi", mask=False), 1002), "rsv": (frame(TEXT, b"hi", rsv=4), 1002), "opcode": (frame(3, b"hi"), 1002), "long control": (frame(PING, b"x" * 126), 1002),
             "continues nothing": (frame(0, b"x"), 1002), "not UTF-8": (frame(TEXT, b"\xc0\x80"), 1007), "too long": (frame(TEXT, b"x" * 1001), 1009),
             "too long in parts": (frame(TEXT, b"x" * 600, fin=False) + frame(0, b"x" * 600), 1009), "a length that is too long": (b"\x81\xfe\x00\x05" + b"k" * 9, 1002),
             "63 bits": (frame(BINARY, b"x", length=(1 << 63) - 1), 1009), "close of one byte": (frame(CLOSE, b"x"), 1002)}
    with Listening(max__message__size=1000) as l:
        good = Client(l.port)
        for i, (what, (data, code)) in enumerate(wrong.items()):
            c = Client(l.port)
            c.send(data + frame(TEXT, row(999).encode()))
            equal(c.close_code()[0], code, what)
            c.close()
            put(good, i)
        l.program.wait_lines(len(wrong) + 1)
        equal([int(x.split(",")[0]) for x in l.program.lines[1:]], list(range(len(wrong))))
        l.program.stop()


@case
def server_bounds():
    with Listening(max__connections=2, path="/in", allowed__origins="https://good.example", handshake__timeout__ms=200, ack="message") as l:
        holds(answer(l.port, request(l.port, "/")), "HTTP/1.1 404 ")
        holds(answer(l.port, request(l.port, "/in", Origin="https://evil.example")), "HTTP/1.1 403 ")
        slow = connect(l.port)
        slow.send(b"GET /in HTTP/1.1\r\n")
        equal(slow.recv(1), b"")
        a, b = Client(l.port, "/in"), Client(l.port, "/in", Origin="https://good.example")
        holds(answer(l.port, b""), "HTTP/1.1 503 ")
        put(a, 1), put(b, 2)
        equal((ack(a), ack(b)), (1, 1))
        c = l.program.stop()
        equal((c["refused"], c["timed out"]), (3, 1))
    with Listening(max__buffered__size=100000, ack="message") as l:
        a, b = Client(l.port), Client(l.port)
        whole = row(1, "x" * 99000).encode()
        a.send(frame(TEXT, whole[:90000], fin=False) + frame(PING, b"all"))
        equal(a.frame(), (PONG, b"all"))
        b.send(frame(TEXT, whole[:90000], fin=False))
        equal(b.close_code()[0], 1013)
        a.send(frame(0, whole[90000:]))
        equal(ack(a), 1)
        b.close()
        c = Client(l.port)
        c.send(frame(TEXT, whole[:90000], fin=False) + frame(0, whole[90000:]))  # what b had is free again
        equal(ack(c), 1)
        l.program.stop()


@case
def server_no_pong():
    with Listening(ping__interval__ms=50, ping__timeout__ms=200) as l:
        deaf, good = Client(l.port), Client(l.port)
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
        put(good, 1)
        l.program.wait_lines(2)
        equal(l.program.stop()["timed out"], 1)


@case
def server_block():
    n = 60000
    with Listening(reads=False, ack="message") as l:
        p = l.program
        c = Client(l.port)
        sent, t = blast(lambda x: c.send(frame(TEXT, x.encode(), mask=True)), n, 1000)
        until(lambda: sent[0] > 1000, "rows are taken")
        assert stands(sent) < n, "nobody reads, and all was taken"
        last = 0
        assert p.memory() < 300 << 20, p.memory()
        before = p.cpu_ticks()
        time.sleep(0.5)
        assert p.cpu_ticks() - before < 10, "it waits busily"
        reader = threading.Thread(target=p.read)
        reader.start()
        while last < n:
            last = ack(c)
        t.join(DEADLINE_S)
        until(lambda: len(p.lines) == n + 1, "all rows")
        equal([int(x.split(",")[0]) for x in p.lines[1:]], list(range(n)))
        p.stop()
        reader.join()


@case
def server_drop():
    n = 60000
    with Listening(reads=False, on__backpressure="drop") as l:
        p = l.program
        c = Client(l.port)
        sent, t = blast(lambda x: c.send(frame(TEXT, x.encode())), n, 1000)
        t.join(DEADLINE_S)
        equal(sent[0], n, "the sender had to wait")
        c.send(frame(PING, b"end"))
        equal(c.frame(), (PONG, b"end"))
        late = Client(l.port)  # while no rows are wanted
        late.close()
        reader = threading.Thread(target=p.read)
        reader.start()
        until(lambda: len(p.lines) > 100, "rows")
        counts = p.stop()
        reader.join()
        equal(counts["messages"], n)
        assert 0 < counts["dropped"] < n, counts


@case
def server_tls_and_log_in():
    with tempfile.TemporaryDirectory(prefix="laminar-ws-test.") as folder:
        at = make_certificates(folder)
        os.chmod(at("good.key"), 0o600)
        tls = ssl.create_default_context(cafile=at("ca.pem"))
        with Listening(ack="message", tls__certificate__location=at("good.pem"), tls__key__location=at("good.key"), auth__type="bearer", auth__token="${S}", env={"S": SECRET}) as l:
            holds(l.program.said, "listening on wss://")
            for token, status in [(None, "401"), ("Bearer wrong", "401"), ("Bearer " + SECRET, "101")]:
                s = tls.wrap_socket(connect(l.port), server_hostname="127.0.0.1")
                s.sendall(request(l.port, Authorization=token))
                got = b""
                while b"\r\n\r\n" not in got:
                    got += s.recv(65536)
                holds(got.decode(), f"HTTP/1.1 {status} ")
                if status == "101":
                    s.sendall(frame(TEXT, row(1, "x" * 100000).encode()) + frame(TEXT, row(2).encode()))
                    got = b""
                    while b'"sequence":2' not in got:
                        got += s.recv(65536)
                s.close()
            l.program.wait_lines(3)
            equal(l.program.stop()["messages"], 2)
            assert SECRET not in l.program.said, l.program.said


@case
def node():
    """Another implementation: node has the WebSocket of browsers."""
    script = "const s = new WebSocket(process.argv[1]); s.onopen = () => { for (let k = 0; k < 1000; k++) s.send(JSON.stringify({k, t: 'x'.repeat(k)})) };" \
             "s.onmessage = e => { if (JSON.parse(e.data).sequence == 1000) s.close(1000) };"
    try:
        there = subprocess.run(["node", "--experimental-websocket", "-p", "typeof WebSocket"], capture_output=True).stdout
    except OSError:
        there = b""
    if b"function" not in there:
        raise Skip("node with WebSocket (node 20.10 or later)")
    with Listening(ack="message") as l:
        subprocess.run(["node", "--experimental-websocket", "-e", script, f"ws://127.0.0.1:{l.port}/"], check=True, timeout=DEADLINE_S)
        l.program.wait_lines(1001)
        equal(l.program.stop()["messages"], 1000)


@case
def tables_are_those_of_the_page():
    if not os.path.exists(BUILD + "/options_doc"):
        raise Skip("options_doc is not built")
    made = subprocess.run([BUILD + "/options_doc", BUILD + "/modules/websocket.so"], capture_output=True, text=True, check=True).stdout
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/websocket.md")) as f:
        page = f.read().split("## Options", 1)[1]
    tables = lambda text: [x for x in text.split("\n") if x.startswith("|")]
    equal(tables(page), tables(made), "make docs")


# ---- other peers --------------------------------------------------------------------------------------------------------------------------


@case
def python_websockets():
    try:
        import asyncio
        import websockets
    except ImportError:
        raise Skip("Debian: python3-websockets")

    async def serve():
        got = []

        async def talk(ws, *_):
            got.append(await ws.recv())
            for k in range(1000):
                await ws.send(row(k))
            await ws.close()
        async with websockets.serve(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with source(url=f"ws://localhost:{port}/", subscribe__message="go", reconnect__enabled="false") as p:
                await asyncio.get_running_loop().run_in_executor(None, p.end)
                equal([int(x.split(",")[0]) for x in p.lines[1:]], list(range(1000)))
                equal(got, ["go"])

    async def connect_to(l):
        async with websockets.connect(f"ws://127.0.0.1:{l.port}/") as ws:
            for k in range(1000):
                await ws.send(row(k))
            while json.loads(await ws.recv())["sequence"] < 1000:
                pass
    asyncio.run(serve())
    with Listening(ack="message") as l:
        asyncio.run(connect_to(l))
        l.program.wait_lines(1001)
        l.program.stop()


sys.exit(main("websocket_source"))
