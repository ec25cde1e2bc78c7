# Files that are not there, are no files, or change while they are read. SPDX-License-Identifier: Apache-2.0

source_of() { echo "CREATE SOURCE s (a BIGINT) FROM FILE (path = '$1', format = 'csv'${2:-});"; }
big() { awk 'BEGIN { print "a"; for (i = 0; i < 8000000; i++) print 10000000 + i }'; }

if begin "files: missing"; then
    : >s.csv
    laminar -c "$(source_of S.csv) SELECT * FROM s"
    refused 5010 'source "s"' "S.csv" "No such file"
    laminar -c "$(source_of nowhere/s.csv) SELECT * FROM s"
    refused 5010 "nowhere/s.csv"
    laminar -c "$(source_of '*.nothing') SELECT * FROM s"
    status_is 1
    says "*.nothing"
    laminar -c "$(source_of '') SELECT * FROM s"
    status_is 1
    says "[LAM-"
    laminar -c "$(source_of s.csv/x) SELECT * FROM s"
    refused 5003 "s.csv/x"
    laminar -c "$(source_of "$(head -c 5000 /dev/zero | tr '\0' x)") SELECT * FROM s"
    refused 5003 "too long"
fi
if begin "files: a missing one stops a script before its sinks are made"; then
    echo "$(source_of nowhere.csv) CREATE SINK k FROM s INTO FILE (path = 'k.csv', format = 'csv');" >a.sql
    laminar run a.sql
    refused 5010 "nowhere.csv"
    [ ! -e k.csv ] || wrong "the sink's file was made"
fi
if begin "files: folders, pipes and devices"; then
    mkdir folder
    laminar -c "$(source_of folder) SELECT * FROM s"
    refused 5003 "is a folder" "hint:"
    mkfifo pipe
    laminar -c "$(source_of pipe) SELECT * FROM s"
    refused 5003 "not a regular file" "hint:"
    laminar -c "$(source_of /dev/zero) SELECT * FROM s"
    refused 5003 "not a regular file"
    ln -s loop loop
    laminar -c "$(source_of loop) SELECT * FROM s"
    refused 5003 "loop"
fi
if begin "files: unreadable"; then
    printf 'a\n1\n' >s.csv
    chmod 0 s.csv
    if [ "$(id -u)" != 0 ]; then
        laminar -c "$(source_of s.csv) SELECT * FROM s"
        refused 5003 "s.csv" "Permission denied"
    elif command -v setpriv >/dev/null && chmod 755 "$top" && [ -x "$program" ] &&
        setpriv --reuid=65534 --regid=65534 --clear-groups -- "$program" --version >/dev/null 2>&1; then
        chmod 777 .
        timeout 60 setpriv --reuid=65534 --regid=65534 --clear-groups -- \
            "$program" -c "$(source_of s.csv) SELECT * FROM s" >out 2>err </dev/null
        status=$?
        refused 5003 "s.csv" "Permission denied"
    else
        skip "root reads everything"
    fi
fi
if begin "files: one that shrinks while it is followed"; then
    printf 'a\n1\n2\n3\n' >s.csv
    (sleep 1; printf 'a\n7\n' >s.csv) &
    laminar -c "$(source_of s.csv ", follow = 'true'")" --print s
    wait
    refused 5003 'source "s"' "shrank" "hint:"
    prints_lines a 1 2 3
fi
if begin "files: one cut short ahead of the reader"; then
    big >s.csv
    echo "$(source_of s.csv)" >a.sql
    # nobody takes the output, so reading stops in mid file
    { timeout 60 "$program" run a.sql --print s 2>err; echo $? >code; } | { sleep 1; truncate -s 60000000 s.csv; cat >out; }
    status=$(cat code)
    refused 5003 "shrank"
    [ "$(wc -l <out)" -lt 8000000 ] || wrong "all rows came"
fi
if begin "files: one that vanishes while it is read"; then
    big >s.csv
    echo "$(source_of s.csv)" >a.sql
    { timeout 60 "$program" run a.sql --print s 2>err; echo $? >code; } | { sleep 1; rm s.csv; cat >out; }
    status=$(cat code)
    status_is 0
    [ "$(wc -l <out)" = 8000001 ] || wrong "$(wc -l <out) rows"
fi
