#!/bin/sh
# Runs docs/writing_connectors.md as it is printed: its pieces of spool.c are the file, its commands run, and what they print is what
# stands there. tutorial.sh LAMINAR INCLUDE. SPDX-License-Identifier: Apache-2.0
set -eu
laminar=$(realpath "$1") include=$(realpath "$2") here=$(dirname "$(realpath "$0")")
page=$here/../../docs/writing_connectors.md
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir bin
ln -s "$laminar" bin/laminar
export PATH="$dir/bin:$PATH" CPATH="$include"
# Files are the blocks that name one; commands and what they print go to run.sh and wanted.
awk '/^```/ { if (block) { block = ""; next }
              block = substr($0, 4); split(block, w, " "); out = w[2] ? w[2] : w[1] == "sh" ? "run.sh" : "wanted"
              if (w[2] == "spool.c" && seen++) print "" > out
              next }
     block { print > out }' "$page"
diff "$here/spool.c" spool.c
timeout 60 sh -eu run.sh >got 2>&1 || { cat got; exit 1; }
diff wanted got
