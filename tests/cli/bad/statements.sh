# Statements that cannot be. SPDX-License-Identifier: Apache-2.0

repeat() { # TEXT TIMES
    awk -v t="$1" -v n="$2" 'BEGIN { for (i = 0; i < n; i++) printf "%s", t }'
}

if begin "statements: line, column, caret, hint and status"; then
    printf 'SELECT 1 AS a;\n-- remark\nCREATE SOURCE s (price BIGINT);\nSELECT\n  prise FROM s' >a.sql
    laminar run a.sql
    refused 1100 "a.sql:5:3: [LAM-1100]" "  prise FROM s" "    ^" "hint: did you mean 'price'?"
    prints_lines a 1
    laminar -c "SELECT 1 AS a; SELECT 'open"
    refused 1000 "command:1:23:"
fi
if begin "statements: names that are not there, and near ones"; then
    laminar -c 'SELECT lenght(1)'
    refused 1102 "length"
    laminar -c 'CREATE SOURCE trades (a BIGINT); SELECT * FROM trade'
    refused 1101 "trades"
    laminar -c 'CREATE SOURCE s (a BIGINT) FROM FIEL (path = 1)'
    refused 1106 "'file'"
    laminar -c "CREATE SOURCE s (a BIGINT) FROM FILE (path = 'x', format = 'cvs')"
    refused 1107 "'csv'"
    laminar -c "CREATE SOURCE s (a BIGINT) FROM FILE (paht = 'x', format = 'csv')"
    refused 1105 "path"
    laminar -c "CREATE SOURCE s (a BIGINT) FROM FILE (path = 'x', format = 'csv', delimeter = ',')"
    refused 1105 "delimiter"
    laminar -c "CREATE SOURCE s (a BIGNIT)"
    status_is 1
    says "bigint"
    laminar -c "SELECT CAST(1 AS VARCAHR)"
    status_is 1
    says "varchar"
    laminar -c 'DROP STREAM nothing'
    refused 1101 "nothing"
fi
if begin "statements: options out of bounds"; then
    laminar -c "CREATE SOURCE s (a BIGINT) FROM FILE (path = 'x', format = 'csv', record.max = 'abc')"
    refused 5005 "record.max" "'abc'"
    laminar -c "CREATE SOURCE s (a BIGINT) FROM FILE (path = 'x', format = 'csv', record.max = '1')"
    refused 5005 "record.max" "between"
    laminar -c "CREATE SOURCE s (a BIGINT) FROM FILE (path = 'x', format = 'csv', on_error = 'explode')"
    refused 5005 "on_error" "skip, fail, null"
    laminar -c "CREATE SOURCE s (a BIGINT) FROM FILE (format = 'csv')"
    refused 0002 "path"
    laminar -c "CREATE SOURCE s (a BIGINT) FROM GENERATOR (rows = 'many')"
    refused 5005 "rows"
fi
if begin "statements: a million parentheses"; then
    { printf 'SELECT '; repeat '(' 1000000; printf 1; repeat ')' 1000000; } >a.sql
    laminar run a.sql
    refused 1003 "nested"
    { printf 'SELECT '; repeat '(' 1000000; } >a.sql
    laminar run a.sql
    refused 1003 "nested"
    { printf 'SELECT 1 WHERE '; repeat 'NOT ' 300000; printf 'TRUE'; } >a.sql
    laminar run a.sql
    refused 1003 "nested"
    { printf 'SELECT '; repeat 'CASE WHEN TRUE THEN ' 100000; } >a.sql
    laminar run a.sql
    refused 1003 "nested"
    { repeat 'SELECT * FROM (' 100000; } >a.sql
    laminar run a.sql
    refused 1003 "nested"
    { printf 'SELECT '; repeat '- ' 500000; printf 1; } >a.sql
    laminar run a.sql
    refused 1003 "nested"
fi
if begin "statements: megabytes"; then
    { printf "SELECT LENGTH('"; repeat x 2000000; printf "') AS n"; } >a.sql
    laminar run a.sql
    status_is 0
    prints_lines n 2000000
    { printf 'SELECT 1'; repeat '+1' 500000; } >a.sql
    laminar run a.sql
    refused 1003 "a.sql:1:"
    { printf 'SELECT 1 IN (1'; repeat ',1' 500000; printf ')'; } >a.sql
    laminar run a.sql
    refused 1003
    { printf 'SELECT 1'; repeat ',1' 500000; } >a.sql
    laminar run a.sql
    refused 1003 "columns"
    { printf 'SELECT 1=2'; repeat ' OR 1=2' 5000; } >a.sql
    laminar run a.sql
    status_is 0
    prints false
    { printf '/*'; repeat ' remark' 1000000; printf '*/ SELECT 1 AS a'; } >a.sql
    laminar run a.sql
    status_is 0
    prints_lines a 1
    repeat 'SELECT 1;' 2000 >a.sql
    laminar run a.sql
    status_is 0
fi
if begin "statements: bytes that are no text"; then
    printf "SELECT '\377\376'" >a.sql
    laminar run a.sql
    refused 1209 "a.sql:1:9:"
    printf 'SELECT \001' >a.sql
    laminar run a.sql
    refused 1000 "U+0001"
    head -c 100000 /dev/urandom | tr -d '\000' >a.sql
    laminar run a.sql
    status_is 1
    says "[LAM-1"
fi
if begin "statements: an error while rows come has the statement's place"; then
    printf 'SELECT 1 AS a;\n\n  SELECT 1 / 0' >a.sql
    laminar run a.sql
    refused 1203 "a.sql:3:3: [LAM-1203] division by zero"
    laminar -c "SELECT CAST('x' AS BIGINT)"
    status_is 1
    says "[LAM-1201]"
fi
if begin "statements: what never ends is refused with advice"; then
    laminar -c 'CREATE SOURCE g (id BIGINT) FROM GENERATOR (); SELECT * FROM g'
    refused 2005 "hint:" "LIMIT"
    laminar -c 'CREATE SOURCE g (id BIGINT) FROM GENERATOR (); CREATE STREAM n AS SELECT COUNT(*) FROM g'
    refused 2005 "hint:"
    laminar -c 'CREATE SOURCE g (id BIGINT) FROM GENERATOR (); SELECT id FROM g LIMIT 2'
    status_is 0
    prints_lines id 0 1
fi
