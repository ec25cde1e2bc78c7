/* The JSON decoder inside: json_decode frames lines and records, json_walk goes along their tokens, json_cell makes cells of values, json_path
 * says where columns are found, and debezium which part of a change event is the row. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_JSON_INT_H
#define FORMAT_JSON_INT_H

#include "format/classes.h"
#include "format/decoder.h"
#include "format/field.h"
#include "format/json_value.h"
#include "format/shim/json.h"

#define JSON_MEMOS      128 /* positions whose key is remembered */
#define JSON_MEMO_BYTES 48  /* longest key remembered, with its closing quote */
#define JSON_PATH_DEPTH 16  /* names in a path */

/* ---- names ------------------------------------------------------------------------------------------- */

/* The key that stood at a position of the object before. */
struct json_memo {
    uint64_t head[2], mask[2]; /* its first 16 bytes, and which of them count */
    uint32_t n;                /* with the closing quote; 0: none */
    int col;                   /* or MEMO_NOTHING, or MEMO_ENTRY less the number of an entry of which more is wanted */
    bool exact;
    char text[JSON_MEMO_BYTES];
};

#define MEMO_NOTHING (-1)
#define MEMO_ENTRY   (-2)

/* What is wanted of one name in an object, or of one element of an array: any of these. */
struct json_entry {
    const char *name;
    size_t name_n;
    int64_t index; /* the name as an element's number; -1: it is none */
    int col;       /* -1: none */
    int child;     /* what is wanted inside; -1: nothing */
    int slot;      /* where its place is kept; -1: nowhere */
};
/* What is wanted of one object or array. */
struct json_node {
    struct json_memo *memos; /* JSON_MEMOS + 1 */
    struct json_entry *entries;
    int n, cap;
};
/* A value that is looked at when the whole record is known. */
struct json_slot {
    uint64_t seen; /* the record that last had it */
    uint32_t at;   /* the number of its token */
    struct json_value value;
};
enum { SLOT_ROWS, SLOT_BEFORE, SLOT_OP, SLOT_SCHEMA, SLOT_PAYLOAD, JSON_SLOTS };

/* ---- columns -------------------------------------------------------------------------------------------- */

/* What a value means beyond its text, where that is known (debezium). */
enum json_meaning {
    MEANING_UNKNOWN, /* there is no schema */
    MEANING_PLAIN,   /* what it looks like */
    MEANING_DAYS,
    MEANING_TIMESTAMP, /* of units mul / div */
    MEANING_TIME,
    MEANING_DURATION,
    MEANING_DECIMAL, /* base64 of an integer, and `scale` */
    MEANING_BYTES,   /* base64 */
};
struct json_sense {
    enum json_meaning meaning;
    int scale;
    int64_t mul, div;
};
struct json_column {
    struct type type;
    uint64_t seen; /* the record that last had it */
    bool exact;    /* by its exact name */
    bool plain_text; /* VARCHAR of any length, and strings are its text */
    bool of_record; /* not of the rows in the record: they all have it */
    struct day_memo day;
    int64_t mul, div; /* of a number in a column of times, to microseconds; 0: not known */
    struct json_sense sense;
};

/* The latest fault, or under FAIL the first. */
struct json_fault {
    const char *why; /* NULL: the value does not fit the column */
    bool set;
    int col;
    struct json_value value;
    struct json_sense sense; /* of the column then */
    int64_t line;   /* of a record that came alone: what it is called */
    uint32_t start; /* of the record, from p */
};

struct debezium; /* debezium.c */

struct json {
    struct decoder d;
    struct json_index *index;
    int64_t line; /* of p; 0: unknown */
    bool passing; /* over a line that is too long */
    int64_t passed;
    bool escapes; /* there are backslashes in the text at hand */
    struct json_node *nodes;
    int nnodes, root;
    int rows; /* the node of a row inside its record; -1: the record is the row */
    bool whole; /* the record itself is the row, or an array of them */
    struct arena *arena; /* of names */
    struct json_slot slots[JSON_SLOTS];
    struct json_column *columns;
    uint64_t record; /* number of the one at hand */
    struct text scratch;
    struct debezium *debezium; /* NULL: it is not */
    uint32_t *ends; /* of lines */
    uint32_t ends_cap;
    const struct record *records; /* in place of lines; NULL: lines */
    uint32_t *of;                 /* the record of each row */
    uint32_t cap; /* rows of the batch at hand */
    struct pool *pool;
    struct batch *batch;
    struct json_fault fault;
};

