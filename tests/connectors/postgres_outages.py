#!/usr/bin/python3
"""The PostgreSQL sink through outages: servers that die, hang, are full or read-only. postgres_outages.py BUILD [PATTERN].
SPDX-License-Identifier: Apache-2.0"""
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from postgres_world import Drive, Proxy, Skip, case, commit_unanswered, equal, holds, run_cases, sink, wait_until


def survives(w, table, how, prepare, options, exact):
    if prepare:
        w.server.psql(prepare)
    n = 120000
    p = w.start(f"CREATE SOURCE t (k BIGINT, v DOUBLE) FROM GENERATOR (rows = {n}, rows.per.second = 60000, fields = 'k: sequence(1, 1)');" + sink(w, table, **options))
    count = lambda: int(w.server.psql(f"SELECT count(*) FROM {table}", ok=False) or 0)
    for at in [1, 40000, 80000]:
        wait_until(f"{at} rows", lambda: count() >= at)
        w.server.stop(how)
        w.server.start()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    got = w.server.psql(f"SELECT count(DISTINCT k), sum(DISTINCT k) FROM {table}")
    equal(got, f"{n}|{n * (n + 1) // 2}", "rows after the outages")
    if exact:
        equal(count(), n, "no row twice")


@case
def killed_while_appending(w):
    survives(w, "killed", "immediate", "CREATE TABLE killed (k bigint, v double precision)", {}, False)


@case
def restarted_while_appending(w):
    survives(w, "restarted", "fast", "CREATE TABLE restarted (k bigint, v double precision)", {}, False)


@case
def killed_with_a_key(w):
    survives(w, "keyed", "immediate", "CREATE TABLE keyed (k bigint PRIMARY KEY, v double precision)", {}, True)


@case
def killed_while_upserting(w):
    survives(w, "ukilled", "immediate", "CREATE TABLE ukilled (k bigint PRIMARY KEY, v double precision)", {"write__mode": "upsert"}, True)


@case
def sessions_terminated(w):
    w.server.psql("CREATE TABLE terminated (k bigint PRIMARY KEY)")
    n = 60000
    p = w.start(f"CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = {n}, rows.per.second = 30000, fields = 'k: sequence(1, 1)');"
                + sink(w, "terminated", application__name="victim"))
    s = w.server.session()
    while p.poll() is None:
        s.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim' AND state <> 'idle' AND random() < 0.02")
    s.done()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    equal(w.server.psql("SELECT count(*), sum(k) FROM terminated"), f"{n}|{n * (n + 1) // 2}")


@case
def server_comes_later(w):
    w.server.psql("CREATE TABLE later (k bigint)")
    w.server.stop("fast")
    p = w.start("CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 10, fields = 'k: sequence(1, 1)');" + sink(w, "later"))
    try:
        p.wait(0.5)
        raise AssertionError("ended without a server: " + p.stderr.read())
    except subprocess.TimeoutExpired:
        w.server.start()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    equal(w.server.psql("SELECT count(*) FROM later"), "10")


@case
def commit_in_doubt(w):
    w.server.psql("CREATE TABLE doubt (k bigint PRIMARY KEY, t text); CREATE TABLE doubt2 (k bigint, t text)")
    for table, want in [("doubt", 1000), ("doubt2", 2000)]:  # without a key nobody can know, and at least once it is
        d = Drive(w, table__name=table)
        d.does("a open 1 plain", "OK", "a range 0 1000", "OK 1000")
        holds(commit_unanswered(w, d, "a flush"), "RETRY")
        d.does("a flush", "OK", "a range 1000 10", "OK 10", "a flush", "OK", "a close", "OK")
        equal(w.server.psql(f"SELECT count(*), count(DISTINCT k) FROM {table}"), f"{want + 10}|1010", table)
        d.done()


