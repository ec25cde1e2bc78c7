#!/usr/bin/python3
"""Clients of the WebSocket sink that choose what they get. websocket_subscribe.py BUILD [PATTERN]. SPDX-License-Identifier: Apache-2.0"""
import json
import os
import subprocess
import sys
import tempfile
import threading
from urllib.parse import quote

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from websocket_run import BUILD, DEADLINE_S, Run, case, equal, holds, main, records
from websocket_client import BINARY, TEXT, Client, answer, frame, request


def say(client, **message):
    client.send(frame(TEXT, json.dumps(message).encode()))


def told(client, type_):
    """The next message, which must be of that type."""
    opcode, data = client.frame()
    equal(opcode, TEXT, data)
    m = json.loads(data)
    equal(m["type"], type_, m)
    return m


def subscribe(client, **what):
    say(client, action="subscribe", **what)
    return told(client, "subscribed")


def data(client, n):
    """The next n records: subscription, sequence, value."""
    out = []
    while len(out) < n:
        m = told(client, "data")
        out.append((m.get("subscription_id"), m["sequence"], m["data"]))
    return out


def numbers(got):
    return [v["k"] for _, _, v in got]


def refused(client, *parts, **message):
    say(client, **message)
    holds(told(client, "error")["message"], *parts)


@case
def a_filter():
    with Run() as r:
        a, b, all_ = Client(r.port), Client(r.port), Client(r.port)
        one = subscribe(a, filter="k % 2 = 0 AND t <> 'no'")
        two = subscribe(b, filter="k % 2 = 0 AND t <> 'no'")
        equal(one, two, "one view for both")
        r.rows([(1, "a"), (2, "b"), (3, "c"), (4, "no"), (6, "f"), (7, "")])
        got = data(a, 2)
        equal(got, data(b, 2))
        equal(numbers(got), [2, 6])
        every = records(all_, 6)
        equal([s for _, s, _ in got], [every[1][0], every[4][0]], "sequences are those of all records")
        equal(got[0][0], one["subscription_id"])
        equal(one["next"], every[0][0])
        r.rows([(8, "h")])
        equal(numbers(data(a, 1)), [8])
        n = r.end()
        equal((n["offered"], n["sent"]), (3 + 3 + 7, 13))


@case
def what_a_filter_may_be():
    with Run("k BIGINT, t VARCHAR, d DOUBLE, at TIMESTAMP") as r:
        c = Client(r.port)
        wrong = [("k >", "[LAM-1000]"), ("kk = 1", "[LAM-1100]", "'k'"), ("k", "[LAM-1200]", "BOOLEAN"), ("nosuch(k) = 1", "[LAM-1102]"),
                 ("(SELECT 1) = k", "[LAM-1001]"), ("k IN (SELECT 1)", "[LAM-1001]"), ("EXISTS (SELECT 1)", "[LAM-1001]"), ("count(*) > 1", "[LAM-"),
                 ("random() > 0.5", "[LAM-1001]", "another value"), ("at < now()", "[LAM-1001]"), ("length(repeat(t, 1000000000)) > 1", "[LAM-1001]", "repeat"),
                 ("CASE WHEN k = 1 THEN lpad('x', 1000000000) = t END", "[LAM-1001]", "lpad"), ("t ~ '('", "[LAM-1217]"), ("k = 1; DROP SINK w", "[LAM-1000]"),
                 ("k = 1 -- " + "x" * 5000, "[LAM-1003]", "4096"), ("(" * 2000 + "k = 1" + ")" * 2000, "[LAM-"), ("k = 'x'", "[LAM-"), ("t = '\u0000'", "flat")]
        for i, (text, *parts) in enumerate(wrong):
            if i % 8 == 7:
                c = Client(r.port)  # so many in a second are not looked at
            refused(c, *parts, action="subscribe", filter=text)
        c = Client(r.port)
        right = ["t LIKE 'a%' AND d BETWEEN 0 AND 2", "at > TIMESTAMP '2024-01-01 00:00:00' OR t IS NULL", "upper(t) IN ('A', 'ABC') AND k::VARCHAR ~ '^1'"]
        ids = [subscribe(c, filter=f)["subscription_id"] for f in right]
        equal(len(set(ids)), 3)
        r.process.stdin.write(b"1,abc,1.5,2025-01-01 00:00:00\n2,x,9,2020-01-01 00:00:00\n")
        r.process.stdin.flush()
        equal(sorted(i for i, _, _ in data(c, 3)), sorted(ids))
        r.end()


