#!/bin/sh
# Modules from outside: where they may come from, what is refused, rows both ways by name, the installed tree.
# modules.sh LAMINAR MODULES OPTIONS_DOC. SPDX-License-Identifier: Apache-2.0
set -u
L=$(realpath "$1") M=$(realpath "$2") D=$(realpath "$3")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
passed=0 failed=0
unset LAMINAR_MODULES

check() {
    name=$1 status=$2 want=$3
    shift 3
    got=$(timeout 20 "$@" 2>&1)
    rc=$?
    # shellcheck disable=SC2254
    case $got in
    $want) [ $rc = "$status" ] && passed=$((passed + 1)) && return ;;
    esac
    failed=$((failed + 1))
    printf 'FAILED %s: status %s, wanted %s\n%s\n' "$name" "$rc" "$status" "$got"
}

# An installed tree: the program, and modules in the library's folder.
mkdir -p usr/bin usr/lib/laminar/modules box here there
cp "$L" usr/bin/laminar
cp "$M"/spool.so "$M"/wire.so usr/lib/laminar/modules/
ln -s spool.so usr/lib/laminar/modules/spool_box.so
cp "$M"/ledger.so here/
I=$dir/usr/bin/laminar
echo 'int x;' >empty.c
cc -shared -fPIC -o empty.so empty.c
cat >abi.c <<'EOT'
#include <stddef.h>
struct { size_t size; unsigned abi; const char *name, *version; const void *sources, *sinks; } lam_module = {48, 77, "abi", "1", 0, 0};
EOT
cc -shared -fPIC -o abi.so abi.c

check loaded 0 '*ledger*ledger*1.0*here/ledger.so*' "$I" -c "LOAD './here/ledger.so'; SHOW CONNECTORS"
check twice 0 'note: nothing reads*' "$I" -c "LOAD './here/ledger.so'; LOAD '$dir/here/../here/ledger.so'"
check by_name 0 '*spool*usr/lib/laminar/modules/spool.so*' "$I" -c "LOAD 'spool'; SHOW CONNECTORS"
check by_link 1 "*the spool source has no option 'pat'*" "$I" -c "LOAD 'spool_box'; CREATE SOURCE s (k BIGINT) FROM SPOOL (pat = 'x')"
check no_name 1 "*\[LAM-1109\] there is no module 'nothing'*hint: *" "$I" -c "LOAD 'nothing'"
check not_in_folder 1 "*\[LAM-1109\] there is no module 'empty.so'*./empty.so*" "$I" -c "LOAD 'empty.so'"
check no_climbing 1 "*there is no connector '../../../empty'*" "$I" -c "CREATE SOURCE s (k BIGINT) FROM \"../../../empty\" (a = 1)"
check no_file 1 '*\[LAM-1109\] the module ./none.so: No such file*' "$I" -c "LOAD './none.so'"
check no_module 1 '*\[LAM-1109\] *empty.so is no module: it does not have the symbol lam_module*' "$I" -c "LOAD './empty.so'"
check no_elf 1 '*\[LAM-1109\] *empty.c is no module*' "$I" -c "LOAD './empty.c'"
check no_folder 1 '*\[LAM-1109\] *here is no file*' "$I" -c "LOAD './here'"
check wrong_abi 1 '*abi.so is made for version 77 of the connector interface, and this program has version 1*hint: *' "$I" -c "LOAD './abi.so'"
chmod o+w here/ledger.so
check writable 1 '*may be written by everybody*chmod o-w*' "$I" -c "LOAD './here/ledger.so'"
chmod o-w here/ledger.so
check taken 1 "*a source connector 'spool', which *modules/spool.so has already*" sh -c "cp usr/lib/laminar/modules/spool.so there/s.so
'$I' -c \"LOAD 'spool'; LOAD './there/s.so'\""
check outside 1 '*ledger.so lies outside of *there*' env LAMINAR_MODULES=there "$I" -c "LOAD './here/ledger.so'"
check outside_link 1 '*ledger.so lies outside of *there*' sh -c "ln -s ../here/ledger.so there/l.so; LAMINAR_MODULES=there '$I' -c \"LOAD './there/l.so'\""
check outside_prefix 1 '*lies outside of *' sh -c "mkdir her; LAMINAR_MODULES=her '$I' -c \"LOAD './here/ledger.so'\""
check inside 0 'note: nothing reads*' env LAMINAR_MODULES="$dir/here" "$I" -c "LOAD './here/ledger.so'; LOAD 'ledger'"
check only_there 1 "*there is no connector 'spool'*" env LAMINAR_MODULES="$dir/here" "$I" -c "CREATE SOURCE s (k BIGINT) FROM SPOOL (path = 'x')"
check bad_folder 1 '*the folder of modules nowhere: No such file*' env LAMINAR_MODULES=nowhere "$I" -c "LOAD './here/ledger.so'"
check in_transaction 0 'note: nothing reads*' "$I" -c "BEGIN; LOAD 'spool'; COMMIT"
check broken_name 1 '*modules/broken.so is no module*' sh -c "echo x >usr/lib/laminar/modules/broken.so; '$I' -c \"CREATE SOURCE s (k BIGINT) FROM BROKEN (a = 1)\""

check documented 0 '*### Source: ledger*| `follow` | boolean | `false` |*### Sink: ledger*' "$D" ./here/ledger.so
check no_document 1 '*empty.so is no module*' "$D" ./empty.so
check names_once 1 '*hint: there are: file, generator, mock, mock.blocking, stdin, blackhole, stdout, *spool, *wire' "$I" -c "CREATE SINK s FROM x INTO NOBODY"
check near_module 1 "*hint: did you mean 'spool'?" "$I" -c "CREATE SINK s FROM x INTO SPOOLL"
check not_loaded 0 "*spool?module*Not loaded; its options are shown after LOAD 'spool'.*modules/spool.so*" "$I" -c "SHOW CONNECTORS"
check loaded_once 1 '0' sh -c "'$I' -c \"LOAD 'spool'; SHOW CONNECTORS\" 2>/dev/null | grep -c '^spool[a-z_]*.module'"

# Rows both ways, the connector named and nothing loaded.
cat >out.sql <<'EOT'
CREATE SOURCE g (k BIGINT, t VARCHAR, ts TIMESTAMP) FROM GENERATOR (rows = 5000, fields = 't: choice(a, b) null(0.2)');
CREATE SINK a FROM g INTO SPOOL (path = 'box', batch.rows = 1000);
CREATE SINK b FROM g INTO FILE (path = 'want.csv');
EOT
cat >in.sql <<'EOT'
CREATE SOURCE s (k BIGINT, t VARCHAR, ts TIMESTAMP) FROM SPOOL (path = 'box');
CREATE SINK c FROM s INTO FILE (path = 'got.csv');
EOT
check write 0 '' "$I" run out.sql
check read 0 '' "$I" run in.sql
check same 0 '' cmp want.csv got.csv
check secret 0 '*note.key = '"'***'"'*' "$I" -c "LOAD './here/ledger.so'; CREATE SOURCE p (k BIGINT, t VARCHAR) FROM GENERATOR (rows = 1); CREATE SINK l FROM p INTO LEDGER (path = 'x', note.key = 'hush'); SHOW CREATE SINK l"

echo "modules: $passed passed, $failed failed"
[ $failed = 0 ]
