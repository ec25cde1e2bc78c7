#!/bin/sh
# Checks the Spin models: each holds, and each of its broken variants fails. A model names its variants in its head
# comment as -DNAME. Works in the folder given. SPDX-License-Identifier: Apache-2.0
set -eu
here=$(pwd)
out=${1:-build/models}
mkdir -p "$out"
cd "$out"
bad=0
check() { # model, flag, what is expected
    spin -a ${2:+"$2"} "$here/models/$1.pml" >spin.log 2>&1 || { cat spin.log; exit 1; }
    gcc -O2 -w -DSAFETY -o pan pan.c
    ./pan -m1000000 >pan.log 2>&1 || true
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
    result=fails
    grep -q 'errors: 0' pan.log && result=holds
    grep -q 'max search depth too small' pan.log && result='was not searched whole'
    printf '%-6s %-18s %s (%s states)\n' "$1" "${2:-as it is}" "$result" "$states"
    [ "$result" = "$3" ] || { echo "    expected: $3"; bad=1; }
}
for path in "$here"/models/*.pml; do
    model=$(basename "$path" .pml)
    check "$model" '' holds
    for flag in $(sed '/\*\//q' "$path" | grep -o -- '-D[A-Z_]*'); do check "$model" "$flag" fails; done
done
exit $bad
