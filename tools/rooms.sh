#!/bin/sh
# Prints which room includes which, and fails on an edge that does not point down the layers of
# docs/ARCHITECTURE.md. Rooms of one layer do not know each other. SPDX-License-Identifier: Apache-2.0
set -eu
layer() {
    case $1 in
    base) echo 0 ;; arrow | net) echo 1 ;; sql | expr | state) echo 2 ;;
    plan | log | checkpoint | format) echo 3 ;; operator | connector) echo 4 ;;
    runtime) echo 5 ;; db) echo 6 ;; server) echo 7 ;; cli) echo 8 ;; *) echo 99 ;;
    esac
}
bad=0
for edge in $(grep -rhoP --include='*.[chy]' --include='*.re' --include='*.cc' -H '^#include "\K[a-z]+(?=/)' src |
    sed -E 's#src/([a-z]+)/[^:]*:#\1>#' | sort -u); do
    from=${edge%>*} to=${edge#*>}
    [ "$from" = "$to" ] && continue
    if [ "$(layer "$from")" -gt "$(layer "$to")" ]; then
        echo "$from -> $to"
    else
        echo "$from -> $to   POINTS UP"
        bad=1
    fi
done
if grep -n '#include "' src/cli/*.[ch] 2>/dev/null | grep -vE '"(laminar\.h|laminar_connector\.h|cli/)'; then
    echo "cli is a customer of include/ only"
    bad=1
fi
exit $bad
