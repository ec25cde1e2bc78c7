"""A broker of Kafka (KRaft, one node) in a temporary folder, on free ports of loopback. SPDX-License-Identifier: Apache-2.0"""
import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))


def missing(build):
    """What is not installed, or None. Fetches the broker once for a build."""
    for program in ("java", "mvn", "kcat", "openssl"):
        if not shutil.which(program):
            return program
    lib = os.path.join(build, "kafka-lib")
    if not os.path.exists(os.path.join(lib, "done")):
        run = subprocess.run(["mvn", "-q", "-B", "-f", HERE + "/kafka.xml", "dependency:copy-dependencies", "-DoutputDirectory=" + lib],
                             capture_output=True, text=True, timeout=300)
        if run.returncode:
            return "the broker's jars: " + (run.stdout + run.stderr).strip()[:300]
        open(os.path.join(lib, "done"), "w").close()
    return None


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Proxy:
    """Between clients and a broker that is known by our port: cuts connections, or lets them stand still for ever."""

    def __init__(self, port, target):
        self.port, self.target = port, target
        self.address = f"127.0.0.1:{port}"
        self.pairs = []  # of sockets
        self.frozen = set()
        self.heard = None  # called with each client and what it says
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                client = self.listener.accept()[0]
                try:
                    broker = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                with self.lock:
                    self.pairs.append((client, broker))
                for a, b in ((client, broker), (broker, client)):
                    threading.Thread(target=self.forward, args=(a, b), daemon=True).start()
        except OSError:
            pass  # closed

    def forward(self, a, b):
        try:
            while data := a.recv(65536):
                if a in self.frozen:
                    return
                if self.heard and a.getsockname()[1] == self.port:
                    self.heard(a, data)
                b.sendall(data)
        except OSError:
            pass
        if a not in self.frozen:
            self.shut(a, b)

    @staticmethod
    def shut(*sockets):
        for s in sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            self.shut(*pair)
        return len(pairs)

    def freeze(self):
        with self.lock:
            pairs, self.pairs = self.pairs, []
            self.frozen |= {s for pair in pairs for s in pair}
        return len(pairs)

    def done(self):
        self.listener.close()
        self.cut()


class Broker:
    def __init__(self, build, secure=None, **settings):
        """secure: a user and a password, for a listener by TLS whose certificate is that of localhost."""
        self.jars = os.path.join(build, "kafka-lib", "*")
        self.folder = tempfile.mkdtemp(prefix="laminar-kafka.")
        self.port, controller, self.secure_port, proxied, self.proxy_port = free_ports(5)
        self.address = f"127.0.0.1:{self.port}"
        self.settings = {
            "process.roles": "broker,controller", "node.id": 1, "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller},PROXIED://127.0.0.1:{proxied}",
            "advertised.listeners": f"PLAINTEXT://{self.address},PROXIED://127.0.0.1:{self.proxy_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT", "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder + "/data", "offsets.topic.replication.factor": 1, "offsets.topic.num.partitions": 1, "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1, "num.partitions": 1, "group.initial.rebalance.delay.ms": 0,
            "broker.session.timeout.ms": 1500, "broker.heartbeat.interval.ms": 300, **settings}
        if secure:
            self.secure(**secure)
        self.properties = self.folder + "/server.properties"
        with open(self.properties, "w") as f:
            f.writelines(f"{k}={v}\n" for k, v in self.settings.items())
        self.tool("kafka.tools.StorageTool", "format", "--cluster-id=" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="), "-c", self.properties)
        self.process = None
        self.proxy = Proxy(self.proxy_port, proxied)
        self.start()

    def secure(self, user, password):
        self.certificate = self.folder + "/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost", "-keyout", self.folder + "/key.pem", "-out", self.certificate], check=True, capture_output=True)
        with open(self.folder + "/both.pem", "w") as f:
            f.write(open(self.folder + "/key.pem").read() + open(self.certificate).read())
        of = "listener.name.secure."
        self.settings.update({
            "listeners": self.settings["listeners"] + f",SECURE://localhost:{self.secure_port}",
            "advertised.listeners": self.settings["advertised.listeners"] + f",SECURE://localhost:{self.secure_port}",
            "listener.security.protocol.map": self.settings["listener.security.protocol.map"] + ",SECURE:SASL_SSL",
            of + "sasl.enabled.mechanisms": "PLAIN", of + "ssl.keystore.type": "PEM", of + "ssl.keystore.location": self.folder + "/both.pem",
            of + "plain.sasl.jaas.config": f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";'})

    def java(self, *args):
        return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", self.jars, *args]

    def tool(self, *args):
        run = subprocess.run(self.java(*args), capture_output=True, text=True, timeout=60)
        if run.returncode:
            raise RuntimeError(f"{args}: {run.stdout}{run.stderr}")
        return run.stdout

    def start(self):
        log = open(self.folder + "/log", "a")
        self.process = subprocess.Popen(self.java("kafka.Kafka", self.properties), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while subprocess.run(["kcat", "-b", self.address, "-L", "-m", "2"], capture_output=True).returncode:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(open(self.folder + "/log").read()[-2000:])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def topic(self, name, partitions=1, **config):
        args = [x for k, v in config.items() for x in ("--config", f"{k.replace('__', '.')}={v}")]
        self.tool("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.address, "--create", "--topic", name,
                  "--partitions", str(partitions), *args)

    def alter(self, topic, **config):
        self.tool("kafka.admin.ConfigCommand", "--bootstrap-server", self.address, "--alter", "--topic", topic, "--add-config",
                  ",".join(f"{k.replace('__', '.')}={v}" for k, v in config.items()))

    def add_partitions(self, topic, to):
        self.tool("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.address, "--alter", "--topic", topic, "--partitions", str(to))

    def set_group(self, group, topic, partition, offset):
        self.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", self.address, "--group", group, "--topic",
                  f"{topic}:{partition}", "--reset-offsets", "--to-offset", str(offset), "--execute")

    def group(self, group):
        """Offsets that the group has, by topic and partition."""
        said = self.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", self.address, "--group", group, "--describe",
                         "--offsets")
        rows = [line.split() for line in said.splitlines() if line.split()[:1] == [group]]
        return {(r[1], int(r[2])): int(r[3]) for r in rows if r[3] != "-"}

    def read(self, topic, form="%s\\n", *args):
        """All messages up to the end, as kcat formats them."""
        run = subprocess.run(["kcat", "-b", self.address, "-C", "-q", "-t", topic, "-o", "beginning", "-e", "-f", form, *args],
                             capture_output=True, text=True, timeout=60)
        return run.stdout

    def lines(self, topic):
        """The same, one by one."""
        with subprocess.Popen(["kcat", "-b", self.address, "-C", "-q", "-t", topic, "-o", "beginning", "-e"], stdout=subprocess.PIPE, text=True) as p:
            yield from p.stdout

    def count(self, topic, partition=0):
        """Messages in a partition; read() would run after a writer that goes on."""
        run = subprocess.run(["kcat", "-b", self.address, "-Q", "-t", f"{topic}:{partition}:-1"], capture_output=True, text=True, timeout=60)
        return int(run.stdout.split()[-1]) if run.stdout.split() else 0

    def write(self, topic, lines, *args):
        subprocess.run(["kcat", "-b", self.address, "-P", "-t", topic, *args], input=lines, text=True, check=True, timeout=60)

    def done(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.proxy.done()
        shutil.rmtree(self.folder, ignore_errors=True)
