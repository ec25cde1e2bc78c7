/* Messages of Arrow's stream format as arrays, of which cdata makes batches.
 *
 * Nothing in a message is believed: its tables are read by flat, which looks at each place before it uses it; nodes and buffers are counted
 * against the schema, buffers lie in the body and are as long as the rows ask for, and what offsets and views say is for cdata to check. A
 * batch has no more rows than its body has bits, so a few bytes cannot ask for more work than they pay for.
 * SPDX-License-Identifier: Apache-2.0 */
#include "arrow/ipc.h"
#include "arrow/ipc_type.h"

#include <string.h>

#define NODES_MAX  65536 /* columns of a schema with all that is nested in them */
#define DEPTH_MAX  64
#define ROWS_UNPAID 65536 /* of a batch whose columns have no bytes */

/* ---- messages ----------------------------------------------------------------------------------------- */

enum { VERSION_V4 = 3, VERSION_V5 = 4 };

static enum status bad(struct err *err, const char *what)
{
    return err_set(err, E_DECODE, "not Arrow IPC: %s", what);
}

static enum ipc_kind kind_of(int64_t header_type)
{
    return header_type >= 1 && header_type <= 3 ? (enum ipc_kind[]){IPC_SCHEMA, IPC_DICTIONARY, IPC_ROWS}[header_type - 1] : IPC_OTHER;
}

enum status ipc_message_at(const char *p, size_t n, uint64_t most, struct ipc_message *out, struct err *err)
{
    int32_t start[2];
    int64_t version, type, body;
    struct flat_view t;
    *out = (struct ipc_message){.size = 8};
    if (n >= 4 && memcmp(p, "\xff\xff\xff\xff", 4)) return bad(err, "a message begins with ff ff ff ff");
    if (n < 8) return ST_WAIT;
    memcpy(start, p, 8);
    if (start[1] < 0) return bad(err, "a message's length is negative");
    if (!start[1]) return ST_OK;
    out->size += (uint32_t)start[1];
    if (n < out->size || out->size > most) return ST_WAIT;
    if (!flat_root((struct flat_bytes){p + 8, (uint32_t)start[1]}, &t) || !flat_int(&t, 0, 2, 0, &version) || !flat_int(&t, 1, 1, 0, &type) ||
        !flat_child(&t, 2, &out->header) || !flat_int(&t, 3, 8, 0, &body) || body < 0 || body > INT64_MAX / 2)
        return bad(err, "a message's metadata is malformed");
    if (version != VERSION_V4 && version != VERSION_V5) return bad(err, "it is of a version older than 4 or newer than 5");
    out->kind = kind_of(type);
    out->body = p + out->size;
    out->body_n = (uint64_t)body;
    out->size += (uint64_t)body;
    return ST_OK;
}

/* ---- the schema ------------------------------------------------------------------------------------------ */

struct ipc_column {
    const char *name;
    char format[IPC_FORMAT_MAX];
    bool dictionary;
    int node, nnodes; /* its own and those nested in it */
};

struct ipc_reader {
    const struct schema *target;
    struct arena *arena; /* of all that follows */
    bool ready;          /* there is a schema that can be read, */
    struct text message; /* whose metadata this is */
    int ncolumns, nnodes;
    struct ipc_column *columns;
    struct text nodes; /* ipc_shapes, depth first, as batches have them */
    int nwanted;
    int *wanted; /* the columns that the target has */
    /* What cdata is shown: arrays and schemas of the wanted columns, one after another, and their parents. */
    struct ArrowSchema schema, *schemas, **schema_list;
    struct ArrowArray array, *arrays, **array_list;
    struct text buffers; /* of pointers */
    struct text sizes;   /* of buffers that views point into */
    struct place {
        size_t buffer, size; /* bytes before a column's own in the two */
    } *places;
    struct cdata *rows;
};

struct ipc_reader *ipc_reader_new(const struct schema *target)
{
    struct ipc_reader *r = mem_zalloc(sizeof *r);
    r->target = target;
    return r;
}

