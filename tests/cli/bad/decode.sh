# Records that cannot be read: counted, shown and told, never lost in silence. SPDX-License-Identifier: Apache-2.0

csv="CREATE SOURCE s (a BIGINT, b VARCHAR, ts TIMESTAMP) FROM FILE (path = 's.csv', format = 'csv'"
json="CREATE SOURCE s (a BIGINT, b VARCHAR, ts TIMESTAMP) FROM FILE (path = 's.jsonl', format = 'json'"
rows="SELECT * FROM s; SHOW SOURCES"

bad_csv() {
    cat >s.csv <<'ROWS'
a,b,ts
1,one,2024-01-01 00:00:00
x,wrong type,2024-01-01 00:00:00
3,too few
4,"a ""quoted"" one",2024-01-01 00:00:03
5,too,many,2024-01-01 00:00:00
6,no time,yesterday-ish
99999999999999999999,out of range,2024-01-01 00:00:00
8,eight,2024-01-01 00:00:08
ROWS
}

if begin "decode: csv, skip"; then
    bad_csv
    laminar --format csv -c "$csv); $rows"
    status_is 0
    prints "1,one,"
    prints '4,"a ""quoted"" one",'
    prints "8,eight,"
    prints_not "wrong type"
    shows rows 3
    shows bad_rows 5
    says 'warning: source "s": records skipped because they cannot be read: 5'
    says "line 8"
    laminar --quiet --format csv -c "$csv); $rows"
    says_not warning
fi
if begin "decode: csv, fail"; then
    bad_csv
    laminar --format csv -c "$csv); $rows" --on-error fail
    refused 5020 'source "s"' "line 3" 'column "a"'
    laminar --format csv -c "$csv, on_error = 'fail'); $rows"
    refused 5020 'source "s"' "line 3"
    laminar --format csv -c "$csv, on_error = 'skip'); $rows" --on-error fail
    status_is 0
fi
if begin "decode: csv, null"; then
    bad_csv
    laminar --format csv -c "$csv); $rows" --on-error null
    status_is 0
    prints ",wrong type,"
    prints "6,no time,"
    prints ",out of range,"
    shows null_fields 3
    shows bad_rows 2
    says "fields set to NULL because they cannot be read: 3"
    laminar --format csv -c "$csv, on_error = 'null'); $rows"
    shows null_fields 3
fi
if begin "decode: csv, quotes and ends"; then
    printf 'a,b,ts\n1,"open,\n2,x,\n' >s.csv
    laminar --format csv -c "$csv); $rows"
    status_is 0
    shows bad_rows 1
    says "not closed"
    printf 'a,b,ts\r\n1,x,\r\n2,y,' >s.csv
    laminar --format csv -c "$csv); $rows"
    status_is 0
    prints "2,y,"
    shows bad_rows 0
    : >s.csv
    laminar --format csv -c "$csv); $rows"
    status_is 0
    printf '\357\273\277a,b,ts\n1,x,\n' >s.csv
    laminar --format csv -c "$csv); $rows"
    prints "1,x,"
    printf 'a,q,ts\n1,x,\n' >s.csv
    laminar --format csv -c "$csv); $rows"
    status_is 1
    says "[LAM-"
    says '"b"'
