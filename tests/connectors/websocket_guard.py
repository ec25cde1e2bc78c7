#!/usr/bin/python3
"""Who may come to a WebSocket server, and how: TLS, auth, compression. websocket_guard.py BUILD [PATTERN]. SPDX-License-Identifier: Apache-2.0"""
import base64
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import warnings
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from websocket_run import BUILD, DEADLINE_S, Run, Skip, case, equal, holds, main, records, rest
from websocket_client import PING, PONG, TEXT, Client, answer, connect, deflated, frame, request

EXTENSIONS = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}


def fails(**options):
    """What is said about a sink that cannot be opened with these options."""
    with tempfile.TemporaryDirectory(prefix="laminar-ws-test.") as folder:
        script = os.path.join(folder, "t.sql")
        options = {"bind.address": "0", "retry.limit": 1, "retry.first": "1 ms", **{k.replace("__", "."): v for k, v in options.items()}}
        with open(script, "w") as f:
            f.write("CREATE SOURCE s (k BIGINT) FROM STDIN (format = 'csv', header = 'false');\nCREATE SINK w FROM s INTO WEBSOCKET (" +
                    ", ".join(f"{k} = '{v}'" for k, v in options.items()) + ");\n")
        p = subprocess.run([BUILD + "/laminar", "run", script], env={**os.environ, "LAMINAR_MODULES": BUILD + "/modules"}, input=b"1\n",
                           stderr=subprocess.PIPE, timeout=DEADLINE_S)
        equal(p.returncode, 1, p.stderr.decode())
        return p.stderr.decode()


