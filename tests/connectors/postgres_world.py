"""What the tests of the PostgreSQL sink share: a world of folder, server and program, and the sink's calls by hand.
SPDX-License-Identifier: Apache-2.0"""
import csv
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from postgres_server import Server, bindir

BUILD = os.path.abspath(sys.argv[1])
PATTERN = sys.argv[2] if len(sys.argv) > 2 else ""
cases = []


class Skip(Exception):
    """What is missing."""


def case(f):
    cases.append(f)
    return f


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}\n   got {got!r}\n  want {want!r}")


def holds(text, *parts):
    for p in parts:
        if p not in text:
            raise AssertionError(f"{p!r} is not in\n{text}")


class World:
    """A folder, a server and the program."""

    def __init__(self):
        self.server = Server()
        self.folder = tempfile.mkdtemp(prefix="laminar-pg-test.")
        self.said = []  # all that the program ever printed

    def options(self, table, **more):
        o = {"hostname": self.server.folder, "port": self.server.port, "database": "postgres", "username": "lam", "table.name": table, **more}
        return ", ".join(f"{k.replace('__', '.')} = '" + str(v).replace("'", "''") + "'" for k, v in o.items())

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def start(self, sql, args=(), env=None, **more):
        script = self.file("script.sql", sql)
        return subprocess.Popen([BUILD + "/laminar", "run", script, *args], cwd=self.folder, stdin=more.pop("stdin", subprocess.DEVNULL),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}, **more)

    def finish(self, p, timeout=60):
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            raise AssertionError(f"not finished after {timeout} s\n{out}{err}")
        self.said += [out, err]
        return p.returncode, out, err

    def run(self, sql, args=(), env=None, ok=True):
        rc, out, err = self.finish(self.start(sql, args, env))
        if ok and rc:
            raise AssertionError(f"status {rc}\n{out}{err}")
        return out if ok else (rc, out + err)

    def done(self):
        self.server.done()
        shutil.rmtree(self.folder)


def sink(w, table, source="t", **options):
    return f"CREATE SINK s FROM {source} INTO POSTGRES ({w.options(table, **options)});"


def wait_until(what, f, seconds=30):
    end = time.monotonic() + seconds
    while not f():
        if time.monotonic() > end:
            raise AssertionError("never: " + what)


def as_rows(text):
    return list(csv.reader(io.StringIO(text)))


class Drive:
    """The sink's calls by hand (drive.c)."""

    def __init__(self, w, who="a", **options):
        self.p = subprocess.Popen([BUILD + "/drive", BUILD + "/modules/postgres.so", "postgres"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.more(w, who, **options)

    def more(self, w, who, **options):
        o = {"hostname": w.server.folder, "port": w.server.port, "database": "postgres", "username": "lam", **options}
        equal(self.ask(f"{who} options " + "|".join(f"{k.replace('__', '.')}={v}" for k, v in o.items())), "OK 0")

    def say(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()

    def answer(self):
        return self.p.stdout.readline().rstrip("\n")

    def ask(self, line):
        self.say(line)
        return self.answer()

    def does(self, *lines):
        """Pairs of a call and the beginning of its answer."""
        for line, want in zip(lines[::2], lines[1::2]):
            got = self.ask(line)
            if not got.startswith(want):
                raise AssertionError(f"{line}: {got!r}, not {want!r}")

    def done(self):
        self.p.stdin.close()
        equal(self.p.wait(10), 0, "drive")


def commit_unanswered(w, d, call):
    """The server commits, and dies before it says so: it waits for a standby that does not exist."""
    w.server.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()")
    wait_until("it is read", lambda: w.server.psql("SHOW synchronous_standby_names") == "nobody")
    d.say(call)
    wait_until("the commit waits", lambda: w.server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1")
    w.server.stop("immediate")
    w.server.write("postgresql.auto.conf", "")
    w.server.start()
    return d.answer()


class Proxy:
    """Between the sink and the server: cuts connections, or lets nothing through."""

    def __init__(self, port, spoil=lambda connection: False):
        """spoil: what to do with a connection in place of passing it on; then it is true."""
        self.port_behind = port
        self.spoil = spoil
        self.flow = threading.Event()
        self.flow.set()
        self.cut_after = None  # gives how many bytes a connection may send
        self.accepted = self.cuts = 0
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.spoil(near):
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.port_behind))
            for way in [(near, far, True), (far, near, False)]:
                threading.Thread(target=self.pump, args=way, daemon=True).start()

    def pump(self, a, b, counts):
        sent, most = 0, self.cut_after() if counts and self.cut_after else None
        try:
            while data := a.recv(16384):
                self.flow.wait()
                sent += len(data)
                if most and sent > most:
                    self.cuts += 1
                    break
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def done(self):
        self.flow.set()
        self.listener.close()


def run_cases(what):
    if not bindir():
        print(f"{what}: skipped: PostgreSQL is not installed (Debian: postgresql-15)")
        return 0
    if not os.path.exists(BUILD + "/modules/postgres.so"):
        print(f"{what}: skipped: the module was not built (Debian: libpq-dev)")
        return 0
    failed = 0
    w = World()
    watch = threading.Timer(540, lambda: (print(f"{what}: not finished after 540 s"), w.done(), os._exit(1)))
    watch.daemon = True
    watch.start()
    try:
        chosen = [c for c in cases if PATTERN in c.__name__]
        for c in chosen:
            at = time.monotonic()
            try:
                c(w)
                print(f"{what} {c.__name__} ok ({time.monotonic() - at:.1f} s)", flush=True)
            except Skip as e:
                print(f"{what} {c.__name__} skipped: {e}", flush=True)
            except Exception as e:
                failed += 1
                print(f"{what} {c.__name__} FAILED: {type(e).__name__}: {e}", flush=True)
        print(f"{what}: {len(chosen) - failed} of {len(chosen)} passed")
    finally:
        w.done()
    return failed > 0
