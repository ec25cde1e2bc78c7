#!/usr/bin/env python3
"""The program on a terminal: the shell with its prompt, history and Ctrl-C; progress and live tables. terminal.py LAMINAR
SPDX-License-Identifier: Apache-2.0"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios

program = os.path.realpath(sys.argv[1])
directory = tempfile.TemporaryDirectory()
os.chdir(directory.name)
passed = failed = 0
DEADLINE_S = 30


class Terminal:
    """A program on a pseudo terminal of 24 lines."""

    def __init__(self, *args):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        env = dict(os.environ, HOME=directory.name, TERM="xterm")
        self.process = subprocess.Popen([program, *args], stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.seen = ""

    def expect(self, pattern):
        """Reads until the pattern has come; gives what came up to its end."""
        while not (m := re.search(pattern, self.seen, re.S)):
            ready, _, _ = select.select([self.master], [], [], DEADLINE_S)
            try:
                data = os.read(self.master, 65536) if ready else b""
            except OSError:
                data = b""
            if not data:
                raise AssertionError(f"no {pattern!r} in:\n{self.seen[-2000:]}")
            self.seen += data.decode(errors="replace")
        got, self.seen = self.seen[: m.end()], self.seen[m.end():]
        return got

    def prompt(self, before=""):
        """The prompt, after what must come before it, when keys are taken one by one: a Ctrl-D before that is lost."""
        self.expect(before + "laminar> ")
        while termios.tcgetattr(self.master)[3] & termios.ICANON:
            select.select([], [], [], 0.001)

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, status=0):
        got = ""
        while True:
            ready, _, _ = select.select([self.master], [], [], DEADLINE_S)
            try:
                data = os.read(self.master, 65536) if ready else b""
            except OSError:
                data = b""
            if not data:
                break
            got += data.decode(errors="replace")
        rc = self.process.wait(DEADLINE_S)
        os.close(self.master)
        assert rc == status, f"status {rc}, not {status}; {self.seen + got}"
        return self.seen + got


def check(test):
    global passed, failed
    try:
        test()
        passed += 1
    except (AssertionError, subprocess.TimeoutExpired) as e:
        failed += 1
        print(f"FAILED {test.__name__}: {e}")


def statements():
    t = Terminal()
    t.prompt()
    t.type("SELECT 1 +\n")
    t.expect(r"\.\.\.> ")
    t.type("1 AS two;\n")
    t.prompt("two.*2.*")
    t.type("SELEC 1;\n")
    t.prompt(r"\[LAM-1000\].*\^.*")
    t.type(".mode csv\nSELECT 'a' AS x, 2 AS y;\n")
    t.prompt("x,y\r\na,2\r\n.*")
    t.type(".timer on\nSELECT 1;\n")
    t.expect(r"\d\.\d\d\d s\r\n")
    t.type(".nonsense\n")
    t.expect("not understood")
    t.type(".help\n")
    t.expect(r"\.tables")
    t.type(".quit\n")
    t.end()


def scripts_and_tables():
    with open("a.sql", "w") as f:
        f.write("CREATE SOURCE s (v BIGINT);\nCREATE STREAM x AS SELECT v FROM s;\n")
    t = Terminal()
    t.prompt()
    t.type(".read a.sql\n")
    t.prompt()
    t.type(".read missing.sql\n")
    t.prompt("cannot.*missing.sql.*")
    t.type(".tables\n")
    t.prompt("stream.*source.*rows.*")
    t.type("EXPLAIN SELECT v FROM x WHERE v > 1;\n")
    t.prompt(r"Filter: \(v > 1\).*")
    t.type("\x04")
    t.end()


def history_and_cancel():
    t = Terminal()
    t.prompt()
    t.type("SELECT 40 + 2;\n")
    t.prompt("42.*")
    t.type("SELECT 'given up' ||\n")
    t.expect(r"\.\.\.> ")
    t.type("\x03")
    t.prompt()
    t.type("\x1b[A\n")  # up: the statement before
    t.prompt("42.*")
    t.type(".quit\n")
    t.end()
    t = Terminal()
    t.prompt()
    t.type("\x1b[A\x1b[A\n")  # of the session before
    t.prompt("42.*")
    t.type("\x04")
    t.end()


ENDLESS = """CREATE SOURCE t (k VARCHAR, v BIGINT, ts TIMESTAMP, WATERMARK FOR ts) FROM GENERATOR ('rows.per.second' = 2000);
CREATE STREAM w AS SELECT window_start, COUNT(*) AS n FROM t GROUP BY TUMBLE(ts, INTERVAL '1' SECOND);
"""


def cancel_of_a_running_statement():
    t = Terminal()
    t.prompt()
    t.type(".mode csv\n")
    t.prompt()
    t.type("CREATE SOURCE t (v BIGINT) FROM GENERATOR (rows = 1000000, 'rows.per.second' = 5000);\n")
    t.prompt()
    t.type("SELECT 'row' AS r, v FROM t;\n")
    t.expect("row,\\d+\r\nrow,\\d+\r\n")
    t.type("\x03")
    t.prompt("canceled.*")
    t.type("SELECT 7 AS seven;\n")
    t.prompt("seven\r\n7\r\n.*")
    t.type("SELECT 'größer' AS u;\n")
    t.prompt("größer.*größer.*")
    t.type("\x04")
    t.end()


def progress():
    with open("p.sql", "w") as f:
        f.write("CREATE SOURCE t (v BIGINT) FROM GENERATOR (rows = 3000, 'rows.per.second' = 3000);\n"
                "CREATE STREAM x AS SELECT COUNT(*) AS n FROM t; CREATE SINK out FROM x INTO FILE (path = 'o.csv', format = 'csv');\n")
    t = Terminal("run", "p.sql")
    out = t.end()
    assert re.search(r"\d rows  \d+ rows/s  \d+ %", out), out
    assert open("o.csv").read() == "n\n3000\n"


def live_table():
    with open("l.sql", "w") as f:
        f.write(ENDLESS)
    t = Terminal("run", "l.sql", "--live", "w")
    t.expect("rows/s")
    t.expect(r"watermark \d\d:\d\d:\d\d")
    t.expect("window_start")
    t.process.send_signal(signal.SIGINT)
    out = t.end(130)
    assert re.search(r"\d+ rows in \d", out), out


def silence():
    with open("s.sql", "w") as f:
        f.write(ENDLESS + "CREATE STREAM none AS SELECT k, v FROM t WHERE v < 0 AND v > 0;\n")
    t = Terminal("run", "s.sql", "--print", "none")
    t.expect(r"note: nothing has come out of none for 3 s: WHERE took none of [\d,]+ rows \(Filter: ")
    t.process.send_signal(signal.SIGINT)
    out = t.end(130)
    assert "note:" not in out, out
    t = Terminal()
    t.prompt()
    t.type(".read s.sql\n")
    t.prompt()
    t.type("SUBSCRIBE none;\n")
    t.expect(r"note: nothing has come out of none for 3 s: WHERE took none of ")
    t.type("\x03")
    t.prompt("canceled.*")
    t.type("\x04")
    t.end()


def secrets_are_not_remembered():
    """Neither in the file nor for arrow up; a variable is no secret."""
    t = Terminal()
    t.prompt()
    t.type("SELECT 40 + 3;\n")
    t.prompt("43.*")
    t.type("CREATE SINK s FROM nothing INTO FILE\n")
    t.expect(r"\.\.\.> ")
    t.type("(path = 'x', password = 'hush-4711');\n")
    t.prompt("note: this is not kept in the history.*LAM-.*")
    t.type("\x1b[A\n")
    t.prompt("43.*")
    t.type("CREATE SINK s FROM nothing INTO FILE (password = '${HUSH}');\n")
    t.prompt("LAM-.*")
    t.type("\x04")
    t.end()
    with open(os.path.join(directory.name, ".laminar_history")) as f:
        kept = f.read()
    assert "hush-4711" not in kept and "${HUSH}" in kept and os.stat(f.name).st_mode & 0o077 == 0, kept


for test in (statements, scripts_and_tables, history_and_cancel, secrets_are_not_remembered, cancel_of_a_running_statement, progress, live_table, silence):
    check(test)
print(f"terminal: {passed} passed, {failed} failed")
sys.exit(failed > 0)
