# Ends that come from outside. SPDX-License-Identifier: Apache-2.0

endless="CREATE SOURCE g (id BIGINT) FROM GENERATOR (rows.per.second = 50);"

# Runs the program and sends it a signal when it has printed a line.
interrupted() {
    signal=$1
    shift
    "$program" "$@" >out 2>err </dev/null &
    pid=$!
    for _ in $(seq 300); do
        [ -s out ] && break
        sleep 0.1
    done
    kill -s "$signal" $pid
    wait $pid
    status=$?
}

if begin "signals: SIGINT and SIGTERM end cleanly"; then
    interrupted TERM -c "$endless" --print g
    status_is 143
    prints id
    # a shell starts jobs in the background with SIGINT ignored; env puts that right
    if command -v python3 >/dev/null; then
        cat >int.py <<'PY'
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
p.stdout.readline()
p.send_signal(signal.SIGINT)
p.stdout.read()
sys.exit(p.wait())
PY
        timeout 60 python3 int.py "$program" -c "$endless" --print g 2>err >out
        status=$?
        status_is 130
        timeout 60 python3 int.py "$program" -c "$endless CREATE SINK k FROM g INTO FILE (path = 'k.csv', format = 'csv')" --print g 2>err >out
        status=$?
        status_is 130
        [ "$(head -1 k.csv)" = id ] || wrong "what the sink had taken is not there"
    fi
    interrupted TERM -c "$endless" --live g
    status_is 143
fi
if begin "signals: a reader of stdout that goes ends the run, status 0"; then
    for sql in "$endless" "CREATE SOURCE g (id BIGINT) FROM GENERATOR ();"; do
        { timeout 60 "$program" -c "$sql" --print g 2>err; echo $? >code; } | head -1 >out
        status=$(cat code)
        status_is 0
        prints_lines id
    done
    { timeout 60 "$program" -c "CREATE SOURCE g (id BIGINT) FROM GENERATOR (rows = 5000000); SELECT * FROM g" 2>err; echo $? >code; } | head -1 >out
    status=$(cat code)
    status_is 0
    prints_lines id
fi