void ipc_reader_free(struct ipc_reader *r)
{
    if (!r) return;
    cdata_close(r->rows);
    arena_free(r->arena);
    text_done(&r->message);
    text_done(&r->nodes);
    text_done(&r->buffers);
    text_done(&r->sizes);
    mem_free(r);
}

static const struct ipc_shape *node_at(const struct ipc_reader *r, int i) { return (const struct ipc_shape *)r->nodes.p + i; }

static bool add_node(struct ipc_reader *r, struct ipc_shape shape)
{
    if (r->nnodes == NODES_MAX) return false;
    text_put(&r->nodes, &shape, sizeof shape);
    r->nnodes++;
    return true;
}

/* Columns of indexes into a dictionary are laid out as these. */
static bool read_dictionary(const struct flat_view *t, struct ipc_shape *out)
{
    struct flat_view index;
    int64_t bits = 32;
    if (!flat_child(t, 1, &index) || (flat_has(&index) && !flat_int(&index, 0, 4, 0, &bits))) return false;
    *out = (struct ipc_shape){.buffers = 2, .width = (uint32_t)bits / 8};
    return bits == 8 || bits == 16 || bits == 32 || bits == 64;
}

static bool read_field(struct ipc_reader *r, const struct flat_view *t, int depth, struct ipc_column *c)
{
    struct ipc_shape shape;
    struct flat_view type, dictionary;
    struct flat_list children;
    int64_t code;
    if (depth == DEPTH_MAX || !flat_text(t, 0, &c->name) || !flat_int(t, 2, 1, 0, &code) || !flat_child(t, 3, &type) ||
        !flat_child(t, 4, &dictionary) || !flat_items(t, 5, 4, &children) || !ipc_type_read(code, &type, c->format, &shape))
        return false;
    c->dictionary = flat_has(&dictionary);
    if (c->dictionary) return read_dictionary(&dictionary, &shape) && add_node(r, shape);
    if (!add_node(r, shape) || (children.n && !shape.nested)) return false;
    for (uint32_t i = 0; i < children.n; i++) {
        struct flat_view child;
        struct ipc_column nested;
        if (!flat_element(&children, i, &child) || !read_field(r, &child, depth + 1, &nested)) return false;
    }
    return true;
}

static bool read_fields(struct ipc_reader *r, const struct flat_list *fields)
{
    for (uint32_t i = 0; i < fields->n; i++) {
        struct flat_view t;
        struct ipc_column *c = &r->columns[i];
        c->node = r->nnodes;
        if (!flat_element(fields, i, &t) || !read_field(r, &t, 0, c)) return false;
        c->name = arena_strdup(r->arena, c->name ? c->name : "");
        c->nnodes = r->nnodes - c->node;
        r->ncolumns++;
    }
    return true;
}

static const char *column_name(const void *ctx, int i)
{
    const struct ipc_reader *r = ctx;
    return i < r->ncolumns ? r->columns[i].name : NULL;
}

/* The column of that name; two are an error when they are equally near. */
static enum status find_column(const struct ipc_reader *r, const char *name, int *out, struct err *err)
{
    int exact = -1, other = -1, nexact = 0, nother = 0;
    for (int i = 0; i < r->ncolumns; i++) {
        if (!strcmp(r->columns[i].name, name)) exact = i, nexact++;
        if (!text_casecmp(r->columns[i].name, name)) other = i, nother++;
    }
    *out = nexact ? exact : other;
    if (nexact > 1 || (!nexact && nother > 1)) return err_set(err, E_AMBIGUOUS, "the stream has several columns \"%s\"", name);
    if (*out >= 0) return ST_OK;
    err_set(err, E_COLUMN, "the stream has no column \"%s\"", name);
    const char *near = text_nearest(name, column_name, r);
    if (near) err_hint(err, "its column \"%s\" may be meant", near);
    return E_COLUMN;
}

