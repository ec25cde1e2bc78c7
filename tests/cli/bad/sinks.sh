# Sinks that cannot take what they are given. SPDX-License-Identifier: Apache-2.0

many="CREATE SOURCE g (id BIGINT) FROM GENERATOR (rows = 500000);"
sink_to() { echo "$many CREATE SINK k FROM g INTO FILE (path = '$1', format = 'csv'${2:-});"; }

if begin "sinks: a full disk"; then
    laminar -c "$(sink_to /dev/full ", mode = 'append'")"
    refused 5004 'sink "k"' "No space left" "hint:"
    mkdir small
    if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=1m tmpfs small 2>/dev/null; then
        laminar -c "$(sink_to small/k.csv)"
        refused 5004 'sink "k"' "small/k.csv" "No space left"
        [ ! -e small/k.csv ] || wrong "a file that is not whole has its name"
        echo kept >small/k.csv
        laminar -c "$(sink_to small/k.csv)"
        refused 5004 "No space left"
        [ "$(cat small/k.csv)" = kept ] || wrong "the old file was lost"
        umount small
    fi
fi
if begin "sinks: a full disk behind stdout"; then
    timeout 60 "$program" -c "$many SELECT * FROM g" 2>err >/dev/full </dev/null
    status=$?
    refused 5004 "stdout" "No space left"
    timeout 60 "$program" -c "SELECT 1" --format box 2>err >/dev/full </dev/null
    status=$?
    refused 5004 "stdout"
    timeout 60 "$program" -c "$many" --print g 2>err >/dev/full </dev/null
    status=$?
    refused 5004 "stdout" "No space left"
fi
if begin "sinks: paths that cannot be written"; then
    laminar -c "$(sink_to nowhere/k.csv)"
    refused 5010 'sink "k"' "nowhere" "hint:"
    mkdir folder
    laminar -c "$(sink_to folder)"
    refused 5004 "folder" "hint:"
    laminar -c "$(sink_to /proc/k.csv)"
    status_is 1
    says "[LAM-50"
    echo old >k.csv
    laminar -c "$(sink_to k.csv ", mode = 'error'")"
    refused 1104 "k.csv" "hint:"
    [ "$(cat k.csv)" = old ] || wrong "the old file was changed"
fi
if begin "sinks: one that fails leaves the others alone"; then
    laminar -c "$(sink_to nowhere/k.csv) CREATE SINK fine FROM g INTO FILE (path = 'fine.csv', format = 'csv')"
    refused 5010 'sink "k"'
fi
if begin "sinks: row errors are counted where they happen"; then
    laminar --format csv -c "CREATE SOURCE g (id BIGINT) FROM GENERATOR (rows = 10);
        CREATE STREAM t AS SELECT id, 10 / (id - 3) AS q FROM g;
        CREATE SINK k FROM t INTO FILE (path = 'k.csv', format = 'csv')"
    status_is 0
    [ "$(wc -l <k.csv)" = 10 ] || wrong "$(wc -l <k.csv) lines"
    says 'warning: stream "t": row errors: 1 (such as division by zero)'
    laminar -c "CREATE SOURCE g (id BIGINT) FROM GENERATOR (rows = 10);
        CREATE SINK k FROM (SELECT 10 / (id - 3) AS q FROM g) INTO FILE (path = 'k.csv', format = 'csv')"
    status_is 0
    says 'warning: sink "k": row errors: 1'
    laminar -c "CREATE SOURCE g (id BIGINT) FROM GENERATOR (rows = 10);
        CREATE STREAM t AS SELECT id, 10 / (id - 3) AS q FROM g" --print t --on-error fail
    refused 1203 "division by zero"
    laminar -c "CREATE SOURCE g (id BIGINT) FROM GENERATOR (rows = 5);
        CREATE STREAM t AS SELECT id, 10 / (id - 3) AS q FROM g" --print t --format csv --on-error null
    status_is 0
    prints_lines id,q 0,-3 1,-5 2,-10 3, 4,10
fi
