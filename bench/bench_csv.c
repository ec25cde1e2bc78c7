/* CSV in and out: rows a second of the decoder and the encoder alone, on one thread, from memory. Prints a line of
 * JSON. bench_csv [FILE]      FILE has the columns ts, delay, distance, origin, destination; none: rows are made up
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"
#include "base/mem.h"
#include "format/format.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK (256 << 10) /* what a source gives at once */

static void make(struct text *t, int rows)
{
    static const char *const airports[] = {"ATL", "ORD", "DFW", "LAX", "PHX", "DEN", "SFO", "JFK"};
    uint32_t r = 1;
    text_puts(t, "ts,delay,distance,origin,destination\n");
    for (int i = 0; i < rows; i++) {
        r = r * 1664525 + 1013904223;
        int m = i / 7;
        text_printf(t, "2001-%02d-%02d %02d:%02d:00,%d,%u,%s,%s\n", m / 43200 % 12 + 1, m / 1440 % 28 + 1, m / 60 % 24,
                    m % 60, (int)(r >> 24) - 30, 100 + (r >> 20) % 2500, airports[r >> 10 & 7], airports[r >> 13 & 7]);
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

static struct schema *flights(struct arena *a)
{
    static const char *const names[] = {"ts", "delay", "distance", "origin", "destination"};
    static const uint8_t types[] = {T_TIMESTAMP, T_INT64, T_INT64, T_VARCHAR, T_VARCHAR};
    struct schema *s = schema_new(a, 5);
    for (int i = 0; i < 5; i++) s->fields[i] = (struct field){names[i], TYPE(types[i]), false};
    return s;
}

struct run {
    int64_t rows, decode_us, encode_us, bytes_out;
};

static struct run run(const struct schema *s, const struct options *o, const struct text *in, struct pool *pool)
{
    struct run r = {0};
    struct err err;
    struct decoder *d;
    struct encoder *e;
    struct text out = {0};
    const char *at = in->p, *end = in->p + in->n - FORMAT_PADDING;
    if (decoder_new(decoder_find("csv"), s, o, ON_ERROR_FAIL, 1 << 20, 0, NULL, 0, &d, &err)) exit(1);
    if (encoder_new(encoder_find("csv"), s, CHANGELOG_NONE, o, &e, &err)) exit(1);
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

int main(int argc, char **argv)
{
    struct arena *a = arena_new();
    struct schema *s = flights(a);
    const struct option_spec *tables[] = {decoder_find("csv")->options};
    struct options *o;
    struct text in = {0};
    struct run best = {0};
    if (options_read(a, "the bench", tables, 1, NULL, 0, &o, NULL)) return 1;
    if (argc > 1)
        read_file(&in, argv[1]);
    else
        make(&in, 1000000);
    memset(text_room(&in, FORMAT_PADDING), 0, FORMAT_PADDING);
    in.n += FORMAT_PADDING;
    struct pool *pool = pool_new(NULL);
    pool_adopt(pool);
    for (int i = 0; i < 5; i++) {
        struct run r = run(s, o, &in, pool);
        if (!i || r.decode_us < best.decode_us)
            best.rows = r.rows, best.decode_us = r.decode_us, best.bytes_out = r.bytes_out;
        if (!i || r.encode_us < best.encode_us) best.encode_us = r.encode_us;
    }
    printf("{\"bench\":\"csv\",\"rows\":%lld,\"decode_rows_per_s\":%.0f,\"decode_mb_per_s\":%.0f,\"encode_rows_per_s\":"
           "%.0f,"
           "\"encode_mb_per_s\":%.0f}\n",
           (long long)best.rows, (double)best.rows * 1e6 / (double)best.decode_us,
           (double)in.n / (double)best.decode_us, (double)best.rows * 1e6 / (double)best.encode_us,
           (double)best.bytes_out / (double)best.encode_us);
    pool_close(pool);
    text_done(&in);
    arena_free(a);
    return 0;
}