class Keys:
    """A certificate of localhost, made for the test, and its key."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="laminar-ws-test.")
        self.certificate, self.key = (os.path.join(self.folder.name, x) for x in ("c.pem", "k.pem"))
        try:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", self.key, "-out", self.certificate],
                           check=True, stderr=subprocess.DEVNULL)
        except OSError:
            raise Skip("Debian: openssl")
        os.chmod(self.key, 0o600)
        self.options = {"tls.certificate.location": self.certificate, "tls.key.location": self.key}
        self.context = ssl.create_default_context(cafile=self.certificate)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


@case
def tls():
    with Keys() as k, Run(**k.options) as r:
        holds(r.said.decode(), "wss://127.0.0.1")
        a, b = Client(r.port, tls=k.context), Client(r.port, tls=k.context)
        r.rows([(i, "x" * 1000) for i in range(100)])
        equal([v["k"] for _, v in records(a, 100)], list(range(100)))
        for i in range(3):  # in one record of TLS
            a.send(b"".join(frame(PING, b"%d" % k) for k in range(10)))
            equal([a.frame() for _ in range(10)], [(PONG, b"%d" % k) for k in range(10)])
        a.send(frame(TEXT, b'{"action":"subscribe","filter":"k > 150"}'))
        equal(json.loads(a.frame()[1])["type"], "subscribed")
        r.rows([(i, "y" * 70000) for i in range(149, 153)])
        equal([v["k"] for _, v in records(a, 2)], [151, 152])
        equal(len(records(b, 104)), 104)
        r.end()
        equal(rest(a)[1:], (1001, "the sink has ended"))


@case
def tls_and_the_request_at_once():
    with Keys() as k, Run(**k.options) as r:
        c = Client(r.port, tls=k.context, more=b"".join(frame(PING, b"%d" % i) for i in range(50)))
        equal([c.frame() for _ in range(50)], [(PONG, b"%d" % i) for i in range(50)])
        r.end()


@case
def tls_slow_and_stalled():
    with Keys() as k, Run(per__client__buffer="64 KiB", **k.options) as r:
        live, slow = Client(r.port, tls=k.context), Client(r.port, receive_buffer=4096, tls=k.context)
        for i in range(0, 4000, 20):
            r.rows([(n, "x" * 1000) for n in range(i, i + 20)])
            equal([v["k"] for _, v in records(live, 20)], list(range(i, i + 20)))
        r.rows([(4000, "end")])
        records(live, 1)
        ks = []
        while not ks or ks[-1] != 4000:
            ks.append(json.loads(slow.frame()[1])["data"]["k"])
        equal(ks, sorted(set(ks)), "whole frames in order")
        assert 50 < len(ks) < 4000, len(ks)
        n = r.end()
        equal(n["dropped"], 4001 - len(ks))


@case
def tls_wrong():
    with Keys() as k, Run(**k.options) as r:
        plain = connect(r.port)
        plain.sendall(request(r.port))
        try:
            got = plain.recv(1000)
        except ConnectionResetError:
            got = b""
        assert b"HTTP" not in got, got
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        try:
            Client(r.port, tls=old)
            raise AssertionError("TLS 1.1 is spoken")
        except (ssl.SSLError, ConnectionError):
            pass
        for part in (b"", b"\x16\x03\x01", b"\x16\x03\x01\xff\xff" + b"x" * 5000):
            s = connect(r.port)
            s.sendall(part)
            s.close()
        good = Client(r.port, tls=k.context)
        r.rows([(1, "a")])
        records(good, 1)
        r.end()


@case
def keys_are_looked_at():
    with Keys() as k:
        os.chmod(k.key, 0o644)
        said = fails(**k.options)
        holds(said, "[LAM-5005]", "others may read", "chmod 600")
        os.chmod(k.key, 0o600)
        holds(fails(tls__certificate__location=k.certificate), "[LAM-5005]", "needs")
        holds(fails(tls__certificate__location=k.key, tls__key__location=k.key), "tls.certificate.location of w", k.key)
        holds(fails(tls__certificate__location=k.certificate, tls__key__location=k.certificate + ".not"), "No such file")
        with Keys() as other:
            holds(fails(tls__certificate__location=k.certificate, tls__key__location=other.key), "tls.key.location of w", "mismatch")
        subprocess.run(["openssl", "ec", "-in", k.key, "-aes256", "-passout", "pass:secret", "-out", k.key + ".enc"], check=True, stderr=subprocess.DEVNULL)
        os.chmod(k.key + ".enc", 0o600)
        holds(fails(tls__certificate__location=k.certificate, tls__key__location=k.key + ".enc"), "tls.key.location of w", "no password")


@case
def bearer():
    secret = "plant-7d41c9"
    with Run(auth__type="bearer", auth__token=secret) as r:
        for header in (None, "Bearer", "Bearer ", "Bearer " + secret[:-1], f"Bearer {secret}x", "Basic " + secret, "Bearer\t" + secret, secret):
            got = answer(r.port, request(r.port, Authorization=header))
            holds(got, "HTTP/1.1 401 ", "WWW-Authenticate: Bearer ")
            assert secret not in got
        holds(answer(r.port, request(r.port, "/nothing")), "HTTP/1.1 401 ")
        c, d = Client(r.port, Authorization="Bearer " + secret), Client(r.port, Authorization="bearer  " + secret)
        r.rows([(1, "a")])
        equal(records(c, 1), records(d, 1))
        equal(r.end()["refused"], 9)
        assert secret not in r.said.decode()


@case
def basic():
    with Run(auth__type="basic", auth__username="ann", auth__password="p:ass") as r:
        for pair in ("ann:p:as", "ann", "bob:p:ass", ":", ""):
            holds(answer(r.port, request(r.port, Authorization="Basic " + base64.b64encode(pair.encode()).decode())), "HTTP/1.1 401 ", "Basic realm=")
        c = Client(r.port, Authorization="Basic " + base64.b64encode(b"ann:p:ass").decode())
        r.rows([(1, "a")])
        records(c, 1)
        r.end()


@case
def auth_options():
    secret = "plant-51aa"
    for said in (fails(auth__type="bearer"), fails(auth__token=secret), fails(auth__type="basic", auth__username="x"), fails(auth__type="bearer", auth__token=""), fails(auth__type="basic", auth__username="x", auth__password=""),
                 fails(auth__type="basic", auth__username="a:b", auth__password=secret), fails(auth__type="hmac", auth__api__key=secret, auth__secret=secret)):
        holds(said, "[LAM-5005]")
        assert secret not in said, said


@case
def other_machines():
    for where in ("0.0.0.0:0", "[::]:0"):
        said = fails(bind__address=where)
        holds(said, "[LAM-5005]", "open to everyone", "allow.insecure")
        holds(fails(bind__address=where, auth__type="bearer", auth__token="x"), "open to everyone")
    with Keys() as k:
        holds(fails(bind__address="0.0.0.0:0", **k.options), "open to everyone")
        with Run(**{"bind.address": "0.0.0.0:0", "auth.type": "bearer", "auth.token": "x", **k.options}) as r:
            c = Client(r.port, tls=k.context, Authorization="Bearer x")
            r.rows([(1, "a")])
            records(c, 1)
            r.end()
    with Run(**{"bind.address": "0.0.0.0:0", "allow.insecure": "true"}) as r:
        c = Client(r.port)
        r.rows([(1, "a")])
        records(c, 1)
        r.end()


@case
def the_source_too():
    """A source that is a server is guarded in the same way; its messages come over TLS whole and in order, however they are cut."""
    with Keys() as k, tempfile.TemporaryDirectory(prefix="laminar-ws-test.") as folder:
        script = os.path.join(folder, "t.sql")
        options = {"mode": "server", "bind.address": "0.0.0.0:0", "auth.type": "bearer", "auth.token": "x", **k.options}
        with open(script, "w") as f:
            f.write("CREATE SOURCE s (k BIGINT, t VARCHAR) FROM WEBSOCKET (" + ", ".join(f"{n} = '{v}'" for n, v in options.items()) + ");\n")
        p = subprocess.Popen([BUILD + "/laminar", "run", script, "--print", "s", "--format", "csv"], env={**os.environ, "LAMINAR_MODULES": BUILD + "/modules"},
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            said = b""
            while b"wss://" not in said:
                line = p.stderr.readline()
                assert line, said
                said += line
            port = int(re.search(rb"wss://[^ ]*:(\d+)/", said)[1])
            try:
                Client(port, tls=k.context)
                raise AssertionError("let in without a token")
            except ConnectionError as e:
                holds(str(e), "HTTP/1.1 401 ")
            rows = [(i, "x" * (i * 37 % 3000)) for i in range(300)]
            messages = [frame(TEXT, json.dumps({"k": i, "t": t}).encode()) for i, t in rows]
            c = Client(port, tls=k.context, Authorization="Bearer x", more=b"".join(messages[:100]))
            c.send(b"".join(messages[100:200]))
            for m in messages[200:]:
                c.send(m)
            equal(p.stdout.readline(), b"k,t\n")
            for i, t in rows:
                equal(p.stdout.readline().decode(), f'{i},{t or chr(34) * 2}\n')
        finally:
            p.kill()
            p.communicate()


# ---- permessage-deflate


@case
def compressed():
    with Run(compression="deflate", replay__buffer__size="64 KiB") as r:
        plain, a, b = Client(r.port), Client(r.port, **EXTENSIONS), Client(r.port, **{"Sec-WebSocket-Extensions": "x, permessage-deflate; server_max_window_bits=15"})
        equal((plain.deflates, a.deflates, b.deflates), (False, True, True))
        r.rows([(i, "abc" * (1 + i)) for i in range(100)])
        got = records(plain, 100)
        equal(records(a, 100), got)
        equal(records(b, 100), got)
        assert a.compressed > 60, a.compressed
        again = Client(r.port, f"/?last_sequence={got[49][0]}", **EXTENSIONS)
        equal(records(again, 50), got[50:])
        a.send(frame(TEXT, deflated(b'{"action":"subscribe","filter":"k = 7"}'), rsv=4))
        equal(json.loads(a.frame()[1])["type"], "subscribed")
        r.rows([(6, "x"), (7, "abcabcabc" * 20)])
        equal([v["k"] for _, v in records(a, 1)], [7])
        a.send(frame(TEXT, b'{"action":"ping"}'))
        equal(json.loads(a.frame()[1])["type"], "heartbeat", "plain messages are allowed")
        r.end()


@case
def deflate_is_agreed_on():
    with Run(compression="deflate") as r:
        for offer in ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; nosuch", "permessage-deflated", "permessage-deflate; server_no_context_takeover=1", ""):
            equal(Client(r.port, **{"Sec-WebSocket-Extensions": offer}).deflates, False, offer)
        c = Client(r.port, **{"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=9, permessage-deflate"})
        equal(c.deflates, True)
        r.end()
    with Run() as r:
        c = Client(r.port, **EXTENSIONS)
        equal(c.deflates, False, "off by default")
        c.send(frame(TEXT, deflated(b'{"action":"ping"}'), rsv=4))
        equal(c.close_code()[0], 1002)
        r.end()


@case
def bad_compressed_messages():
    ping = deflated(b'{"action":"ping"}')
    bomb = deflated(b"\0" * (50 << 20))  # 50 kB
    wrong = {"not deflate": (frame(TEXT, b"\xff\xff\xff", rsv=4), 1002), "bad distance": (frame(TEXT, b"\x02\x07\x01", rsv=4), 1002),
             "not UTF-8": (frame(TEXT, deflated(b'{"action":"\xc0\x80"}'), rsv=4), 1007), "a bomb": (frame(TEXT, bomb, rsv=4), 1009),
             "a little too long": (frame(TEXT, deflated(b" " * 65537), rsv=4), 1009), "a compressed control": (frame(PING, ping, rsv=4), 1002),
             "a compressed continuation": (frame(TEXT, ping[:5], fin=False, rsv=4) + frame(0, ping[5:], rsv=4), 1002), "rsv2": (frame(TEXT, ping, rsv=2), 1002),
             "rsv1 and rsv3": (frame(TEXT, ping, rsv=5), 1002), "63 bits": (frame(TEXT, b"x", rsv=4, length=(1 << 63) - 1), 1009)}
    with Run(compression="deflate") as r:
        memory = lambda: int(next(x for x in open(f"/proc/{r.process.pid}/status") if x.startswith("VmHWM")).split()[1])
        before = memory()
        for what, (data, code) in wrong.items():
            c = Client(r.port, **EXTENSIONS)
            c.send(data)
            try:
                got = c.close_code()[0]
            except (EOFError, TimeoutError):
                got = "nothing"
            equal(got, code, what)
            c.close()
        c = Client(r.port, **EXTENSIONS)
        for parts in ([ping], [ping[:3], ping[3:]], [bytes([b]) for b in ping], [ping, b""], [b"", ping], [deflated(b'{"action":"ping"}' + b" " * 60000)]):
            for i, p in enumerate(parts):
                c.send(frame(0 if i else TEXT, p, fin=i == len(parts) - 1, rsv=0 if i else 4))
            equal(json.loads(c.frame()[1])["type"], "heartbeat", parts)
        z = zlib.compressobj(9, zlib.DEFLATED, -15)
        c.send(frame(TEXT, z.compress(b'{"action":"ping"}') + z.flush() + b"\0", rsv=4))  # its only block says that it is the last
        equal(json.loads(c.frame()[1])["type"], "heartbeat", "a final block")
        assert memory() - before < 20 << 10, (before, memory())
        r.end()


sys.exit(main("websocket_guard"))