fi
if begin "decode: json lines"; then
    cat >s.jsonl <<'ROWS'
{"a":1,"b":"one","ts":"2024-01-01 00:00:00"}
not json
{"a":"two","b":"x"}
[1,2]
{"a":3,"b":"open"
{"a":99999999999999999999,"b":"big"}
{"b":"no a"}

{"a":8,"b":"eight","extra":[1,{"x":2}]}
ROWS
    laminar --format csv -c "$json); $rows"
    status_is 0
    prints "1,one,"
    prints ",no a,"
    prints "8,eight,"
    shows bad_rows 5
    laminar --format csv -c "$json); $rows" --on-error fail
    refused 5020 "line 2" "not json"
    laminar --format csv -c "$json); $rows" --on-error null
    prints ",big,"
    shows null_fields 2
    shows bad_rows 3
fi
if begin "decode: json, deep nesting"; then
    { awk 'BEGIN { printf "{\"a\":1,\"b\":"; for (i = 0; i < 100000; i++) printf "["; print "" }'; echo '{"a":2}'; } >s.jsonl
    laminar --format csv -c "$json); $rows"
    status_is 0
    prints "2,,"
    shows bad_rows 1
fi
if begin "decode: invalid UTF-8"; then
    printf 'a,b,ts\n1,\377\376,\n2,ok,\n\303(,3,\n' >s.csv
    laminar --format csv -c "$csv); $rows"
    status_is 0
    prints "2,ok,"
    shows bad_rows 2
    laminar --format csv -c "$csv); $rows" --on-error fail
    refused 5020 'column "b"' "UTF-8"
    laminar --format csv -c "$csv); $rows" --on-error null
    prints "1,,"
    printf '{"a":1,"b":"\377"}\n{"a":2,"b":"ok"}\n{"a":3,"b":"\\ud800"}\n' >s.jsonl
    laminar --format csv -c "$json); $rows"
    prints "2,ok,"
    shows bad_rows 2
    iconv -f utf8 -t utf8 out >/dev/null 2>&1 || wrong "stdout is not UTF-8"
fi
if begin "decode: records longer than record.max"; then
    { echo a,b,ts; printf '1,'; head -c 3000000 /dev/zero | tr '\0' x; echo ,; echo 2,ok,; } >s.csv
    laminar --format csv -c "$csv, record.max = '1 kB'); $rows"
    status_is 0
    prints "2,ok,"
    shows bad_rows 1
    laminar --format csv -c "$csv, record.max = '1 kB', on_error = 'fail'); $rows"
    refused 5020 "line 2" "record.max"
    laminar --format csv -c "$csv); SELECT a, LENGTH(b) AS n FROM s"
    prints "1,3000000"
    { printf '{"a":1,"b":"'; head -c 3000000 /dev/zero | tr '\0' x; echo '"}'; echo '{"a":2,"b":"ok"}'; } >s.jsonl
    laminar --format csv -c "$json, record.max = '1 kB'); $rows"
    prints "2,ok,"
    shows bad_rows 1
    head -c 70000000 /dev/zero | tr '\0' x >s.csv
    laminar --format csv -c "CREATE SOURCE s (a VARCHAR) FROM FILE (path = 's.csv', format = 'csv', header = 'false'); $rows"
    status_is 0
    shows bad_rows 1
fi
if begin "decode: one bad field among many rows"; then
    awk 'BEGIN { print "a,b,ts"; for (i = 1; i <= 100000; i++) print (i == 77777 ? "x" : i) ",b,2024-01-01 00:00:00" }' >s.csv
    for batch in 1000 8192; do
        for workers in 1 3; do
            laminar --batch $batch --workers $workers --format csv -c "$csv); SELECT COUNT(a) AS n, SUM(a) AS t FROM s; SHOW SOURCES"
            prints "99999,4999972223"
            shows bad_rows 1
            says "line 77778"
        done
    done
fi
if begin "decode: rows without event time are counted"; then
    printf 'a,b,ts\n1,x,2024-01-01 00:00:00\n2,y,\n3,z,2024-01-01 00:00:01\n' >s.csv
    laminar --format csv -c "CREATE SOURCE s (a BIGINT, b VARCHAR, ts TIMESTAMP, WATERMARK FOR ts)
        FROM FILE (path = 's.csv', format = 'csv'); $rows"
    status_is 0
    prints_not "2,y"
    shows null_times 1
    says "no event time: 1"
fi
if begin "decode: stdin"; then
    printf 'a\n1\nx\n2' >in.csv
    laminar_in in.csv -c "CREATE SOURCE s (a BIGINT) FROM STDIN (format = 'csv'); SELECT * FROM s"
    status_is 0
    prints_lines a 1 2
    says "skipped because they cannot be read: 1"
fi
if begin "decode: replay"; then
    printf '{"source":"s","row":{"a":1}}\n{"source":"nowhere","row":{"a":2}}\n' >r.jsonl
    laminar -c 'CREATE SOURCE s (a BIGINT)' --print s --replay r.jsonl
    refused 1101 "nowhere"
    printf '{"source":"s","row":{"a":1}}\nbroken\n' >r.jsonl
    laminar -c 'CREATE SOURCE s (a BIGINT)' --print s --replay r.jsonl
    refused 5020 "line 2"
    laminar -c 'CREATE SOURCE s (a BIGINT)' --print s --replay nowhere.jsonl
    refused 5010 "nowhere.jsonl"
fi
