#!/bin/sh
# bad_input.sh PROGRAM [PATTERN]: bad input and bad surroundings, as the program meets them. Each case runs in a folder of its own
# and says its name; the last line counts them. PATTERN: only cases whose names contain it. SPDX-License-Identifier: Apache-2.0
set -u
case $1 in /*) program=$1 ;; *) program=$PWD/$1 ;; esac
pattern=${2:-}
cases=$(cd "$(dirname "$0")" && pwd)
top=$(mktemp -d "${TMPDIR:-/tmp}/laminar-cli.XXXXXX")
trap 'rm -rf "$top"' EXIT
trap 'exit 1' INT TERM
passed=0 failed=0 skipped=0 name= bad=0

# ---- what cases use ---------------------------------------------------------------------------------------------

finish() {
    [ -n "$name" ] || return 0
    if [ "$bad" = skip ]; then
        skipped=$((skipped + 1))
    elif [ "$bad" = 0 ]; then
        passed=$((passed + 1))
        echo "$name ok"
    else
        failed=$((failed + 1))
        echo "$name FAILED"
    fi
    name=
}

# Begins a case. Returns false when it is not wanted.
begin() {
    finish
    case $1 in *"$pattern"*) ;; *) return 1 ;; esac
    name=$1 bad=0
    folder=$top/$(echo "$name" | tr -c 'a-z0-9\n' '_')
    mkdir "$folder" && cd "$folder" || exit 1
}

skip() {
    echo "$name skipped: $1"
    bad=skip
}

wrong() {
    bad=1
    echo "  $1"
    echo "  -- stdout"
    head -c 1000 out | head -20
    echo "  -- stderr"
    head -c 1000 err | head -20
}

# Runs the program with stdin from nowhere; its output is in `out`, its messages in `err`, its status in $status.
laminar() {
    timeout -k 5 60 "$program" "$@" >out 2>err </dev/null
    status=$?
}

# The same with stdin from a file.
laminar_in() {
    input=$1
    shift
    timeout -k 5 60 "$program" "$@" >out 2>err <"$input"
    status=$?
}

status_is() { [ "$status" = "$1" ] || wrong "status $status, not $1"; }
says() { grep -qF -- "$1" err || wrong "stderr does not say: $1"; }
says_not() { ! grep -qF -- "$1" err || wrong "stderr says: $1"; }
prints() { grep -qF -- "$1" out || wrong "stdout does not have: $1"; }
prints_not() { ! grep -qF -- "$1" out || wrong "stdout has: $1"; }
# All of stdout, given line by line.
prints_lines() {
    printf '%s\n' "$@" >want
    cmp -s want out || wrong "stdout is not: $*"
}
# A refusal: status 1, the code, and each further word on stderr; nothing like a crash.
refused() {
    status_is 1
    says "[LAM-$1]"
    shift
    for word; do says "$word"; done
}
usage() {
    status_is 2
    for word; do says "$word"; done
}
# A value of the row that SHOW printed as csv: column name, value.
shows() {
    line=$(grep -n -- "$1" out | head -1 | cut -d: -f1)
    [ -n "$line" ] || { wrong "no column $1"; return; }
    at=$(sed -n "${line}p" out | tr ',' '\n' | grep -nx -- "$1" | cut -d: -f1)
    got=$(sed -n "$((line + 1))p" out | cut -d, -f"$at")
    [ "$got" = "$2" ] || wrong "$1 is '$got', not '$2'"
}

for part in usage statements variables decode files sinks streams signals; do
    . "$cases/bad/$part.sh"
done
finish
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
