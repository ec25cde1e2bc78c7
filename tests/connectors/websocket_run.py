"""The WebSocket sink as its tests run it: the program, rows, and what clients get. SPDX-License-Identifier: Apache-2.0"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from websocket_client import CLOSE, TEXT

BUILD = os.path.abspath(sys.argv[1])
PATTERN = sys.argv[2] if len(sys.argv) > 2 else ""
DEADLINE_S = 20
cases = []


def case(f):
    cases.append(f)
    return f


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}\n   got {str(got)[:600]!r}\n  want {str(want)[:600]!r}")


def holds(text, *parts):
    for p in parts:
        if p not in text:
            raise AssertionError(f"{p!r} is not in\n{text}")


class Skip(Exception):
    pass


class Run:
    """The program with a sink; rows are what the test writes to it."""

    def __init__(self, columns="k BIGINT, t VARCHAR", port=0, more="", **options):
        self.folder = tempfile.TemporaryDirectory(prefix="laminar-ws-test.")
        self.script = os.path.join(self.folder.name, "s.sql")
        options = {"bind.address": str(port), **{k.replace("__", "."): v for k, v in options.items()}}
        with open(self.script, "w") as f:
            f.write(f"CREATE SOURCE s ({columns}) FROM STDIN (format = 'csv', header = 'false');\n{more}"
                    "CREATE SINK w FROM s INTO WEBSOCKET (" + ", ".join(f"{k} = '{v}'" for k, v in options.items()) + ");\n")
        env = {**os.environ, "LAMINAR_MODULES": BUILD + "/modules"}
        self.process = subprocess.Popen([BUILD + "/laminar", "run", self.script], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, cwd=self.folder.name)
        self.said = b""
        self.port = None
        while self.port is None:
            line = self.process.stderr.readline()
            if not line:
                raise AssertionError("it ended: " + self.said.decode())
            self.said += line
            m = re.search(rb"listening on wss?://[^ ]*:(\d+)/", line)
            self.port = int(m[1]) if m else None

    def rows(self, rows):
        self.process.stdin.write("".join(f"{k},{t}\n" for k, t in rows).encode())
        self.process.stdin.flush()

    def end(self, status=0):
        self.process.stdin.close()
        self.process.stdin = None
        _, err = self.process.communicate(timeout=DEADLINE_S)
        self.said += err
        equal(self.process.returncode, status, self.said.decode())
        return self.counts()

    def counts(self):
        """What the sink says at its end; the sum must be right."""
        line = next(x for x in self.said.decode().split("\n") if "records" in x and "offered" in x)
        c = {k: int(v) for k, v in re.findall(r"([a-z ]*[a-z]) (\d+)", line[line.index(": records") + 2:].replace("= ", "").replace("+ ", ""))}
        c = {k.strip(): v for k, v in c.items()}
        equal(c["offered"], c["sent"] + c["dropped"] + c["left"], line)
        return c

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.folder.cleanup()


def records(client, n):
    """The next n records of frames of the protocol: sequences and values."""
    out = []
    while len(out) < n:
        opcode, data = client.frame()
        equal(opcode, TEXT, data)
        for line in data.split(b"\n"):
            m = json.loads(line)
            equal(m["type"], "data", m)
            out.append((m["sequence"], m["data"]))
    return out


def rest(client):
    """Records up to the close frame, and its code."""
    out = []
    while True:
        opcode, data = client.frame()
        if opcode == CLOSE:
            return out, int.from_bytes(data[:2], "big"), data[2:].decode()
        if opcode == TEXT:
            out += [json.loads(x) for x in data.split(b"\n")]


def main(name):
    """Runs the cases; the exit status."""
    if not os.path.exists(BUILD + "/modules/websocket.so"):
        print(f"{name}: skipped: the module was not built (Debian: libwslay-dev)")
        return 0
    failed = 0
    signal.alarm(300)  # a test that hangs ends
    chosen = [c for c in cases if PATTERN in c.__name__]
    for c in chosen:
        at = time.monotonic()
        try:
            c()
            print(f"{name} {c.__name__} ok ({time.monotonic() - at:.1f} s)", flush=True)
        except Skip as e:
            print(f"{name} {c.__name__} skipped: {e}", flush=True)
        except Exception as e:
            failed += 1
            print(f"{name} {c.__name__} FAILED: {type(e).__name__}: {e} (line {e.__traceback__.tb_next.tb_lineno})", flush=True)
    print(f"{name}: {len(chosen) - failed} of {len(chosen)} passed")
    return failed > 0