@case
def bad_messages():
    with Run() as r:
        c = Client(r.port)
        for text in ["", "{", "[]", '"x"', '{"action":{"a":1}}', '{"action":["ping"]}', '{"action":"ping"} x', '{"action":"ping",}', '{"a" "b"}', "nonsense", '{"action":"ping\n"}',
                     '{"action":"subscribe","filter":"\\ud800"}', '{"action":"subscribe","filter":"\\u0000"}', '{"action":"\\x"}']:
            c.send(frame(TEXT, text.encode()))
            holds(told(c, "error")["message"], "flat JSON")
        refused(c, "no action", filter="k = 1")
        refused(c, "not 'fly'", action="fly")
        refused(c, "'limit'", action="subscribe", limit=3)
        refused(c, "another type", action="subscribe", filter=3)
        refused(c, "last_sequence", action="subscribe", last_sequence="x")
        refused(c, "last_sequence", action="subscribe", last_sequence=-1)
        refused(c, "needs a subscription_id", action="unsubscribe")
        refused(c, "go with subscribe", action="ping", filter="k = 1")
        refused(c, "no subscription", action="unsubscribe", subscription_id="0")
        c.send(frame(BINARY, b"{}"))
        holds(told(c, "error")["message"], "text")
        say(c, action="ping")
        next_ = told(c, "heartbeat")["next"]
        r.rows([(1, "a")])
        equal(records(c, 1)[0][0], next_, "and it still gets all records")
        r.end()


@case
def unsubscribe():
    with Run() as r:
        c = Client(r.port)
        even, odd = subscribe(c, filter="k % 2 = 0"), subscribe(c, filter="k % 2 = 1")
        r.rows([(1, "a"), (2, "b"), (3, "c")])
        got = sorted(data(c, 3), key=lambda x: x[1])
        equal([i for i, _, _ in got], [odd["subscription_id"], even["subscription_id"], odd["subscription_id"]])
        refused(c, "which you have", action="subscribe", filter="k % 2 = 1")
        say(c, action="unsubscribe", subscription_id=odd["subscription_id"])
        equal(told(c, "unsubscribed")["subscription_id"], odd["subscription_id"])
        r.rows([(4, "d"), (5, "e"), (6, "f")])
        equal(numbers(data(c, 2)), [4, 6])
        say(c, action="unsubscribe", subscription_id=int(even["subscription_id"]))
        told(c, "unsubscribed")
        r.rows([(8, "h")])
        say(c, action="ping")
        told(c, "heartbeat")
        new = subscribe(c, filter="k % 2 = 1")
        assert new["subscription_id"] not in (even["subscription_id"], odd["subscription_id"]), "the old view ended with its last client"
        n = r.end()
        equal(n["offered"], n["sent"])


@case
def only_what_is_asked_for():
    with Run(subscribe="required") as r:
        c, sees = Client(r.port), Client(r.port)
        subscribe(sees)
        r.rows([(1, "a")])
        equal(numbers(data(sees, 1)), [1])
        say(c, action="ping")
        told(c, "heartbeat")
        subscribe(c)
        r.rows([(2, "b")])
        equal(numbers(data(c, 1)), [2])
        d = Client(r.port, "/?last_sequence=0")
        told(d, "subscribed")
        told(d, "gap")
        r.rows([(3, "c")])
        equal(numbers(data(d, 1)), [3])
        equal(r.end()["offered"], 3 + 3)


@case
def by_query():
    with Run(replay__buffer__size="64 KiB") as r:
        first = Client(r.port)
        r.rows([(i, "x") for i in range(10)])
        got = records(first, 10)
        c = Client(r.port, f"/?filter={quote('k > 4 AND t = ')}%27x%27&last_sequence={got[6][0]}")
        told(c, "subscribed")
        equal([s for _, s, _ in data(c, 3)], [s for s, _ in got[7:]])
        c = Client(r.port, "/?filter=k+%3c+3&last_sequence=0")
        told(c, "subscribed")
        equal(numbers(data(c, 3)), [0, 1, 2])
        for path, part in [("/?filter=kk%3d1", "[LAM-1100]"), ("/?format=nosuch", "[LAM-1107]"), ("/?filter=%zz", "UTF-8"), ("/?filter=%00", "UTF-8"), ("/?filter=%ff", "UTF-8")]:
            bad = Client(r.port, path)
            holds(told(bad, "error")["message"], part)
            equal(bad.close_code(), (1008, "the subscription is not possible"), path)
        holds(answer(r.port, request(r.port, "/?filter=a&filter=b")), "HTTP/1.1 400 ")
        r.rows([(11, "x"), (1, "x")])
        equal(numbers(data(c, 1)), [1])
        r.end()