static enum status want(struct ipc_reader *r, const struct field *f, struct err *err)
{
    int i;
    TRY(find_column(r, f->name, &i, err));
    const struct ipc_column *c = &r->columns[i];
    if (c->dictionary || node_at(r, c->node)->nested) {
        err_set(err, E_UNSUPPORTED, "the stream's column \"%s\" is %s, which is not read", c->name,
                c->dictionary ? "dictionary-encoded" : "nested");
        err_hint(err, c->dictionary ? "write it as plain values" : "write its parts as columns, or its text as JSON");
        return E_UNSUPPORTED;
    }
    for (int k = 0; k < r->nwanted; k++)
        if (r->wanted[k] == i)
            return err_set(err, E_AMBIGUOUS, "the stream's column \"%s\" is the only one for both \"%s\" and \"%s\"", c->name,
                           r->target->fields[k].name, f->name);
    r->wanted[r->nwanted++] = i;
    return ST_OK;
}

static void no_release_schema(struct ArrowSchema *s) { s->release = NULL; }
static void no_release_array(struct ArrowArray *a) { a->release = NULL; }

static void lay_out(struct ipc_reader *r)
{
    size_t n = (size_t)r->nwanted + 1;
    static const void *no_validity[1];
    r->schemas = arena_alloc(r->arena, sizeof *r->schemas * n);
    r->schema_list = arena_alloc(r->arena, sizeof *r->schema_list * n);
    r->arrays = arena_alloc(r->arena, sizeof *r->arrays * n);
    r->array_list = arena_alloc(r->arena, sizeof *r->array_list * n);
    r->places = arena_alloc(r->arena, sizeof *r->places * n);
    for (int i = 0; i < r->nwanted; i++) {
        r->schemas[i] = (struct ArrowSchema){
            .format = r->columns[r->wanted[i]].format, .name = r->target->fields[i].name, .release = no_release_schema};
        r->schema_list[i] = &r->schemas[i];
        r->array_list[i] = &r->arrays[i];
    }
    r->schema = (struct ArrowSchema){
        .format = "+s", .name = "", .n_children = r->nwanted, .children = r->schema_list, .release = no_release_schema};
    r->array = (struct ArrowArray){
        .n_buffers = 1, .buffers = no_validity, .n_children = r->nwanted, .children = r->array_list, .release = no_release_array};
}

/* Whether types go into those of the target is seen by binding no rows. */
static enum status try_types(struct ipc_reader *r, struct pool *p, struct err *err)
{
    static const void *none[3];
    struct cdata *c = NULL;
    for (int i = 0; i < r->nwanted; i++) {
        const struct ipc_shape *shape = node_at(r, r->columns[r->wanted[i]].node);
        r->arrays[i] = (struct ArrowArray){.n_buffers = shape->views ? 3 : shape->buffers, .buffers = none, .release = no_release_array};
    }
    r->array.length = 0;
    enum status st = cdata_open(p, &r->array, &r->schema, r->target, &c, err);
    cdata_close(c);
    return st;
}

static enum status read_schema(struct ipc_reader *r, struct pool *p, const struct ipc_message *m, struct err *err)
{
    int64_t big;
    struct flat_list fields;
    if (!flat_int(&m->header, 0, 2, 0, &big) || !flat_items(&m->header, 1, 4, &fields) || fields.n > NODES_MAX)
        return bad(err, "the schema is malformed");
    if (big) return err_set(err, E_UNSUPPORTED, "the stream is big-endian, which is not read");
    r->columns = arena_alloc(r->arena, sizeof *r->columns * (fields.n + 1));
    if (!read_fields(r, &fields)) return bad(err, "the schema is malformed, or of types that are not known");
    r->wanted = arena_alloc(r->arena, sizeof *r->wanted * (size_t)(r->target->n + 1));
    for (int i = 0; i < r->target->n; i++) TRY(want(r, &r->target->fields[i], err));
    lay_out(r);
    return try_types(r, p, err);
}

bool ipc_reader_is_same(const struct ipc_reader *r, const struct ipc_message *m)
{
    return r->ready && r->message.n == m->header.in.n && !memcmp(r->message.p, m->header.in.p, r->message.n);
}

