-- Five symbols, about 50,000 trades a second for ten seconds, in five-second windows.
--
--     laminar run examples/market/market.sql --live bars,wash_score
--
-- Out of `trades` come bars (open, high, low, close, volume) and a score per account and window of how much of its volume
-- it bought from itself: a wash trade moves no position, only volume.

CREATE SOURCE trades (
    account_id BIGINT,
    symbol VARCHAR,
    side VARCHAR,
    price DECIMAL(10,2),
    volume BIGINT,
    order_ref BIGINT,
    ts TIMESTAMP,
    WATERMARK FOR ts AS ts - INTERVAL '100 ms'
) FROM GENERATOR (
    rows = 500000,
    rows_per_second = 50000,
    start = 'now',
    disorder = '80 ms',
    seed = 42,
    fields = 'account_id: zipf(200, 1.1), symbol: choice(ACME, BOLT, CORE, DYNE, ECHO), side: choice(buy, sell),
              price: walk(100, 0.01), volume: uniform(1, 500), order_ref: sequence(1, 1)'
);

CREATE STREAM bars AS
SELECT symbol, window_start,
       FIRST_VALUE(price) AS open, MAX(price) AS high, MIN(price) AS low, LAST_VALUE(price) AS close,
       SUM(volume) AS volume, COUNT(*) AS trades
FROM trades
GROUP BY symbol, TUMBLE(ts, INTERVAL '5' SECOND);

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
WHERE bought + sold > 100000 AND LEAST(bought, sold) * 100 > GREATEST(bought, sold) * 99;
