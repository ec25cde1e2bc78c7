#!/usr/bin/python3
"""examples/live-chart in a browser: live_chart.py BUILD [PATTERN] runs the cases whose names contain PATTERN;
live_chart.py BUILD --picture FILE makes the picture of docs/live-chart.md. The browser is driven by its own protocol (DevTools), over
a WebSocket. SPDX-License-Identifier: Apache-2.0"""
import base64
import functools
import http.server
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from websocket_client import TEXT, Client, frame

BUILD = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLE = os.path.join(HERE, "../../examples/live-chart")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DEADLINE_S = 60
SYMBOLS = ["ACME", "BOLT", "CORE", "DYNE", "ECHO"]
cases = []


def case(f):
    cases.append(f)
    return f


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}\n   got {str(got)[:600]!r}\n  want {str(want)[:600]!r}")


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Market:
    """live.sql, running. It can be killed and started again, on the ports it had."""

    def __init__(self, origin_port=8000):
        self.folder = tempfile.TemporaryDirectory(prefix="laminar-chart-test.")
        self.bars, self.scores = free_ports(2)
        with open(os.path.join(EXAMPLE, "live.sql")) as f:
            script = f.read()
        self.script = os.path.join(self.folder.name, "live.sql")
        with open(self.script, "w") as f:
            f.write(script.replace("8000", str(origin_port)))
        self.start()

    def start(self):
        env = {**os.environ, "LAMINAR_MODULES": BUILD + "/modules", "BARS": f"127.0.0.1:{self.bars}", "SCORES": f"127.0.0.1:{self.scores}"}
        self.process = subprocess.Popen([BUILD + "/laminar", "run", self.script], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = b""
        while said.count(b"listening on") < 2:
            ready, _, _ = select.select([self.process.stderr], [], [], DEADLINE_S)
            line = os.read(self.process.stderr.fileno(), 4096) if ready else b""
            if not line:
                raise AssertionError("it ended, or does not listen: " + said.decode())
            said += line

    def kill(self):
        if not self.process.stderr.closed:
            self.process.kill()
            self.process.communicate()

    def query(self):
        return f"?bars=ws://127.0.0.1:{self.bars}/&scores=ws://127.0.0.1:{self.scores}/"

    def bars_until(self, symbol, last):
        """What the server sends of a symbol, by window, from the first that it keeps to `last`."""
        client, got = Client(self.bars, "/?last_sequence=0"), {}
        while last not in got:
            opcode, data = client.frame()
            equal(opcode, TEXT)
            row = json.loads(data)["data"]
            if row["symbol"] == symbol:
                got[row["window_start"]] = row
        client.close()
        return got

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.folder.cleanup()


class Browser:
    """A headless Chromium with one page."""

    def __init__(self, width=1240, height=690):
        self.folder = tempfile.TemporaryDirectory(prefix="laminar-chart-test.", ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "--user-data-dir=" + self.folder.name,
             f"--window-size={width},{height}", "about:blank"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        said, port = b"", None
        while port is None:
            ready, _, _ = select.select([self.process.stderr], [], [], DEADLINE_S)
            line = self.process.stderr.readline() if ready else b""
            if not line:
                raise AssertionError("the browser does not start: " + said.decode(errors="replace")[-1000:])
            said += line
            if b"DevTools listening on ws://" in line:
                port = int(line.split(b"ws://")[1].split(b"/")[0].split(b":")[-1])
        threading.Thread(target=self.process.stderr.read, daemon=True).start()  # or it would wait for room in the pipe
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=DEADLINE_S) as answer:
            page = next(t for t in json.load(answer) if t["type"] == "page")
        self.socket = Client(port, page["webSocketDebuggerUrl"].split(str(port), 1)[1])
        self.socket.socket.settimeout(DEADLINE_S)
        self.sent, self.errors, self.events = 0, [], []
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def message(self):
        m = json.loads(self.socket.frame()[1])
        if m.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(m["params"]["exceptionDetails"])[:500])
        elif m.get("method") == "Runtime.consoleAPICalled" and m["params"]["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(m["params"]["args"])[:500])
        elif m.get("method") == "Log.entryAdded" and m["params"]["entry"]["level"] in ("error", "warning"):
            self.errors.append(m["params"]["entry"]["text"][:500])
        return m

    def call(self, method, **params):
        self.sent += 1
        self.socket.send(frame(TEXT, json.dumps({"id": self.sent, "method": method, "params": params}).encode()))
        while (m := self.message()).get("id") != self.sent:
            if "method" in m:
                self.events.append(m["method"])
        if "error" in m:
            raise AssertionError(f"{method}: {m['error']}")
        return m["result"]

    def open(self, url):
        self.events.clear()
        self.call("Page.navigate", url=url)
        while "Page.loadEventFired" not in self.events:
            self.events.append(self.message().get("method"))

    def value(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in r:
            raise AssertionError(f"{expression}: {r['exceptionDetails']}")
        return r["result"].get("value")

    def wait(self, condition):
        """Until it is true of the document, looked at whenever that changes."""
        try:
            self.value("new Promise(done => { const look = () => { if (!(" + condition + ")) return; seen.disconnect(); done(true); };"
                       "const seen = new MutationObserver(look);"
                       "seen.observe(document, {subtree: true, childList: true, attributes: true, characterData: true}); look(); })")
        except TimeoutError:
            raise AssertionError(f"it did not come: {condition}") from None

    def picture(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)  # its own group: the browser with its helpers
        self.process.wait()
        self.folder.cleanup()


def page(market):
    return "file://" + os.path.abspath(EXAMPLE) + "/index.html" + market.query()


def bars_of(symbol):
    return f'document.querySelectorAll("[data-symbol={symbol}] .bar")'


def state_is(state):
    return " && ".join(f'document.getElementById("{name}-state").dataset.state == "{state}"' for name in ("bars", "scores"))


def chart(browser, symbol):
    """What one chart shows, at one moment: the price in figures and the windows of its bars."""
    return browser.value(f'''(() => {{ const s = document.querySelector("[data-symbol={symbol}]"); return {{
        price: s.querySelector(".price").textContent, tag: s.querySelector(".tagged").textContent, last: s.dataset.time,
        times: [...s.querySelectorAll(".bar")].map(b => b.dataset.time), titles: [...s.querySelectorAll(".bar title")].map(t => t.textContent)}}; }})()''')


def same_as_sent(browser, market, symbol):
    """The chart shows every bar that the server sent, and its last price."""
    shown = chart(browser, symbol)
    sent = market.bars_until(symbol, shown["last"])
    equal(shown["price"], f"{sent[shown['last']]['close']:.2f}", symbol)
    equal(shown["tag"], shown["price"], symbol)
    equal(shown["times"][-1], shown["last"])
    mine = [t for t in shown["times"] if t >= min(sent)]
    equal(mine, sorted(sent)[-len(shown["times"]):], symbol)
    for time_, title in zip(shown["times"], shown["titles"]):
        if time_ in sent:
            equal(title.split()[2:], [str(x) for k in ("open", "high", "low", "close", "volume") for x in (k, f"{sent[time_][k]:g}")], symbol)
    return shown


@case
def from_the_disk():
    with Market() as market, Browser() as browser:
        browser.open(page(market))
        browser.wait(" && ".join(f"{bars_of(s)}.length >= 5" for s in SYMBOLS) + ' && document.querySelectorAll("#scores tbody tr").length >= 3')
        equal(browser.value(state_is("live")), True)
        equal(browser.value('[...document.querySelectorAll("[data-symbol]")].map(s => s.dataset.symbol)'), SYMBOLS)
        for symbol in SYMBOLS:
            same_as_sent(browser, market, symbol)
        scores = browser.value('[...document.querySelectorAll("#scores .score")].map(e => +e.textContent)')
        equal(scores, sorted(scores, reverse=True))
        assert all(0.95 <= x <= 1 for x in scores), scores
        equal(browser.errors, [])
        browser.picture(BUILD + "/live-chart.png")


@case
def it_comes_back():
    """The program is killed and started again: the page finds it, keeps its bars and goes on, none twice."""
    with Market() as market, Browser() as browser:
        browser.open(page(market))
        browser.wait(f'{bars_of("ACME")}.length >= 3')
        equal(browser.errors, [])
        market.kill()
        browser.wait(state_is("reconnecting"))
        before = chart(browser, "ACME")
        market.start()
        browser.wait(state_is("live") + f' && {bars_of("ACME")}.length >= {len(before["times"]) + 3}')
        after = same_as_sent(browser, market, "ACME")
        equal(after["times"][:len(before["times"])], before["times"])
        equal(after["times"], sorted(set(after["times"])), "in order, none twice")
        # What the browser itself says of connections that were refused or cut; nothing else.
        equal([e for e in browser.errors if "WebSocket connection to" not in e], [])


@case
def it_asks_for_what_it_missed():
    """A connection that is cut, and not the program: what came meanwhile is asked for, so no bar is missing."""
    with Market() as market, Browser() as browser, Relay(market.bars) as relay:
        direct, market.bars = market.bars, relay.port
        browser.open(page(market))
        market.bars = direct
        browser.wait(f'{bars_of("ACME")}.length >= 3')
        relay.close()
        browser.wait('document.getElementById("bars-state").dataset.state == "reconnecting"')
        last = chart(browser, "ACME")["last"]
        client, later = Client(market.bars), set()
        while len(later) < 3:  # so many windows close while the page is away
            row = json.loads(client.frame()[1])["data"]
            later |= {row["window_start"]} if row["window_start"] > last else set()
        relay.open()
        browser.wait('document.getElementById("bars-state").dataset.state == "live"'
                     f' && document.querySelector("[data-symbol=ACME]").dataset.time > "{max(later)}"')
        same_as_sent(browser, market, "ACME")
        equal(browser.value('document.getElementById("missed").textContent'), "")


class Relay:
    """A port in front of another, which can be shut: then all that went through it is cut."""

    def __init__(self, to):
        self.to, self.port = to, free_ports(1)[0]
        self.open()

    def open(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen()
        self.pairs = []
        threading.Thread(target=self.serve, args=(self.socket,), daemon=True).start()

    def serve(self, listening):
        while True:
            try:
                one = listening.accept()[0]
            except OSError:
                return
            other = socket.create_connection(("127.0.0.1", self.to))
            self.pairs += [one, other]
            for a, b in ((one, other), (other, one)):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass

    def close(self):
        for s in [self.socket, *self.pairs]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@case
def from_a_server():
    """By http, from the origin that the script allows, and from one that it does not."""
    serve = functools.partial(Quiet, directory=EXAMPLE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as good, http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as bad:
        for server in (good, bad):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        with Market(origin_port=good.server_port) as market, Browser() as browser:
            browser.open(f"http://localhost:{good.server_port}/index.html{market.query()}")
            browser.wait(f'{bars_of("ECHO")}.length >= 2')
            equal(browser.errors, [])
            browser.open(f"http://localhost:{bad.server_port}/index.html{market.query()}")
            browser.wait(state_is("reconnecting"))
            equal(browser.value(f'{bars_of("ECHO")}.length'), 0)
            assert any("403" in e for e in browser.errors), browser.errors
        for server in (good, bad):
            server.shutdown()


CONTRAST = '''(() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
                       return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (c != "rgba(0, 0, 0, 0)") return c; } };
  const worst = [...document.querySelectorAll("h1, h2, .dim, .price, .change, .state, th, td:not(.meter)")].filter(e => e.textContent).map(e => {
    const a = light(getComputedStyle(e).color), b = light(behind(e));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); });
  return Math.min(...worst);
})()'''


@case
def light_dark_and_narrow():
    """All text stands out from what is behind it (WCAG AA) in either scheme, and a narrow page does not scroll sideways."""
    with Market() as market, Browser() as browser:
        seen = {}
        for scheme in ("light", "dark"):
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            browser.open(page(market))
            browser.wait(f'{bars_of("ACME")}.length >= 2 && document.querySelector("#scores tbody tr") && document.getElementById("rate").textContent')
            seen[scheme] = browser.value("getComputedStyle(document.body).backgroundColor")
            contrast = browser.value(CONTRAST)
            assert contrast >= 4.5, (scheme, contrast)
        assert seen["light"] != seen["dark"], seen
        browser.call("Emulation.setDeviceMetricsOverride", width=380, height=800, deviceScaleFactor=1, mobile=True)
        browser.open(page(market))
        browser.wait(f'{bars_of("ACME")}.length >= 2 && document.querySelector("#scores tbody tr")')
        equal(browser.value("document.documentElement.scrollWidth"), 380)
        equal(browser.errors, [])


def make_picture(path):
    with Market() as market, Browser() as browser:
        browser.open(page(market))
        signal.alarm(300)
        browser.socket.socket.settimeout(200)
        browser.wait(f'{bars_of("ACME")}.length >= 42 && document.querySelectorAll("#scores tbody tr").length >= 9')
        browser.picture(path)


def took_too_long(*_):
    """By an exception, so that the browser and the program are stopped on the way out."""
    raise TimeoutError("the test takes too long")


def main():
    for what, there in (("chromium", CHROMIUM), ("the module websocket, not built (libwslay-dev)", os.path.exists(BUILD + "/modules/websocket.so"))):
        if not there:
            print(f"live_chart: skipped: missing {what}")
            return 0
    if sys.argv[2:3] == ["--picture"]:
        return make_picture(sys.argv[3])
    failed = 0
    signal.signal(signal.SIGALRM, took_too_long)
    signal.alarm(200)
    chosen = [c for c in cases if len(sys.argv) < 3 or sys.argv[2] in c.__name__]
    for c in chosen:
        at = time.monotonic()
        try:
            c()
            print(f"live_chart {c.__name__} ok ({time.monotonic() - at:.1f} s)", flush=True)
        except Exception as e:
            failed += 1
            print(f"live_chart {c.__name__} FAILED: {type(e).__name__}: {e} (line {e.__traceback__.tb_next.tb_lineno})", flush=True)
    print(f"live_chart: {len(chosen) - failed} of {len(chosen)} passed")
    return failed > 0


sys.exit(main())
