/* JSON lines in and out: rows a second of the decoder and the encoder alone, on one thread, from memory, beside a bare
 * loop over simdjson that extracts the same fields; and the same with each object a record of its own, copied together as records
 * from a connector are. Prints two lines of JSON. bench_json [FILE]     FILE has bids of the
 * shape made up here SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"
#include "base/mem.h"
#include "format/format.h"

#include "json_bare.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK (256 << 10) /* what a source gives at once */

/* Bids of about 200 bytes. */
static void make(struct text *t, int rows)
{
    static const char *const channels[] = {"Google", "Facebook", "Baidu", "Apple"};
    static const char extra[] = "nDjQkWvrxZptbYhcgflmaosieuSTRKLPOWqazxswedcvfr";
    uint32_t r = 1;
    for (int i = 0; i < rows; i++) {
        r = r * 1664525 + 1013904223;
        text_printf(
            t,
            "{\"auction\":%u,\"bidder\":%u,\"price\":%u,\"channel\":\"%s\",\"url\":\"https://www.nexmark.com/item.htm"
            "?query=1&channel_id=%u\",\"dateTime\":\"2023-11-14 22:%02d:%02d.%03d\",\"extra\":\"%.*s\"}\n",
            1000 + (r >> 15), 1000 + (r >> 20), 100 + (r >> 12), channels[r >> 10 & 3], r, i / 60000 % 60,
            i / 1000 % 60, i % 1000, 10 + (int)(r >> 27), extra);
    }
}

static void read_file(struct text *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) exit(2);
    for (size_t n;;) {
        char *p = text_room(t, 1 << 20);
        if (!(n = fread(p, 1, 1 << 20, f))) break;
        t->n += n;
    }
    fclose(f);
}

static struct schema *bids(struct arena *a)
{
    static const char *const names[] = {"auction", "bidder", "price", "channel", "url", "dateTime", "extra"};
    static const uint8_t types[] = {T_INT64, T_INT64, T_INT64, T_VARCHAR, T_VARCHAR, T_TIMESTAMP, T_VARCHAR};
    struct schema *s = schema_new(a, (int)countof(names));
    for (int i = 0; i < s->n; i++) s->fields[i] = (struct field){names[i], TYPE(types[i]), false};
    return s;
}

struct run {
    int64_t rows, decode_us, encode_us, bytes_out;
};

static struct run run(const struct schema *s, const struct options *in_o, const struct options *out_o,
                      const struct text *in, struct pool *pool)
{
    struct run r = {0};
    struct err err;
    struct decoder *d;
    struct encoder *e;
    struct text out = {0};
    const char *at = in->p, *end = in->p + in->n;
    if (decoder_new(decoder_find("json"), s, in_o, ON_ERROR_FAIL, 1 << 20, 0, NULL, 0, &d, &err)) exit(1);
    if (encoder_new(encoder_find("json"), s, CHANGELOG_NONE, out_o, &e, &err)) exit(1);
    enum status st;
    do {
        size_t n = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
        decoder_feed(d, at, n, at + n == end);
        struct batch *b;
        for (;;) {
            int64_t t0 = env_now_us(env_real());
            st = decoder_next(d, pool, BATCH_ROWS, &b, &err);
            int64_t t1 = env_now_us(env_real());
            r.decode_us += t1 - t0;
            if (st) break;
            r.rows += b->rows;
            text_clear(&out);
            e->class->put(e, b, 0, b->rows, &out);
            r.bytes_out += (int64_t)out.n;
            r.encode_us += env_now_us(env_real()) - t1;
            batch_unref(b);
        }
        at = d->p;
    } while (st == ST_WAIT);
    if (st != ST_DONE) fprintf(stderr, "%s\n", err.text), exit(1);
    decoder_free(d);
    encoder_free(e);
    text_done(&out);
    return r;
}

