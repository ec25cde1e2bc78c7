#!/usr/bin/env python3
"""Runs acceptance material that lies outside the tree: run.py FOLDER.

FOLDER holds tools/ (run_cases.py, run_slt.py, run_suite.py), cases/, slt/, nexmark/ and arroyo/. What a later stage will
bring waits: adapter.json names the feature words (skip_needs) and the queries of the suites. At the end one table says what
waits for which word. SPDX-License-Identifier: Apache-2.0"""
import collections
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ADAPTER = os.path.join(HERE, "adapter.json")


def tool(folder, name, *args):
    """Shows the tool's output; gives its status and its last lines."""
    argv = [sys.executable, os.path.join(folder, "tools", name), "--adapter", ADAPTER, *args]
    print("--", name, *args, flush=True)
    return subprocess.run(argv).returncode


def records(folder, waiting, known):
    """The expression records; a known difference is shown with its reason and does not count."""
    argv = [sys.executable, os.path.join(folder, "tools", "run_slt.py"), "--adapter", ADAPTER]
    print("-- run_slt.py", flush=True)
    out = subprocess.run([*argv, "--only", "^(?!%s)" % "|".join(waiting)], capture_output=True, text=True)
    print(out.stdout + out.stderr, end="")
    failed = re.findall(r"^FAIL (\S+)", out.stdout, re.M)
    for record in failed:
        if record in known:
            print("known: %s: %s" % (record, known[record]))
    return bool(set(failed) - set(known)) or "all: " not in out.stdout


def waiting_cases(folder, skip):
    waits = collections.Counter()
    for name in sorted(os.listdir(os.path.join(folder, "cases"))):
        if not name.endswith(".case"):
            continue
        text = open(os.path.join(folder, "cases", name), encoding="utf-8").read()
        needs = re.search(r"^needs:(.*)$", text, re.M)
        words = [w for w in (needs.group(1).split() if needs else []) if w in skip]
        if words:
            waits[words[0]] += 1
    return waits


def suite(folder, name, waiting, data):
    """Runs the queries of a suite that do not wait."""
    listed = json.load(open(os.path.join(folder, name, "expected/MANIFEST.json" if name == "nexmark" else "manifest.json")))
    ready = [q for q in listed if q not in waiting]
    only = "^(" + "|".join(ready) + ")$"
    return tool(folder, "run_suite.py", "--suite", name, "--only", only, *(["--data", data] if data else []))


def nexmark_data(folder):
    data = os.path.abspath("build/acceptance/nexmark")
    if not os.path.exists(os.path.join(data, "meta.json")):
        os.makedirs(data, exist_ok=True)
        gen = os.path.join(folder, "nexmark", "gen.py")
        subprocess.run([sys.executable, gen, "--events", "20000", "--seed", "1", "--ts", "iso", "--out", data], check=True)
    return data


def main():
    folder = os.path.abspath(sys.argv[1])
    adapter = json.load(open(ADAPTER))
    bad = tool(folder, "run_cases.py", "--dir", os.path.join(folder, "cases")) != 0
    bad |= records(folder, adapter["slt_waiting"], adapter["slt_known"])
    waits = waiting_cases(folder, set(adapter["skip_needs"]))
    waits.update(adapter["slt_waiting"].values())
    for name, waiting in adapter["suites"].items():
        bad |= suite(folder, name, waiting, nexmark_data(folder) if name == "nexmark" else None) != 0
        for query, word in waiting.items():
            waits[word] += 1
    print("\nwaiting for a feature      cases, files and queries")
    for word, n in sorted(waits.items()):
        print("%-26s %d" % (word, n))
    print("acceptance:", "FAILED" if bad else "passed")
    sys.exit(bad)


main()
