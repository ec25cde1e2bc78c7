/* Columns made from nothing: the generator's specifications, one a column, and filling them.
 *
 * The value of a row is a function of (seed, column, row number), so any place can be started at; a walk alone carries
 * state, which the caller keeps. SPDX-License-Identifier: Apache-2.0 */
#ifndef CONNECTOR_GEN_FIELD_H
#define CONNECTOR_GEN_FIELD_H

#include "arrow/batch.h"

#define GEN_WALKS 5 /* walks of one source at most: their state travels in its positions */

enum gen_kind {
    GEN_SEQUENCE, /* start, step */
    GEN_UNIFORM,  /* min, max; both included for whole numbers */
    GEN_NORMAL,   /* mean, stddev */
    GEN_ZIPF,     /* n, exponent: 0 .. n-1, low numbers often */
    GEN_CHOICE,   /* one of the arguments */
    GEN_CONSTANT, /* the argument */
    GEN_WALK,     /* start, stddev of a step */
    GEN_TEXT,     /* shortest, longest: lower-case letters */
    GEN_TIME,     /* the row's event time */
    GEN_NOW,      /* the wall clock */
    GEN_UUID,
    GEN_KINDS
};

struct gen_field {
    enum gen_kind kind;
    struct type type;
    uint64_t key;        /* of this column's random numbers */
    uint64_t nulls;      /* NULL where a random 32-bit number is below */
    int64_t first, step; /* SEQUENCE; UNIFORM over whole numbers: least, and how many (0: all 2^64) */
    double a, b;         /* UNIFORM min, width; NORMAL mean, stddev; WALK start, stddev; TEXT lengths */
    double scale;        /* 10^scale of a DECIMAL */
    uint32_t n;          /* CHOICE: arguments; ZIPF: numbers */
    char *table;         /* CHOICE, CONSTANT: n values of the type's width */
    bool long_text;      /* some of them do not fit a view */
    uint32_t *keep, *alias; /* ZIPF: Walker's alias method */
    int walk;            /* index of the walk's state, or -1 */
};

/* What all columns of a batch share. */
struct gen_rows {
    uint64_t first; /* row number of row 0 */
    uint32_t n;     /* at most BATCH_ROWS */
    const int64_t *times;
    int64_t wall_us;
    double *walks;  /* moved on by n rows */
    int64_t *ints;  /* scratch of BATCH_ROWS each */
    double *doubles;
};

/* One field per column of s, some of those of `declared`. text is "name: kind(arg, ...) null(0.1), ..."; NULL or unnamed
 * columns: by type. What a column holds does not depend on which others are read. */
enum status gen_field_parse(struct arena *a, const struct schema *s, const struct schema *declared, const char *text,
                            uint64_t seed, struct gen_field **out, struct err *err);
/* Fills column col of b (made by batch_for with BATCH_ROWS) in rows [0, r->n). */
void gen_field_fill(const struct gen_field *f, const struct gen_rows *r, struct batch *b, int col);

/* A random number for `row` of the sequence `key`: SplitMix64 by counter. */
static inline uint64_t gen_random(uint64_t key, uint64_t row)
{
    uint64_t x = key + (row + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
/* 0 <= result < n, or any when n is 0. */
static inline uint64_t gen_below(uint64_t random, uint64_t n)
{
    return n ? (uint64_t)((unsigned __int128)random * n >> 64) : random;
}

#endif