static struct run run_records(const struct schema *s, const struct options *in_o, const struct options *out_o,
                              const struct text *in, struct pool *pool)
{
    struct run r = {0};
    struct err err;
    struct decoder *d;
    struct encoder *e;
    struct text all = {0};
    struct values out = {0};
    static struct record records[BATCH_ROWS];
    static uint32_t of[BATCH_ROWS];
    if (decoder_new_records(decoder_find("json"), s, s, in_o, ON_ERROR_FAIL, 1 << 20, "bids", &d, &err)) exit(1);
    if (encoder_new_values(encoder_find("json"), s, CHANGELOG_NONE, out_o, &e, &err)) exit(1);
    for (const char *at = in->p, *end = in->p + in->n; at < end;) {
        uint32_t n = 0, used;
        struct batch *b;
        int64_t t0 = env_now_us(env_real());
        text_clear(&all);
        while (n < BATCH_ROWS && at < end) {
            const char *nl = memchr(at, '\n', (size_t)(end - at));
            records[n++] = (struct record){(uint32_t)all.n, (uint32_t)(nl - at), n};
            text_put(&all, at, (size_t)(nl + 1 - at));
            at = nl + 1;
        }
        memset(text_room(&all, FORMAT_PADDING), 0, FORMAT_PADDING);
        if (decoder_records(d, pool, all.p, records, n, of, &used, &b, &err) || used < n) exit(1);
        int64_t t1 = env_now_us(env_real());
        r.decode_us += t1 - t0;
        r.rows += b->rows;
        values_clear(&out, 0, b->rows);
        e->class->put_values(e, b, 0, b->rows, &out);
        r.bytes_out += (int64_t)out.text.n;
        r.encode_us += env_now_us(env_real()) - t1;
        batch_unref(b);
    }
    decoder_free(d);
    encoder_free(e);
    text_done(&all);
    values_done(&out);
    return r;
}

static void keep_best(struct run *best, const struct run *r, bool first)
{
    if (first || r->decode_us < best->decode_us) best->rows = r->rows, best->decode_us = r->decode_us, best->bytes_out = r->bytes_out;
    if (first || r->encode_us < best->encode_us) best->encode_us = r->encode_us;
}

static void print(const char *bench, const struct run *best, size_t bytes, int64_t bare_us)
{
    printf("{\"bench\":\"%s\",\"rows\":%lld,\"row_bytes\":%zu,\"decode_rows_per_s\":%.0f,\"decode_mb_per_s\":%.0f,"
           "\"bare_rows_per_s\":%.0f,\"of_bare\":%.2f,\"encode_rows_per_s\":%.0f,\"encode_mb_per_s\":%.0f}\n",
           bench, (long long)best->rows, bytes / (size_t)best->rows, (double)best->rows * 1e6 / (double)best->decode_us,
           (double)bytes / (double)best->decode_us, (double)best->rows * 1e6 / (double)bare_us,
           (double)bare_us / (double)best->decode_us, (double)best->rows * 1e6 / (double)best->encode_us,
           (double)best->bytes_out / (double)best->encode_us);
}

int main(int argc, char **argv)
{
    struct arena *a = arena_new();
    struct schema *s = bids(a);
    const struct option_spec *in_table[] = {decoder_find("json")->options},
                             *out_table[] = {encoder_find("json")->options};
    struct options *in_o, *out_o;
    struct text in = {0};
    struct run best = {0}, records = {0};
    int64_t bare_us = INT64_MAX;
    uint64_t sum = 0;
    if (options_read(a, "the bench", in_table, 1, NULL, 0, &in_o, NULL)) return 1;
    if (options_read(a, "the bench", out_table, 1, NULL, 0, &out_o, NULL)) return 1;
    if (argc > 1)
        read_file(&in, argv[1]);
    else
        make(&in, 500000);
    memset(text_room(&in, FORMAT_PADDING), 0, FORMAT_PADDING);
    struct pool *pool = pool_new(NULL);
    pool_adopt(pool);
    for (int i = 0; i < 5; i++) { /* by turns, so that both meet the same machine */
        struct run r = run(s, in_o, out_o, &in, pool);
        keep_best(&best, &r, !i);
        int64_t t0 = env_now_us(env_real());
        if (json_bare(in.p, in.n, &sum) != r.rows) return 1;
        int64_t us = env_now_us(env_real()) - t0;
        if (us < bare_us) bare_us = us;
        struct run one_by_one = run_records(s, in_o, out_o, &in, pool);
        if (one_by_one.rows != r.rows) return 1;
        keep_best(&records, &one_by_one, !i);
    }
    print("json", &best, in.n, bare_us);
    print("json_records", &records, in.n, bare_us);
    pool_close(pool);
    text_done(&in);
    arena_free(a);
    return 0;
}
