#!/usr/bin/env python3
"""Lists functions of src/ that no test has run: make unused. Reads the coverage data of a build with --coverage.
usage: unused.py BUILD_DIR. SPDX-License-Identifier: Apache-2.0"""
import glob, gzip, json, os, subprocess, sys, tempfile

build = os.path.abspath(sys.argv[1])
runs = {}
with tempfile.TemporaryDirectory() as out:
    notes = glob.glob(build + "/src/**/*.gcno", recursive=True)
    for note in notes:
        subprocess.run(["gcov", "--json-format", "--object-directory", os.path.dirname(note), note], cwd=out,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        for name in glob.glob(out + "/*.gz"):
            for file in json.load(gzip.open(name))["files"]:
                path = os.path.relpath(file["file"]) if os.path.isabs(file["file"]) else file["file"]
                if not path.startswith("src/"):
                    continue
                for f in file["functions"]:
                    key = (path, f["start_line"], f["name"])
                    runs[key] = runs.get(key, 0) + f["execution_count"]
            os.unlink(name)
idle = sorted(k for k, n in runs.items() if not n)
for path, line, name in idle:
    print(f"{path}:{line}: {name}")
print(f"{len(idle)} of {len(runs)} functions were not run")
