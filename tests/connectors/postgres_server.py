"""A PostgreSQL server in a temporary folder, on a free port of loopback. SPDX-License-Identifier: Apache-2.0"""
import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile


def bindir():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), reverse=True)
    if found:
        return os.path.dirname(found[0])
    path = shutil.which("postgres")
    return os.path.dirname(path) if path else None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """It refuses to run as root, so then it runs as postgres."""

    def __init__(self, **settings):
        self.bin = bindir()
        self.folder = tempfile.mkdtemp(prefix="laminar-pg.")
        self.data = os.path.join(self.folder, "data")
        self.port = free_port()
        self.settings = {"fsync": "off", "listen_addresses": "127.0.0.1", "unix_socket_directories": self.folder, "port": self.port, **settings}
        self.before = []
        if os.geteuid() == 0:
            who = pwd.getpwnam("postgres")
            os.chown(self.folder, who.pw_uid, who.pw_gid)
            self.before = ["runuser", "-u", "postgres", "--"]
        os.chmod(self.folder, 0o755)
        self.do("initdb", "-D", self.data, "-A", "trust", "-U", "lam", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()

    def standby(self):
        """A copy that follows this one."""
        it = Server.__new__(Server)
        it.__dict__.update(self.__dict__)
        it.folder = tempfile.mkdtemp(prefix="laminar-pg.")
        if it.before:
            who = pwd.getpwnam("postgres")
            os.chown(it.folder, who.pw_uid, who.pw_gid)
        os.chmod(it.folder, 0o755)
        it.data = os.path.join(it.folder, "data")
        it.port = free_port()
        it.settings = {**self.settings, "unix_socket_directories": it.folder, "port": it.port}
        it.do("pg_basebackup", "-D", it.data, "-R", "-X", "stream", "-c", "fast", "-h", self.folder, "-p", str(self.port), "-U", "lam")
        it.start()
        return it

    def do(self, program, *args):
        run = subprocess.run(self.before + [os.path.join(self.bin, program), *args], cwd=self.folder, capture_output=True, text=True, timeout=60)
        if run.returncode:
            raise RuntimeError(f"{program}: {run.stdout}{run.stderr}")

    def start(self):
        options = " ".join(f"-c {k}={v}" for k, v in self.settings.items())
        run = self.before + [os.path.join(self.bin, "pg_ctl"), "-D", self.data, "-o", options, "-l", self.folder + "/log", "-w", "-t", "30", "start"]
        # not captured: the server inherits what pg_ctl has, and would keep a pipe open
        if subprocess.run(run, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60).returncode:
            raise RuntimeError(open(self.folder + "/log").read()[-2000:])

    def stop(self, how="immediate"):
        self.do("pg_ctl", "-D", self.data, "-m", how, "-w", "stop")

    def write(self, name, text, mode=0o600):
        """A file of the server's."""
        path = os.path.join(self.data, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        if self.before:
            who = pwd.getpwnam("postgres")
            os.chown(path, who.pw_uid, who.pw_gid)

    def psql(self, sql, ok=True):
        run = subprocess.run([os.path.join(self.bin, "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", str(self.port), "-U", "lam", "postgres"],
                             input=sql, capture_output=True, text=True, timeout=60)
        if ok and run.returncode:
            raise RuntimeError(run.stderr + "\nin " + sql)
        return run.stdout.rstrip("\n")

    def session(self):
        return Session(self)

    def done(self):
        try:
            self.stop()
        except RuntimeError:
            pass
        shutil.rmtree(self.folder, ignore_errors=True)


class Session:
    """A psql that stays."""

    def __init__(self, server):
        self.p = subprocess.Popen([os.path.join(server.bin, "psql"), "-XAtq", "-h", server.folder, "-p", str(server.port), "-U", "lam", "postgres"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, sql):
        self.p.stdin.write(sql + ";\n\\echo ---\n")
        self.p.stdin.flush()
        lines = []
        while (line := self.p.stdout.readline()) and line != "---\n":
            lines.append(line.rstrip("\n"))
        return "\n".join(lines)

    def done(self):
        self.p.stdin.close()
        self.p.wait(10)