@case
def formats():
    with Run(replay__buffer__size="64 KiB") as r:
        csv, tsv = Client(r.port), Client(r.port)
        one = subscribe(csv, format="csv", filter="k <> 2")
        subscribe(tsv, format="tsv")
        refused(csv, "one of them is all", action="subscribe", filter="k = 1")
        refused(tsv, "[LAM-1107]", action="subscribe", format="box")
        refused(tsv, "[LAM-1107]", "one column", action="subscribe", format="raw")
        r.rows([(1, '"a,b"'), (2, "c"), (3, "")])
        equal([csv.frame() for _ in range(2)], [(TEXT, b'1,"a,b"'), (TEXT, b"3,")])
        equal([tsv.frame() for _ in range(3)], [(TEXT, b"1\ta,b"), (TEXT, b"2\tc"), (TEXT, b"3\t")])
        again = Client(r.port)
        equal(subscribe(again, format="csv", filter="k <> 2", last_sequence=one["next"])["subscription_id"], one["subscription_id"])
        equal(again.frame(), (TEXT, b"3,"))
        json_ = Client(r.port)
        subscribe(json_, format="json", last_sequence=0)
        equal(numbers(data(json_, 3)), [1, 2, 3])
        r.end()
    with Run("t VARCHAR") as r:
        raw = Client(r.port, "/?format=raw&filter=t+%3c%3e+%27b%27")
        told(raw, "subscribed")
        r.process.stdin.write(b"a\nb\nc\n")
        r.process.stdin.flush()
        equal([raw.frame() for _ in range(2)], [(BINARY, b"a"), (BINARY, b"c")])
        r.end()


def arrow_rows(stream):
    """Rows of an Arrow stream, as the program reads them; tests/connectors/arrow_ipc.py says that pyarrow reads the same."""
    with tempfile.TemporaryDirectory(prefix="laminar-ws-test.") as folder:
        with open(folder + "/a.arrow", "wb") as f:
            f.write(stream)
        script = "CREATE SOURCE a (k BIGINT, t VARCHAR) FROM FILE (path = 'a.arrow', format = 'arrow_ipc');"
        p = subprocess.run([BUILD + "/laminar", "run", "-", "--print", "a", "--format", "jsonlines"], input=script, capture_output=True, text=True, cwd=folder,
                           timeout=DEADLINE_S)
        equal(p.returncode, 0, p.stderr)
        return [json.loads(x) for x in p.stdout.splitlines()]


@case
def arrow():
    want = [{"k": 1, "t": "a"}, {"k": 3, "t": None}]
    with Run(replay__buffer__size="64 KiB") as r:
        c = Client(r.port)
        one = subscribe(c, format="arrow_ipc", filter="k <> 2")
        r.rows([(1, "a"), (2, "b"), (3, "")])
        got, n = [], 0
        while n < 2:
            head = told(c, "data")
            equal(head["subscription_id"], one["subscription_id"])
            opcode, stream = c.frame()
            equal(opcode, BINARY)
            rows = arrow_rows(stream)
            n += head["records"]
            equal(len(rows), head["records"])
            got += rows
            last = head["last_sequence"]
        equal(got, want)
        equal(last, one["next"] + 2)
        again = Client(r.port, "/?format=arrow_ipc&last_sequence=0")
        told(again, "subscribed")
        head = told(again, "data")
        equal((head["sequence"], head["last_sequence"], head["records"]), (one["next"], one["next"] + 2, 3))
        equal([x["k"] for x in arrow_rows(again.frame()[1])], [1, 2, 3])
        r.end()
    with Run(format="arrow_ipc") as r:
        c = Client(r.port)
        r.rows([(i, "x" * 100) for i in range(3000)])
        n, frames = 0, 0
        while n < 3000:
            head = told(c, "data")
            equal([x["k"] for x in arrow_rows(c.frame()[1])], list(range(n, n + head["records"])))
            n += head["records"]
            frames += 1
        assert frames < 300, frames
        j = Client(r.port)
        subscribe(j, filter="k = 7")
        r.rows([(7, "y"), (8, "z")])
        equal(told(j, "data")["records"], 1)
        equal(arrow_rows(j.frame()[1]), [{"k": 7, "t": "y"}])
        equal(r.end()["sent"], 3003)
    with Run(format="arrow_ipc", envelope="none") as r:
        c = Client(r.port)
        r.rows([(1, "a")])
        opcode, stream = c.frame()
        equal(opcode, BINARY)
        equal(arrow_rows(stream), [{"k": 1, "t": "a"}])
        r.end()


