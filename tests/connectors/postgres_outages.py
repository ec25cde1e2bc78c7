#!/usr/bin/python3
"""The PostgreSQL sink through outages: servers that die, hang, are full or read-only. postgres_outages.py BUILD [PATTERN].
SPDX-License-Identifier: Apache-2.0"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from postgres_world import Drive, Skip, case, commit_unanswered, equal, holds, run_cases, sink, wait_until


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


@case
def visible_within_250_ms(w):
    w.server.psql("CREATE TABLE seen (k bigint)")
    p = w.start("CREATE SOURCE t (k BIGINT) FROM STDIN (format = 'json');" + sink(w, "seen"), stdin=subprocess.PIPE)
    s = w.server.session()
    took = []
    for k in range(1, 9):
        p.stdin.write('{"k": %d}\n' % k)
        p.stdin.flush()
        at = time.monotonic()
        wait_until(f"row {k}", lambda: s.ask("SELECT count(*) FROM seen") == str(k), 10)
        took.append((time.monotonic() - at) * 1000)
    s.done()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    took = sorted(took[1:])  # the first has to connect
    print(f"  visible after {took[0]:.0f} to {took[-1]:.0f} ms")
    if took[-1] > 250:
        raise AssertionError(f"visible after {took} ms")


sys.exit(run_cases("postgres_outages"))
