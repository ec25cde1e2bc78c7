#!/bin/sh
# The program from outside: options, exit statuses, streams. run.sh LAMINAR. SPDX-License-Identifier: Apache-2.0
set -u
L=$(realpath "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
passed=0 failed=0
unset NO_COLOR

# check NAME STATUS WANTED-OUTPUT COMMAND...: output is stdout and stderr together; WANTED is a pattern of sh.
check() {
    name=$1 status=$2 want=$3
    shift 3
    got=$("$@" 2>&1)
    rc=$?
    # shellcheck disable=SC2254
    case $got in
    $want) [ $rc = "$status" ] && passed=$((passed + 1)) && return ;;
    esac
    failed=$((failed + 1))
    printf 'FAILED %s: status %s, wanted %s\n%s\n' "$name" "$rc" "$status" "$got"
}

cat >t.csv <<'EOF'
k,v,ts
a,1,2024-01-01 00:00:01
b,,2024-01-01 00:00:02
"c, d",3,2024-01-01 00:00:12
EOF
cat >t.sql <<'EOF'
CREATE SOURCE t (k VARCHAR, v BIGINT, ts TIMESTAMP, WATERMARK FOR ts) FROM FILE (path = '${FILE:-t.csv}', format = 'csv');
CREATE STREAM s AS SELECT k, v FROM t;
CREATE STREAM w AS SELECT window_start, COUNT(*) AS n FROM t GROUP BY TUMBLE(ts, INTERVAL '10' SECOND);
CREATE STREAM q AS SELECT k, 10 / (v - 3) AS q FROM t;
EOF

check help 0 'usage: laminar*' "$L" --help
check version 0 'laminar [0-9]*' "$L" --version
check command 0 "a	b
1	x" "$L" -c "SELECT 1 AS a, 'x' AS b"
printf '1,x,5\n2,y,6\n' >bare.csv
check some_columns_without_header 0 "c
5
6" "$L" -c "CREATE SOURCE s (a BIGINT, b VARCHAR, c BIGINT) FROM FILE (path = 'bare.csv', header = 'false'); SELECT c FROM s"
check unknown_option 2 '*unknown option --prnt*' "$L" run t.sql --prnt s
check missing_value 2 '*--print needs a value*' "$L" run t.sql --print
check bad_format 2 '*--format takes one of*' "$L" run t.sql --format xml
check bad_number 2 '*--batch takes a whole number*' "$L" run t.sql --batch 0
check no_script 2 '*run needs a script*' "$L" run
check directory 2 '*directories are not supported*' "$L" run t.sql DIR
check no_file 1 '*cannot read nowhere.sql*' "$L" run nowhere.sql
check unknown_stream 1 '--print nothing: \[LAM-1101\]*' "$L" run t.sql --print nothing
check syntax 1 'command:1:10: \[LAM-1000\]*' "$L" -c 'SELECT 1+;'
check run_error 1 'command:1:1: \[LAM-1203\]*' "$L" -c 'SELECT 1 / 0'
check csv 0 'k,v
a,1
b,
"c, d",3' "$L" run t.sql --print s --format csv
check tsv 0 'k	v
a	1
b	
c, d	3' "$L" run t.sql --print s
check json 0 '{"k":"a","v":1}
{"k":"b","v":null}
{"k":"c, d","v":3}' "$L" run t.sql --print s --format jsonlines
check box 0 '┌──*(3 rows)' "$L" run t.sql --print s --format box
check print_source 0 'k	v	ts
a	1	2024*' "$L" run t.sql --print t
check batches 0 'k	v
a	1
b	
c, d	3' "$L" run t.sql --print s --batch 1 --workers 3
check flush 0 'window_start	n
2024-01-01 00:00:00	2
2024-01-01 00:00:10	1' "$L" run t.sql --print w
check hold 0 'window_start	n
2024-01-01 00:00:00	2' "$L" run t.sql --print w --eof hold
check on_error_skip 0 'k	q
a	-5
b	
warning: stream "q": row errors: 1*' "$L" run t.sql --print q
check on_error_null 0 'k	q
a	-5
b	
c, d	
warning: stream "q": row errors: 1*' "$L" run t.sql --print q --on-error null
check on_error_fail 1 '*\[LAM-1203\]*division by zero*' "$L" run t.sql --print q --on-error fail
cp t.csv other.csv
check set 0 'k	v*' "$L" run t.sql --print s --set FILE=other.csv
check set_missing 1 '*\[LAM-5010\]*none.csv*' "$L" run t.sql --print s --set FILE=none.csv
check silent 0 'note: nothing reads*' "$L" run t.sql
check quiet 0 '' "$L" run t.sql --quiet
check stdin 0 'x
1
y
2' sh -c "echo 'SELECT 1 AS x; SELECT 2 AS y;' | '$L'"
check dash 0 'x
1' sh -c "echo 'SELECT 1 AS x' | '$L' run -"
cat >r.jsonl <<'EOF'
{"source": "t", "row": {"k": "z", "v": 9, "ts": "2024-01-01 00:00:30"}}
{"source": "t", "watermark": 1704067260000}
EOF
check replay 0 'window_start	n
2024-01-01 00:00:30	1' "$L" run t.sql --print w --replay r.jsonl

# Without end: what a signal or a reader that goes does.
cat >u.sql <<'EOF'
CREATE SOURCE u (id BIGINT) FROM GENERATOR (rows_per_second = 1000, fields = 'id: sequence(1, 1)');
EOF
check interrupt 130 'id
1
*' timeout --preserve-status -s INT 1 "$L" run u.sql --print u
check terminate 143 'id
1
*' timeout --preserve-status -s TERM 1 "$L" run u.sql --print u
check closed_pipe 0 'id
1
0' sh -c "(timeout 20 '$L' run u.sql --print u; echo \$? >status) | head -2; cat status"

# SUBSCRIBE: rows as they come, until the end or an interrupt.
check subscribe 0 'k	v
a	1
c, d	3' sh -c "(cat t.sql; echo 'SUBSCRIBE s WHERE v IS NOT NULL;') | '$L' run -"
check subscribe_box 0 'k	v
a	1*' sh -c "(cat t.sql; echo '-- rows'; echo 'subscribe s;') | '$L' run - --format box"
check subscribe_json 0 '{"k":"a","v":1}*' sh -c "(cat t.sql; echo 'SUBSCRIBE s;') | '$L' run - --format jsonlines"
check subscribe_interrupt 130 'id
1
*' timeout --preserve-status -s INT 1 "$L" -c "$(cat u.sql) SUBSCRIBE u;"
check subscribe_live 0 'id
1' sh -c "timeout -s INT 2 '$L' -c \"CREATE SOURCE u (id BIGINT) FROM GENERATOR (rows = 9, rows_per_second = 1, fields = 'id: sequence(1, 1)'); SUBSCRIBE u;\" | head -2"
check subscribe_policy 1 'command:1:*\[LAM-5005\]*drop_last*one of: block, drop_oldest, drop_newest, sample*' "$L" -c "$(cat u.sql) SUBSCRIBE u WITH (policy = 'drop_last');"
check subscribe_sample 1 '*\[LAM-0001\]*sample*' "$L" -c "$(cat u.sql) SUBSCRIBE u WITH (policy = 'sample');"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