@case
def the_past_of_a_filter():
    """Rows are kept as far as replay.buffer.size goes, whoever asked for them then; what is gone is told."""
    with Run(replay__buffer__size="64 KiB") as r:
        live = Client(r.port)
        for i in range(0, 5000, 50):
            r.rows([(k, "x" * 20) for k in range(i, i + 50)])
            records(live, 50)
        c = Client(r.port)
        say(c, action="subscribe", filter="k % 10 = 0", last_sequence=0)
        next_ = told(c, "subscribed")["next"]
        gap = told(c, "gap")
        equal(gap["after"], 0)
        want = [s for s in range(gap["next"], next_) if (s - next_) % 10 == 0]
        got = data(c, len(want))
        equal([s for _, s, _ in got], want)
        assert 20 < len(want) < 400, (len(want), "some are kept, and not all")
        r.rows([(5000, "y")])
        equal(numbers(data(c, 1)), [5000])
        r.end()


@case
def rows_without_a_value():
    with Run() as r:
        c, good = Client(r.port), Client(r.port)
        subscribe(c, filter="10 / k > 1")
        r.rows([(1, "a"), (0, "b"), (2, "c"), (0, "d")])
        holds(told(c, "error")["message"], "[LAM-1203]", "left out")
        equal(numbers(data(c, 2)), [1, 2])
        equal(len(records(good, 4)), 4)
        r.rows([(3, "e")])
        equal(numbers(data(c, 1)), [3])
        r.end()


@case
def costly_filters_end():
    with Run() as r:
        c, good = Client(r.port), Client(r.port)
        bad = subscribe(c, filter="t ~ '^(x+)+$'")
        fine = subscribe(c, filter="k = 2")
        r.rows([(1, "x" * 40 + "z"), (2, "xxy")])
        m = told(c, "error")
        equal(m["subscription_id"], bad["subscription_id"])
        holds(m["message"], "has ended", "takes too long")
        equal([i for i, _, _ in data(c, 1)], [fine["subscription_id"]])
        equal(len(records(good, 2)), 2)
        r.end()
    with Run(replay__buffer__size="64 KiB") as r:
        good = Client(r.port)
        r.rows([(1, "x" * 40 + "z"), (2, "xxy")])
        records(good, 2)
        c = Client(r.port, "/?filter=t+~+%27%5e(x%2b)%2b$%27&last_sequence=0")
        told(c, "subscribed")
        holds(told(c, "error")["message"], "has ended", "takes too long")
        say(c, action="ping")
        told(c, "heartbeat")
        r.rows([(3, "y")])
        records(good, 1)
        r.end()
    with Run(max__filter__time__ms="1") as r:
        c, good = Client(r.port), Client(r.port)
        subscribe(c, filter=" OR ".join(f"md5(t || '{i}') LIKE '%ffff{i}%'" for i in range(40)))
        r.rows([(i, "x" * 500) for i in range(300)])
        m = told(c, "error")
        holds(m["message"], "has ended", "1 ms of a second")
        equal(len(records(good, 300)), 300)
        r.end()


@case
def bounds():
    with Run(max__subscriptions=3, max__views=5) as r:
        a, b = Client(r.port), Client(r.port)
        ids = [subscribe(a, filter=f"k = {i}")["subscription_id"] for i in range(3)]
        refused(a, "max.subscriptions", action="subscribe", filter="k = 9")
        subscribe(b, filter="k = 3")
        subscribe(b, filter="k = 0")
        d = Client(r.port)
        subscribe(d, filter="k = 5")
        refused(d, "max.views", action="subscribe", filter="k = 6")
        d.close()
        say(a, action="unsubscribe", subscription_id=ids[1])
        told(a, "unsubscribed")
        subscribe(b, filter="k = 4")
        while True:  # until the server has seen d go
            say(a, action="subscribe", filter="k = 7")
            if json.loads(a.frame()[1])["type"] == "subscribed":
                break
        say(a, action="unsubscribe", subscription_id=ids[2])
        told(a, "unsubscribed")
        for i in range(30):
            say(a, action="subscribe", filter="k +")
        got = [told(a, "error")["message"] for _ in range(30)]
        assert any("try again later" in m for m in got) and any("LAM-1000" in m for m in got), got
        a.close()
        r.rows([(0, "a"), (3, "b"), (4, "c")])
        equal(sorted(numbers(data(b, 3))), [0, 3, 4])
        r.end()


