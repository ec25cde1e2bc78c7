-- The market demo without an end, for the page beside this script.
--
--     laminar run examples/live-chart/live.sql
--
-- Open index.html, from the disk or from a server on port 8000. Ten thousand made-up trades a second; out of them come a bar
-- per symbol and second, and every five seconds how much of its volume each large account bought from itself, as in
-- examples/market/market.sql. Here each symbol has a price of its own.

CREATE SOURCE ticks (
    account_id BIGINT,
    symbol VARCHAR,
    side VARCHAR,
    volume BIGINT,
    acme DECIMAL(10,2), bolt DECIMAL(10,2), core DECIMAL(10,2), dyne DECIMAL(10,2), echo DECIMAL(10,2),
    ts TIMESTAMP,
    WATERMARK FOR ts AS ts - INTERVAL '100 ms'
) FROM GENERATOR (
    rows_per_second = 10000,
    start = 'now',
    disorder = '80 ms',
    seed = 42,
    fields = 'account_id: zipf(200, 1.1), symbol: choice(ACME, BOLT, CORE, DYNE, ECHO), side: choice(buy, sell), volume: uniform(1, 500),
              acme: walk(128, 0.004), bolt: walk(87, 0.003), core: walk(245, 0.007), dyne: walk(61, 0.002), echo: walk(172, 0.005)'
);

CREATE STREAM trades AS
SELECT account_id, symbol, side, volume, ts,
       CASE symbol WHEN 'ACME' THEN acme WHEN 'BOLT' THEN bolt WHEN 'CORE' THEN core WHEN 'DYNE' THEN dyne ELSE echo END AS price
FROM ticks;

CREATE STREAM bars AS
SELECT symbol, window_start,
       FIRST_VALUE(price) AS open, MAX(price) AS high, MIN(price) AS low, LAST_VALUE(price) AS close,
       SUM(volume) AS volume, COUNT(*) AS trades
FROM trades
GROUP BY symbol, TUMBLE(ts, INTERVAL '1' SECOND);

CREATE STREAM wash AS
SELECT account_id, symbol, window_start,
       SUM(CASE WHEN side = 'buy' THEN volume ELSE 0 END) AS bought,
       SUM(CASE WHEN side = 'sell' THEN volume ELSE 0 END) AS sold
FROM trades
GROUP BY account_id, symbol, TUMBLE(ts, INTERVAL '5' SECOND);

CREATE STREAM wash_score AS
SELECT account_id, symbol, window_start, bought, sold,
       CAST(CAST(LEAST(bought, sold) AS DOUBLE) / GREATEST(bought, sold) AS DECIMAL(4,3)) AS score
FROM wash
WHERE bought + sold > 20000 AND LEAST(bought, sold) * 100 > GREATEST(bought, sold) * 95;

-- A page that is opened from the disk has the origin 'null'. What is kept for pages that come later is some five minutes.
CREATE SINK live_bars FROM bars INTO WEBSOCKET (
    bind.address = '${BARS:-127.0.0.1:8141}', replay.buffer.size = '256 KiB', per.client.buffer = '512 KiB',
    allowed.origins = 'null, http://localhost:8000, http://127.0.0.1:8000');

CREATE SINK live_scores FROM wash_score INTO WEBSOCKET (
    bind.address = '${SCORES:-127.0.0.1:8142}', replay.buffer.size = '64 KiB',
    allowed.origins = 'null, http://localhost:8000, http://127.0.0.1:8000');
