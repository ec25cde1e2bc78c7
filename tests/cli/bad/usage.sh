# The command line. SPDX-License-Identifier: Apache-2.0

if begin "usage: help and version"; then
    laminar --help
    status_is 0
    prints "--on-error fail|skip|null"
    laminar --version
    status_is 0
    prints "laminar "
fi
if begin "usage: an unknown option has a near name"; then
    laminar --frmat csv
    usage "--frmat" "did you mean --format?"
    laminar --quite
    usage "did you mean --quiet?"
    laminar -x
    usage "unknown option -x"
fi
if begin "usage: values that options do not take"; then
    laminar --format xml -c 'SELECT 1'
    usage "box, tsv, csv" '"xml"'
    laminar --eof never -c 'SELECT 1'
    usage "flush, hold"
    laminar --on-error explode -c 'SELECT 1'
    usage "fail, skip, null"
    for n in 0 -1 x 99999999999999999999 1e3; do
        laminar --batch $n -c 'SELECT 1'
        usage "--batch takes a whole number"
    done
    laminar --workers 100000 -c 'SELECT 1'
    usage "from 1 to"
    laminar --quiet=yes -c 'SELECT 1'
    usage "takes no value"
    laminar --set X -c 'SELECT 1'
    usage "NAME=VALUE"
    laminar -c
    usage "needs a value"
fi
if begin "usage: nothing is given twice and dropped"; then
    laminar -c 'SELECT 1' -c 'SELECT 2'
    usage "given twice"
    laminar --print a --print b -c 'SELECT 1'
    usage "given twice"
    echo 'SELECT 1' >a.sql
    laminar run a.sql -c 'SELECT 2'
    usage "exclude"
fi
if begin "usage: a run without script, a database directory"; then
    laminar run
    usage "needs a script"
    echo 'SELECT 1' >a.sql
    laminar run a.sql folder
    usage "folder" "not supported"
fi
if begin "usage: a name after --print and --live"; then
    laminar -c 'CREATE SOURCE good (a BIGINT)' --print goof
    refused 1101 "'goof'" "did you mean 'good'?"
    laminar -c 'CREATE SOURCE good (a BIGINT)' --print 'good; DROP SOURCE good'
    refused 1101 "'good; DROP SOURCE good'"
    laminar -c 'CREATE SOURCE good (a BIGINT)' --live goof
    refused 1101 "'goof'" "did you mean 'good'?"
    laminar -c 'CREATE SOURCE "My rows" (a BIGINT) FROM GENERATOR (rows = 2)' --print 'My rows'
    status_is 0
    prints_lines a 0 1
fi
if begin "usage: scripts that cannot be read"; then
    laminar run nowhere.sql
    refused 5010 "nowhere.sql" "No such file"
    mkdir folder
    laminar run folder
    refused 5003 "folder" "directory"
    printf 'SELECT 1\0;' >nul.sql
    laminar run nul.sql
    refused 1000 "nul.sql" "NUL"
    laminar run nul.sql/x
    refused 5003 "nul.sql/x"
fi
if begin "usage: a script on stdin"; then
    echo 'SELECT 1 AS a; SELECT nothing' >a.sql
    laminar_in a.sql run -
    refused 1100 "stdin:1:23:"
    prints_lines a 1
    laminar_in a.sql
    refused 1100 "stdin:1:23:"
    : >empty.sql
    laminar_in empty.sql run -
    status_is 0
fi
if begin "usage: standard descriptors that came closed"; then
    timeout 60 "$program" -c 'SELECT 1' >&- 2>err </dev/null
    status=$?
    refused 5004 "stdout"
    timeout 60 "$program" <&- >out 2>err
    status=$?
    refused 5003 "stdin"
    # a sink's file must not become descriptor 1
    timeout 60 "$program" -c "CREATE SOURCE g (id BIGINT) FROM GENERATOR (rows = 3);
        CREATE SINK k FROM g INTO FILE (path = 'k.csv', format = 'csv'); SELECT 42" >&- 2>err </dev/null
    status=$?
    status_is 1
    if [ -e k.csv ]; then ! grep -q 42 k.csv || wrong "a result went into the sink's file"; fi
fi
