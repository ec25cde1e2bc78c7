# What SHOW says of losses while and after a stream runs. SPDX-License-Identifier: Apache-2.0

if begin "streams: late rows are counted, shown and told"; then
    cat >s.csv <<'ROWS'
k,ts
a,2024-01-01 00:00:01
a,2024-01-01 00:00:30
late,2024-01-01 00:00:02
a,2024-01-01 00:00:31
ROWS
    cat >a.sql <<'SQL'
CREATE SOURCE s (k VARCHAR, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) FROM FILE (path = 's.csv', format = 'csv');
CREATE STREAM w AS SELECT k, COUNT(*) AS n FROM s GROUP BY k, TUMBLE(ts, INTERVAL '10' SECOND);
SQL
    laminar run a.sql --print w --format csv
    status_is 0
    prints_lines k,n a,1 a,2
    says 'warning: stream "w": late rows left out: 1'
    says late
    echo "SELECT k, COUNT(*) AS n FROM s GROUP BY k, TUMBLE(ts, INTERVAL '10' SECOND);" >>a.sql
    laminar run a.sql
    status_is 0
    says "late rows"
fi
if begin "streams: a script that nobody reads says so"; then
    laminar -c 'CREATE SOURCE g (id BIGINT) FROM GENERATOR (rows = 3); CREATE STREAM t AS SELECT id FROM g'
    status_is 0
    says "nothing reads"
fi