enum status ipc_reader_schema(struct ipc_reader *r, struct pool *p, const struct ipc_message *m, struct err *err)
{
    if (ipc_reader_is_same(r, m)) return ST_OK;
    cdata_close(TAKE(r->rows));
    arena_free(r->arena);
    r->arena = arena_new();
    r->ncolumns = r->nnodes = r->nwanted = 0;
    text_clear(&r->nodes);
    r->ready = false;
    TRY(read_schema(r, p, m, err));
    text_clear(&r->message);
    text_put(&r->message, m->header.in.p, m->header.in.n);
    r->ready = true;
    return ST_OK;
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

/* A record batch, and how far it has been gone through. */
struct walk {
    const struct ipc_message *m;
    int64_t rows;
    struct flat_list nodes, buffers, counts;
    uint32_t node, buffer, count;
};

static int64_t int_at(const struct flat_list *l, uint64_t place)
{
    int64_t v;
    memcpy(&v, l->in.p + l->at + 8 * place, 8);
    return v;
}

/* The next buffer, if it is in the body. */
static bool next_buffer(struct walk *w, const char **p, uint64_t *n)
{
    if (w->buffer == w->buffers.n) return false;
    int64_t at = int_at(&w->buffers, 2 * w->buffer), size = int_at(&w->buffers, 2 * w->buffer + 1);
    w->buffer++;
    if (at < 0 || size < 0 || (uint64_t)at > w->m->body_n || (uint64_t)size > w->m->body_n - (uint64_t)at) return false;
    *p = w->m->body + at;
    *n = (uint64_t)size;
    return true;
}

/* How many buffers the next node has, among them those of its views. */
static bool next_node(struct walk *w, const struct ipc_shape *shape, int64_t *rows, int64_t *nulls, int64_t *buffers)
{
    if (w->node == w->nodes.n) return false;
    *rows = int_at(&w->nodes, 2 * w->node), *nulls = int_at(&w->nodes, 2 * w->node + 1);
    w->node++;
    *buffers = shape->buffers;
    if (*rows < 0 || *nulls < 0 || *nulls > *rows) return false;
    if (!shape->views) return true;
    if (w->count == w->counts.n) return false;
    int64_t more = int_at(&w->counts, w->count++);
    *buffers += more;
    return more >= 0 && more <= w->buffers.n;
}

static bool pass_node(struct walk *w, const struct ipc_shape *shape)
{
    int64_t rows, nulls, buffers;
    if (!next_node(w, shape, &rows, &nulls, &buffers) || buffers > w->buffers.n - w->buffer) return false;
    w->buffer += (uint32_t)buffers;
    return true;
}

/* Whether a buffer of n bytes is long enough to be number i of a column. */
static bool is_enough(const struct ipc_shape *shape, int64_t rows, int64_t nulls, int i, uint64_t n)
{
    uint64_t bits = ((uint64_t)rows + 7) / 8;
    if (i == 0) return !nulls || n >= bits;
    if (i > 1) return true;
    if (shape->offsets) return !rows || n / shape->offsets > (uint64_t)rows;
    return shape->bits ? n >= bits : !shape->width || n / shape->width >= (uint64_t)rows;
}

/* The last offset of a text column, which cdata cannot check against its bytes. */
static bool text_ends(const struct ipc_shape *shape, int64_t rows, const char *offsets, uint64_t n)
{
    int64_t end = 0;
    if (!rows) return true;
    memcpy(&end, offsets + shape->offsets * (uint64_t)rows, shape->offsets);
    return end >= 0 && (uint64_t)end <= n;
}

/* Buffers of one wanted column. */
static bool take_node(struct ipc_reader *r, struct walk *w, const struct ipc_shape *shape, struct ArrowArray *a)
{
    static const char nothing[8];
    const char *p[3] = {nothing, nothing, nothing};
    int64_t buffers;
    *a = (struct ArrowArray){.release = no_release_array};
    if (!next_node(w, shape, &a->length, &a->null_count, &buffers) || a->length != w->rows) return false;
    for (int i = 0; i < buffers; i++) {
        const char *at;
        uint64_t n;
        if (!next_buffer(w, &at, &n) || !is_enough(shape, a->length, a->null_count, i, n)) return false;
        if (!n) at = nothing;
        if (i == 0 && !a->null_count) at = NULL;
        text_put(&r->buffers, &at, sizeof at);
        if (shape->views && i > 1) text_put(&r->sizes, &n, sizeof n);
        if (i < 3) p[i] = at;
        if (shape->offsets && i == 2 && !text_ends(shape, a->length, p[1], n)) return false;
    }
    a->n_buffers = buffers + shape->views;
    if (shape->views) text_put(&r->buffers, &(const char *){NULL}, sizeof(char *)); /* the place for sizes */
    return true;
}

/* Where the buffers of all columns are is known when there are no more to come. */
static void point_at_buffers(struct ipc_reader *r)
{
    for (int i = 0; i < r->nwanted; i++) {
        struct ArrowArray *a = &r->arrays[i];
        if (!a->n_buffers) continue;
        a->buffers = (const void **)(r->buffers.p + r->places[i].buffer);
        if (node_at(r, r->columns[r->wanted[i]].node)->views && a->n_buffers > 3) a->buffers[a->n_buffers - 1] = r->sizes.p + r->places[i].size;
    }
}

static int place_of(const struct ipc_reader *r, int column)
{
    for (int i = 0; i < r->nwanted; i++)
        if (r->wanted[i] == column) return i;
    return -1;
}

static bool take_columns(struct ipc_reader *r, struct walk *w)
{
    text_clear(&r->buffers);
    text_clear(&r->sizes);
    for (int i = 0; i < r->ncolumns; i++) {
        const struct ipc_column *c = &r->columns[i];
        int to = place_of(r, i);
        for (int k = 0; to < 0 && k < c->nnodes; k++)
            if (!pass_node(w, node_at(r, c->node + k))) return false;
        if (to >= 0) r->places[to] = (struct place){r->buffers.n, r->sizes.n};
        if (to >= 0 && !take_node(r, w, node_at(r, c->node), &r->arrays[to])) return false;
    }
    point_at_buffers(r);
    return w->node == w->nodes.n && w->buffer == w->buffers.n;
}

static enum status refuse_compressed(const struct flat_view *t, struct err *err)
{
    int64_t codec;
    if (!flat_int(t, 0, 1, 0, &codec)) return bad(err, "the compression of a batch is malformed");
    err_set(err, E_UNSUPPORTED, "the batch is compressed with %s, which is not read", codec ? "ZSTD" : "LZ4");
    err_hint(err, "write it without compression");
    return E_UNSUPPORTED;
}

enum status ipc_reader_rows(struct ipc_reader *r, struct pool *p, const struct ipc_message *m, struct cdata **out, struct err *err)
{
    struct walk w = {.m = m};
    struct flat_view compression;
    cdata_close(TAKE(r->rows));
    if (!r->ready) return bad(err, "a batch comes before the schema");
    if (!flat_int(&m->header, 0, 8, 0, &w.rows) || !flat_items(&m->header, 1, 16, &w.nodes) || !flat_items(&m->header, 2, 16, &w.buffers) ||
        !flat_child(&m->header, 3, &compression) || !flat_items(&m->header, 4, 8, &w.counts))
        return bad(err, "a batch is malformed");
    if (flat_has(&compression)) return refuse_compressed(&compression, err);
    if (w.rows < 0 || (uint64_t)w.rows / 8 > m->body_n + ROWS_UNPAID / 8) return bad(err, "a batch has more rows than its bytes can hold");
    if (!take_columns(r, &w)) return bad(err, "the columns of a batch are not those of the schema, or beyond its bytes");
    r->array.length = w.rows;
    TRY(cdata_open(p, &r->array, &r->schema, r->target, &r->rows, err));
    *out = r->rows;
    return ST_OK;
}