@case
def commit_that_did_not_happen(w):
    """All was sent, and the server died on it. A row that was never good is not taken for one that is there."""
    w.server.psql("CREATE TABLE undone (k bigint PRIMARY KEY, t text); INSERT INTO undone VALUES (2, 'before');"
                  "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$;"
                  "CREATE TRIGGER slow BEFORE INSERT ON undone FOR EACH ROW EXECUTE FUNCTION slow()")
    d = Drive(w, table__name="undone", statement__timeout="0")
    d.does("a open 1 plain", "OK", "a write 1:a 2:b 3:c", "OK 3")
    d.say("a flush")
    wait_until("it waits", lambda: w.server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1")
    w.server.stop("immediate")
    w.server.start()
    holds(d.answer(), "RETRY")
    w.server.psql("DROP TRIGGER slow ON undone")
    d.does("a flush", "POISON 1", "a flush", "OK", "a close", "OK")
    equal(w.server.psql("SELECT * FROM undone ORDER BY k"), "1|a\n2|before\n3|c")
    d.done()


@case
def commit_in_doubt_of_the_instance_before(w):
    """Closed with a COMMIT that nobody heard of, as when a call takes too long: the next instance knows which rows may be there."""
    w.server.psql("CREATE TABLE doubt3 (k bigint PRIMARY KEY, t text)")
    d = Drive(w, table__name="doubt3")
    d.does("a open 1 plain", "OK", "a range 0 1000", "OK 1000")
    holds(commit_unanswered(w, d, "a flush"), "RETRY")
    d.does("a close", "OK", "a open 1 plain", "OK", "a range 0 600", "OK 600", "a flush", "OK", "a range 600 400", "OK 400", "a range 1000 10", "OK 10", "a flush", "OK",
           "a write 5:twice", "OK 1", "a flush", "POISON 0", "a flush", "OK", "a close", "OK")
    equal(w.server.psql("SELECT count(*), count(*) FILTER (WHERE t = 'row ' || k) FROM doubt3"), "1010|1010")
    d.does("a open 1 plain", "OK", "a range 2000 9", "OK 9", "a write 2008:poison", "OK 1", "a flush", "POISON 9")  # the COMMIT is a message of its own
    holds(commit_unanswered(w, d, "a flush"), "RETRY")
    d.does("a flush", "OK", "a close", "OK")
    equal(w.server.psql("SELECT count(*) FROM doubt3"), "1019")
    d.done()


@case
def locked_table(w):
    w.server.psql("CREATE TABLE locked (k bigint)")
    s = w.server.session()
    s.ask("BEGIN; LOCK TABLE locked")
    p = w.start("CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 10, fields = 'k: sequence(1, 1)');" + sink(w, "locked", statement__timeout="200 ms"))
    log = w.server.folder + "/log"
    wait_until("a statement is stopped by its timeout twice", lambda: open(log).read().count("canceling statement due to statement timeout") >= 2)
    s.ask("COMMIT")
    s.done()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    equal(w.server.psql("SELECT count(*) FROM locked"), "10")


@case
def canceled_while_it_waits(w):
    w.server.psql("CREATE TABLE held (k bigint)")
    s = w.server.session()
    s.ask("BEGIN; LOCK TABLE held")
    p = w.start("CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 10, fields = 'k: sequence(1, 1)');" + sink(w, "held", statement__timeout="0 s"))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    wait_until("it waits for the lock", lambda: s.ask(waiting) == "1")
    p.terminate()
    w.finish(p, 10)
    wait_until("the server's session ends too", lambda: s.ask(waiting) == "0", 10)
    s.done()


def stream(w, rows, a_second, table, **options):
    return w.start(f"CREATE SOURCE t (k BIGINT, v DOUBLE) FROM GENERATOR (rows = {rows}, rows.per.second = {a_second}, fields = 'k: sequence(1, 1)');"
                   "CREATE STREAM bad (k BIGINT, error VARCHAR);" + sink(w, table, dead_letter="bad", **options), ["--print", "bad"])


def all_there(w, p, table, rows):
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    equal(out.split("\n")[1:], [""], "dead letters")
    equal(w.server.psql(f"SELECT count(*), count(DISTINCT k), sum(k) FROM {table}"), f"{rows}|{rows}|{rows * (rows + 1) // 2}")


@case
def cut_connections(w):
    """In the middle of COPYs, again and again."""
    w.server.psql("CREATE TABLE cut (k bigint PRIMARY KEY, v double precision)")
    proxy = Proxy(w.server.port)
    draw = random.Random(3)
    proxy.cut_after = lambda: draw.randrange(1000, 900000)
    p = stream(w, 60000, 40000, "cut", hostname="127.0.0.1", port=proxy.port, retry__first="10 ms")
    all_there(w, p, "cut", 60000)
    proxy.done()
    if proxy.cuts < 3:
        raise AssertionError(f"only {proxy.cuts} cuts")


@case
def stalled_connections(w):
    """Nothing comes through and nobody hangs up. Calls end by their deadline, whoever asks the server to stop does not hang either, and
    COMMITs that went through after all are known by the rows that are there."""
    w.server.psql("CREATE TABLE stalled (k bigint PRIMARY KEY, v double precision)")
    proxy = Proxy(w.server.port)
    p = stream(w, 40000, 20000, "stalled", hostname="127.0.0.1", port=proxy.port, retry__first="10 ms", retry__max="100 ms", write__timeout="300 ms", open__timeout="300 ms")
    for at in [1, 15000]:
        wait_until(f"{at} rows", lambda: int(w.server.psql("SELECT count(*) FROM stalled")) >= at)
        proxy.flow.clear()
        before = proxy.accepted
        wait_until("it connects again, and once more", lambda: proxy.accepted >= before + 3)
        proxy.flow.set()
    all_there(w, p, "stalled", 40000)
    p = stream(w, 1000000000, 20000, "stalled", hostname="127.0.0.1", port=proxy.port, write__mode="upsert")
    wait_until("rows", lambda: int(w.server.psql("SELECT count(*) FROM stalled")) > 40000)
    proxy.flow.clear()
    p.terminate()  # a database that closes does not wait for the server
    rc, out, err = w.finish(p, 30)
    equal(rc, 143, out + err)
    proxy.done()


@case
def rows_that_others_lock(w):
    w.server.psql("CREATE TABLE rows_locked (k bigint PRIMARY KEY, v double precision); INSERT INTO rows_locked SELECT k, -1 FROM generate_series(1, 100) k")
    s = w.server.session()
    s.ask("BEGIN; UPDATE rows_locked SET v = -2 WHERE k = 50")
    p = stream(w, 100, 100000, "rows_locked", write__mode="upsert", statement__timeout="100 ms", retry__first="10 ms")
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid' AND application_name = 'laminar'"
    for what, n in [("it waits for the row", "1"), ("the server stops it", "0"), ("it waits again", "1")]:
        wait_until(what, lambda: w.server.psql(waits) == n)
    s.ask("COMMIT")
    s.done()
    all_there(w, p, "rows_locked", 100)
    equal(w.server.psql("SELECT count(*) FROM rows_locked WHERE v < 0"), "0")


@case
def a_deadlock(w):
    """The server ends one of two that wait for each other. When it is the sink, it tries again."""
    w.server.psql("CREATE TABLE dead (k bigint PRIMARY KEY, v double precision); INSERT INTO dead VALUES (1, -1), (2, -1)")
    s = w.server.session()
    s.ask("SET deadlock_timeout = '60 s'; BEGIN; UPDATE dead SET v = -2 WHERE k = 2")
    p = stream(w, 2, 100000, "dead", write__mode="upsert")
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid' AND application_name = 'laminar'"
    wait_until("it waits for the row", lambda: w.server.psql(waits) == "1")
    s.ask("UPDATE dead SET v = -2 WHERE k = 1; COMMIT")
    s.done()
    all_there(w, p, "dead", 2)
    holds(open(w.server.folder + "/log").read(), "deadlock detected")
    equal(w.server.psql("SELECT count(*) FROM dead WHERE v < 0"), "0")


@case
def read_only(w):
    """From the start, and while it is connected."""
    def be(on):
        w.server.psql(f"ALTER SYSTEM SET default_transaction_read_only = {on}; SELECT pg_reload_conf()")
        wait_until("it is read", lambda: w.server.psql("SHOW default_transaction_read_only") == on)

    w.server.psql("CREATE TABLE ro (k bigint PRIMARY KEY, v double precision)")
    log = w.server.folder + "/log"
    refusals = lambda: open(log).read().count("cannot execute")
    be("on")
    p = stream(w, 30000, 20000, "ro", retry__first="10 ms", retry__max="50 ms")
    time.sleep(0.3)
    equal(p.poll(), None, "it waits")
    be("off")
    wait_until("rows", lambda: int(w.server.psql("SELECT count(*) FROM ro")) > 0)
    before = refusals()
    be("on")
    wait_until("a write is refused", lambda: refusals() > before)
    be("off")
    all_there(w, p, "ro", 30000)


@case
def a_standby(w):
    """It takes no rows, until it is promoted."""
    w.server.psql("CREATE TABLE there (k bigint PRIMARY KEY, v double precision)")
    standby = w.server.standby()
    try:
        port, folder = standby.port, standby.folder
        p = stream(w, 1000, 100000, "there", hostname=folder, port=port, retry__first="10 ms", retry__max="50 ms")
        wait_until("it has been there", lambda: "read-only" in open(standby.folder + "/log").read() or standby.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'laminar'") != "0" or p.poll() is not None)
        equal(p.poll(), None, "it waits")
        standby.do("pg_ctl", "-D", standby.data, "-w", "promote")
        rc, out, err = w.finish(p)
        equal(rc, 0, out + err)
        equal(standby.psql("SELECT count(*), sum(k) FROM there"), "1000|500500")
        equal(w.server.psql("SELECT count(*) FROM there"), "0")
    finally:
        standby.done()


@case
def a_full_disk(w):
    """A tablespace without room: rows wait, and all go in when there is some."""
    folder = os.path.join(w.server.folder, "small")
    os.mkdir(folder)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True).returncode:
        raise Skip("only who may mount a file system can fill one up")
    try:
        os.chmod(folder, 0o777)
        subprocess.run(w.server.before + ["mkdir", folder + "/space"], check=True)
        w.server.psql(f"CREATE TABLESPACE small LOCATION '{folder}/space'")
        w.server.psql("CREATE TABLE filled (k bigint, v double precision) TABLESPACE small; CREATE TABLE ballast (t text) TABLESPACE small;"
                      "INSERT INTO ballast SELECT repeat(md5(i::text), 20) FROM generate_series(1, 4200) i")
        log = w.server.folder + "/log"
        full = lambda: open(log).read().count("No space left on device")
        p = stream(w, 30000, 1000000, "filled", retry__first="10 ms", retry__max="50 ms")
        wait_until("the disk is full, twice", lambda: full() >= 2)
        w.server.psql("DROP TABLE ballast; CHECKPOINT")
        all_there(w, p, "filled", 30000)
        w.server.psql("DROP TABLE filled; DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@case
def r11_rows_are_visible_by_their_deadline(w):
    """Nothing but the deadline of the first row makes them visible: more would have to come, or the input end, and they do not. How long it takes is
    told and not judged; the deadline itself is kept on a simulated clock (test_deliver, r4)."""
    w.server.psql("CREATE TABLE seen (k bigint); CREATE TABLE late (k bigint)")
    p = w.start("CREATE SOURCE t (k BIGINT) FROM STDIN (format = 'json');" + sink(w, "seen") + sink(w, "late", flush__interval="1 h").replace("SINK s", "SINK z"), stdin=subprocess.PIPE)
    s = w.server.session()
    took = []
    for k in range(1, 9):
        p.stdin.write('{"k": %d}\n' % k)
        p.stdin.flush()
        at = time.monotonic()
        wait_until(f"row {k}", lambda: s.ask("SELECT count(*) FROM seen") == str(k))
        took.append((time.monotonic() - at) * 1000)
    equal(s.ask("SELECT count(*) FROM late"), "0", "what waits for an hour is not there")
    s.done()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    equal(w.server.psql("SELECT count(*) FROM late"), "8", "the end of input flushes")
    took = sorted(took[1:])  # the first has to connect
    print(f"  visible after {took[0]:.0f} to {took[-1]:.0f} ms")
    d = Drive(w, table__name="seen")
    deadline = int(d.ask("a deadline").split()[1])
    d.done()
    equal(0 < deadline <= 200000, True, f"by default {deadline} us, which leaves 50 ms for the COMMIT")


sys.exit(run_cases("postgres_outages"))