/* ---- json_cell.c ---------------------------------------------------------------------------------------- */

/* A string's text without quotes and escapes; it may lie in the scratch. */
bool json_escaped(struct json *j, const char **p, uint32_t *n);
static inline bool json_string(struct json *j, const struct json_value *v, const char **p, uint32_t *n)
{
    *p = v->p + 1, *n = v->n - 2;
    return likely(!j->escapes) || !memchr(*p, '\\', *n) || json_escaped(j, p, n);
}
/* Any value into any column but NULL, by what it means. b NULL: only says what is wrong. */
enum status json_cell(struct json *j, struct batch *b, struct json_column *c, void *data, const struct json_value *v, struct err *err);
void json_mean(struct json_column *c, enum json_meaning meaning);
enum status json_mismatch(struct type t, const struct json_value *v, struct err *err);
enum status json_no_unit(struct err *err);
/* A number times mul / div, down to a whole one. */
enum status json_scaled(const struct json_value *v, int64_t mul, int64_t div, int64_t *out);

/* ---- json_walk.c ---------------------------------------------------------------------------------------- */

enum json_outcome {
    JSON_GOOD, /* its rows, perhaps none, are in the batch */
    JSON_LOST, /* it is bad: the fault says why */
    JSON_FULL, /* its rows have no room */
};
/* The record at l becomes rows of the batch. */
enum json_outcome json_put(struct json *j, struct json_line *l, struct json_fault *f);
/* The entry of that name, exactly or without regard to case; -1: none. */
int json_find(const struct json_node *node, const char *p, size_t n, bool exact);
/* The value of a key in the object at l, which is known to be well formed. False: there is none. */
bool json_member(struct json *j, struct json_line l, const char *key, struct json_line *at);
/* How many elements the array at l has. */
uint32_t json_count(struct json_line l);

/* ---- json_path.c ---------------------------------------------------------------------------------------- */

/* Lays out where the columns are found, by json.path and json.column.*. */
enum status json_paths(struct json *j, const struct options *o, struct err *err);
int json_node_new(struct json *j);
/* The entry of a name in a node, made when there is none. The name must outlive j. */
struct json_entry *json_entry_of(struct json *j, int node, const char *name, size_t n);
/* What is wanted inside an entry, made when there is nothing. */
int json_child_of(struct json *j, int node, const char *name, size_t n);
void json_nodes_done(struct json *j);
/* What the words s, ms, us, ns and their like count; false: it is none of them. */
bool json_unit(const char *word, int64_t *mul, int64_t *div);

/* ---- debezium.c ------------------------------------------------------------------------------------------- */

/* Decides which part of the record is the row, after its walk. NULL: the row is at *at, or there is none (*at is not moved). */
const char *debezium_choose(struct json *j, const struct json_line *l, struct json_line *at, bool *none);
/* Of values that mean more than their text: ST_MORE: it is not one. */
enum status debezium_cell(struct json *j, struct batch *b, struct json_column *c, void *data, const struct json_value *v, struct err *err);

/* ---- json_decode.c ---------------------------------------------------------------------------------------- */

enum status json_begin(struct json *j, const struct options *o, struct err *err); /* what all decoders of JSON open with */
void json_close(struct decoder *d);
enum status json_next(struct decoder *d, struct pool *pool, uint32_t max_rows, struct batch **out, struct err *err);
enum status json_records(struct decoder *d, struct pool *pool, const char *text, const struct record *r, uint32_t n, uint32_t *of, uint32_t *used,
                         struct batch **out, struct err *err);

#endif
