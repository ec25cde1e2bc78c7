"""The program with a WebSocket source or a sink that is a client, for their tests. SPDX-License-Identifier: Apache-2.0"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

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


def until(fact, what):
    end = time.monotonic() + DEADLINE_S
    while not fact():
        if time.monotonic() > end:
            raise AssertionError("in vain: " + what)
        time.sleep(0.005)


class Skip(Exception):
    pass


def options_text(options):
    return ", ".join("{} = '{}'".format(k.replace("__", "."), str(v).replace("'", "''")) for k, v in options.items())


class Program:
    """Runs a script; what it prints is taken line by line, unless the test reads it itself."""

    def __init__(self, script, print_stream=None, reads=True, stdin=False, env=(), more=()):
        self.folder = tempfile.TemporaryDirectory(prefix="laminar-ws-test.")
        path = os.path.join(self.folder.name, "s.sql")
        with open(path, "w") as f:
            f.write(script)
        args = [BUILD + "/laminar", "run", path] + (["--print", print_stream, "--format", "csv"] if print_stream else []) + list(more)
        self.process = subprocess.Popen(args, env={**os.environ, "LAMINAR_MODULES": BUILD + "/modules", **dict(env)}, cwd=self.folder.name,
                                        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines, self.said = [], ""
        self.threads = [threading.Thread(target=self._listen)] + ([threading.Thread(target=self.read)] if reads else [])
        for t in self.threads:
            t.start()

    def _listen(self):
        for line in self.process.stderr:
            self.said += line.decode()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    def wait_said(self, pattern):
        def said():
            if self.process.poll() is not None and not re.search(pattern, self.said):
                time.sleep(0.1)
                if not re.search(pattern, self.said):
                    raise AssertionError(f"it ended without {pattern!r}: {self.said}")
            return re.search(pattern, self.said)
        until(said, f"{pattern!r} in\n{self.said}")
        return re.search(pattern, self.said)

    def wait_lines(self, n):
        until(lambda: len(self.lines) >= n, f"{n} lines; there are {len(self.lines)}: {self.lines[-3:]}; {self.said}")

    def rows(self, lines):
        self.process.stdin.write("".join(x + "\n" for x in lines).encode())
        self.process.stdin.flush()

    def end(self, status=0):
        """Waits for it to end by itself."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait(DEADLINE_S)
        for t in self.threads:
            t.join(DEADLINE_S)
        equal(self.process.returncode, status, self.said)
        return self.counts()

    def stop(self):
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.end(130)

    def counts(self):
        """What the source or sink says at its end."""
        lines = [x for x in self.said.split("\n") if re.search(r"ws.*: (messages|records) \d", x)]
        return {k.strip(): int(v) for k, v in re.findall(r"([a-z ]*[a-z]) (\d+)", lines[-1][lines[-1].rindex(": "):])} if lines else {}

    def memory(self):
        return int(re.search(r"VmRSS:\s*(\d+)", open(f"/proc/{self.process.pid}/status").read())[1]) << 10

    def cpu_ticks(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for t in self.threads:
            t.join(DEADLINE_S)
        self.process.stdout.close()
        self.process.stderr.close()
        self.folder.cleanup()


def make_certificates(folder):
    """An authority and a certificate of it for 127.0.0.1 and another name; skips when openssl is not there."""
    run = lambda *a: subprocess.run(["openssl", *a], cwd=folder, check=True, capture_output=True)
    try:
        run("version")
    except OSError:
        raise Skip("Debian: openssl")
    for ca in ["ca", "other"]:
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", ca + ".key", "-out", ca + ".pem", "-days", "2", "-subj", "/CN=" + ca)
    for name, alternative in [("good", "IP:127.0.0.1"), ("elsewhere", "DNS:elsewhere.example")]:
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
        with open(os.path.join(folder, name + ".ext"), "w") as f:
            f.write("subjectAltName=" + alternative)
        run("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", name + ".pem", "-days", "2", "-extfile", name + ".ext")
    return lambda name: os.path.join(folder, name)


def main(what):
    if not os.path.exists(BUILD + "/modules/websocket.so"):
        print(f"{what}: skipped: the module was not built (Debian: libwslay-dev libcurl4-openssl-dev libssl-dev)")
        return 0
    failed = 0
    signal.alarm(400)  # a test that hangs ends
    chosen = [c for c in cases if PATTERN in c.__name__]
    for c in chosen:
        at = time.monotonic()
        try:
            c()
            print(f"{what} {c.__name__} ok ({time.monotonic() - at:.1f} s)", flush=True)
        except Skip as e:
            print(f"{what} {c.__name__} skipped: {e}", flush=True)
        except Exception as e:
            failed += 1
            print(f"{what} {c.__name__} FAILED: {type(e).__name__}: {e} (line {e.__traceback__.tb_next.tb_lineno})", flush=True)
    print(f"{what}: {len(chosen) - failed} of {len(chosen)} passed")
    return failed > 0