@case
def unfinished_messages():
    """All that clients may leave half said is 16 MiB; the connection of who goes beyond ends, and others go on."""
    with Run(per__client__buffer="1 MiB") as r:
        good = Client(r.port)
        half = []
        for _ in range(300):
            c = Client(r.port)
            c.send(frame(TEXT, b"x" * 65000, fin=False))
            half.append(c)
        say(good, action="ping")
        told(good, "heartbeat")
        for c in half[-30:]:
            equal(c.close_code(), (1013, "too many messages are under way"))
        for c in half:
            c.close()
        while True:  # until the server has seen them go
            c = Client(r.port)
            c.send(frame(TEXT, b'{"action":"ping"}' + b" " * 60000))
            opcode, _ = c.frame()
            c.close()
            if opcode == TEXT:
                break
        r.rows([(1, "a")])
        records(good, 1)
        r.end()


@case
def floods():
    """Whoever sends too much is closed with 1008, and others hardly see it."""
    with Run() as r:
        good = Client(r.port)
        for what in [frame(9, b""), frame(TEXT, b'{"action":"ping"}'), frame(0, b"", fin=False), frame(TEXT, b"{}")]:
            c = Client(r.port)
            if what[0] == 0:
                c.send(frame(TEXT, b"x", fin=False))
            try:
                for _ in range(200):
                    c.send(what * 100)
                    r.rows([(1, "a")])
                    records(good, 1)
            except OSError:
                pass
            try:
                code, reason = c.close_code()
                equal(code, 1008)
                holds(reason, "many messages" if b"action" in what else "", "")
            except OSError:
                pass  # it was reset, for what it sent last was not read any more
            r.rows([(2, "b")])
            equal(records(good, 1)[0][1]["k"], 2)
        r.end()


@case
def slow_with_a_filter():
    with Run(per__client__buffer="64 KiB") as r:
        live, slow = Client(r.port), Client(r.port, receive_buffer=4096)
        subscribe(slow, filter="k % 2 = 0")
        for i in range(0, 20000, 20):
            r.rows([(k, "x" * 1000) for k in range(i, i + 20)])
            records(live, 20)
        seen, loss = [], None
        while loss is None:
            m = json.loads(slow.frame()[1])
            if m["type"] == "backpressure":
                loss = m["dropped"]
            else:
                seen.append(m["data"]["k"])
        equal(seen, sorted(set(seen)))
        equal(len(seen) + loss, 10000, "what came and what is told to be lost is all")
        assert loss > 1000, loss
        r.rows([(20000, "y")])
        equal(numbers(data(slow, 1)), [20000])
        r.end()


@case
def many_come_and_go():
    with Run(replay__buffer__size="64 KiB", compression="deflate") as r:
        live = Client(r.port)
        stop = threading.Event()

        def come_and_go(seed):
            for i in range(40):
                c = Client(r.port, Sec__WebSocket__Extensions="permessage-deflate") if i % 2 else Client(r.port)
                for k in range(3):
                    say(c, action="subscribe", filter=f"k % {2 + (seed + i + k) % 5} = 0", **({"last_sequence": 0} if i % 3 == 0 else {}))
                if i % 5 == 0:
                    say(c, action="unsubscribe", subscription_id=str(i))
                if i % 7 == 0:
                    c.socket.recv(100)
                c.close()

        threads = [threading.Thread(target=come_and_go, args=(s,)) for s in range(4)]
        for t in threads:
            t.start()
        k = 0
        while any(t.is_alive() for t in threads):
            r.rows([(i, "x") for i in range(k, k + 20)])
            equal([v["k"] for _, v in records(live, 20)], list(range(k, k + 20)))
            k += 20
        for t in threads:
            t.join()
        r.end()


sys.exit(main("websocket_subscribe"))
