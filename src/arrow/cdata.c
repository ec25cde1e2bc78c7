/* Batches to and from the Arrow C data interface. SPDX-License-Identifier: Apache-2.0 */
#include "arrow/cdata.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>

/* ---- schemas out --------------------------------------------------------------------------- */

/* One block each: a child that has been moved out of its parent is released apart. */
struct schema_block {
    char format[24];
    struct ArrowSchema *children; /* of the parent */
    struct ArrowSchema **list;
    char name[];
};

static void schema_release(struct ArrowSchema *x)
{
    struct schema_block *block = x->private_data;
    for (int64_t i = 0; i < x->n_children; i++)
        if (x->children[i]->release) x->children[i]->release(x->children[i]);
    mem_free(block->children);
    mem_free(block->list);
    mem_free(block);
    x->release = NULL;
}

static struct schema_block *schema_start(struct ArrowSchema *x, const char *name, int64_t flags)
{
    size_t n = strlen(name) + 1;
    struct schema_block *block = mem_zalloc(sizeof *block + n);
    memcpy(block->name, name, n);
    *x = (struct ArrowSchema){
        .format = block->format, .name = block->name, .flags = flags, .release = schema_release, .private_data = block};
    return block;
}

static const char *const formats[T_COUNT] = {
    [T_NULL] = "n",         [T_BOOL] = "b",
    [T_INT8] = "c",         [T_INT16] = "s",
    [T_INT32] = "i",        [T_INT64] = "l",
    [T_FLOAT] = "f",        [T_DOUBLE] = "g",
    [T_VARCHAR] = "u",      [T_BLOB] = "z",
    [T_DATE] = "tdD",       [T_TIME] = "ttu",
    [T_TIMESTAMP] = "tsu:", [T_TIMESTAMPTZ] = "tsu:UTC",
    [T_INTERVAL] = "tin",   [T_UUID] = "w:16",
    [T_JSON] = "u",
};

/* Metadata as the C data interface lays it out: what is text there is JSON here. */
static const struct {
    int32_t n, key_n;
    char key[20];
    int32_t value_n;
    char value[10];
} json_metadata = {1, 20, "ARROW:extension:name", 10, "arrow.json"};

static void format_of(struct type t, unsigned flags, char out[24])
{
    if (t.id == T_DECIMAL)
        snprintf(out, 24, "d:38,%d", t.scale);
    else if (type_is_text(t) && flags & CDATA_LARGE)
        snprintf(out, 24, "%s", t.id == T_BLOB ? "Z" : "U");
    else
        snprintf(out, 24, "%s", formats[t.id] ? formats[t.id] : "n");
}

void cdata_schema(const struct schema *s, unsigned flags, struct ArrowSchema *out)
{
    int w = flags & CDATA_WEIGHT ? 1 : 0, n = s->n + w;
    struct schema_block *block = schema_start(out, "", 0);
    strcpy(block->format, "+s");
    block->children = mem_zalloc(sizeof(struct ArrowSchema) * (size_t)(n ? n : 1));
    block->list = mem_alloc(sizeof(struct ArrowSchema *) * (size_t)(n ? n : 1));
    out->children = block->list;
    out->n_children = n;
    for (int i = 0; i < n; i++) block->list[i] = &block->children[i];
    if (w) strcpy(schema_start(block->list[0], "w", 0)->format, "c");
    for (int i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        struct schema_block *child = schema_start(block->list[i + w], f->name, f->not_null ? 0 : ARROW_FLAG_NULLABLE);
        format_of(f->type, flags, child->format);
        if (flags & CDATA_EXTENSIONS && f->type.id == T_JSON) block->list[i + w]->metadata = (const char *)&json_metadata;
    }
}

/* ---- batches out --------------------------------------------------------------------------- */

/* All of an exported array lives in one holder batch, which pins the batch that is shown; the parent and each child
 * hold one reference to it. */
static void array_release(struct ArrowArray *a)
{
    struct batch *holder = a->private_data;
    for (int64_t i = 0; i < a->n_children; i++)
        if (a->children[i]->release) a->children[i]->release(a->children[i]);
    a->release = NULL;
    batch_unref(holder);
}

static int64_t count_nulls(const struct column *c, uint32_t rows)
{
    if (!c->valid) return 0;
    int64_t set = 0;
    for (uint32_t i = 0; i < rows / 64; i++) set += __builtin_popcountll(c->valid[i]);
    if (rows % 64) set += __builtin_popcountll(c->valid[rows / 64] & ((1ull << rows % 64) - 1));
    return rows - set;
}

static size_t text_bytes(const struct column *c, uint32_t rows)
{
    const struct str *v = c->data;
    size_t total = 0;
    for (uint32_t i = 0; i < rows; i++)
        if (!column_null(c, i)) total += v[i].n;
    return total;
}

bool cdata_is_large(const struct batch *b, const struct schema *s)
{
    for (int i = 0; i < s->n; i++)
        if (type_is_text(s->fields[i].type) && text_bytes(&b->cols[i], b->rows) > INT32_MAX) return true;
    return false;
}

static void export_bools(struct batch *holder, const struct column *c, uint32_t rows, const void **buffers)
{
    uint64_t *bits = batch_alloc(holder, bitmap_words(rows) * 8 + 8);
    memset(bits, 0, bitmap_words(rows) * 8 + 8);
    const uint8_t *v = c->data;
    for (uint32_t i = 0; i < rows; i++) bits[i >> 6] |= (uint64_t)(v[i] & 1) << (i & 63);
    buffers[1] = bits;
}

static void export_text(struct batch *holder, const struct column *c, uint32_t rows, size_t total, bool large,
                        const void **buffers)
{
    const struct str *v = c->data;
    void *offsets = batch_alloc(holder, ((size_t)rows + 1) * (large ? 8 : 4));
    char *bytes = batch_alloc(holder, total + STR_INLINE);
    size_t at = 0;
    for (uint32_t i = 0;; i++) {
        if (large)
            ((int64_t *)offsets)[i] = (int64_t)at;
        else
            ((int32_t *)offsets)[i] = (int32_t)at;
        if (i == rows) break;
        if (column_null(c, i)) continue;
        if (v[i].n <= STR_INLINE)
            memcpy(bytes + at, v[i].prefix, 4), memcpy(bytes + at + 4, v[i].rest, 8); /* what is too much the next one covers */
        else
            memcpy(bytes + at, v[i].p, v[i].n);
        at += v[i].n;
    }
    buffers[1] = offsets;
    buffers[2] = bytes;
}

/* Arrow's month_day_nano. */
struct month_day_nano {
    int32_t months, days;
    int64_t ns;
};

static enum status export_intervals(struct batch *holder, const struct column *c, const struct field *f, uint32_t rows,
                                    const void **buffers, struct err *err)
{
    const struct interval *v = c->data;
    struct month_day_nano *out = batch_alloc(holder, sizeof *out * ((size_t)rows + 1));
    for (uint32_t i = 0; i < rows; i++) {
        out[i] = (struct month_day_nano){v[i].months, v[i].days, 0};
        if (!column_null(c, i) && __builtin_mul_overflow(v[i].us, 1000, &out[i].ns))
            return err_set(err, E_RANGE, "the interval in row %u of \"%s\" does not fit in 64 bits of nanoseconds", i,
                           f->name);
    }
    buffers[1] = out;
    return ST_OK;
}

static enum status export_column(struct batch *holder, const struct batch *b, int col, const struct field *f,
                                 unsigned flags, struct ArrowArray *a, struct err *err)
{
    const struct column *c = &b->cols[col];
    if (f->type.id == T_NULL) {
        a->n_buffers = 0;
        a->null_count = b->rows;
        return ST_OK;
    }
    a->n_buffers = type_is_text(f->type) ? 3 : 2;
    a->null_count = count_nulls(c, b->rows);
    a->buffers[0] = a->null_count ? c->valid : NULL;
    a->buffers[1] = c->data;
    if (f->type.id == T_BOOL) export_bools(holder, c, b->rows, a->buffers);
    if (f->type.id == T_INTERVAL) TRY(export_intervals(holder, c, f, b->rows, a->buffers, err));
    if (!type_is_text(f->type)) return ST_OK;
    size_t total = text_bytes(c, b->rows);
    if (total > INT32_MAX && !(flags & CDATA_LARGE))
        return err_set(err, E_LIMIT,
                       "column \"%s\" holds %zu bytes of text in one batch: more than 32-bit offsets reach", f->name,
                       total);
    export_text(holder, c, b->rows, total, flags & CDATA_LARGE, a->buffers);
    return ST_OK;
}

static void export_weight(struct batch *holder, const struct batch *b, struct ArrowArray *a)
{
    a->n_buffers = 2;
    a->buffers[1] = b->weight;
    if (b->weight) return;
    int8_t *ones = batch_alloc(holder, b->rows + 1);
    memset(ones, 1, b->rows + 1);
    a->buffers[1] = ones;
}

enum status cdata_export(struct pool *p, struct batch *b, const struct schema *s, unsigned flags,
                         struct ArrowArray *out, struct err *err)
{
    int w = flags & CDATA_WEIGHT ? 1 : 0, n = s->n + w;
    AUTO(batch_unref) struct batch *holder = batch_new(p, 0);
    batch_pin(holder, b);
    struct child {
        struct ArrowArray array;
        const void *buffers[3];
    } *children = batch_alloc(holder, sizeof *children * (size_t)(n + 1));
    struct ArrowArray **list = batch_alloc(holder, sizeof *list * (size_t)(n + 1));
    memset(children, 0, sizeof *children * (size_t)(n + 1));
    for (int i = 0; i < n; i++) {
        struct ArrowArray *a = list[i] = &children[i].array;
        *a = (struct ArrowArray){
            .length = b->rows, .buffers = children[i].buffers, .release = array_release, .private_data = holder};
        if (i < w)
            export_weight(holder, b, a);
        else
            TRY(export_column(holder, b, i - w, &s->fields[i - w], flags, a, err));
    }
    for (int i = 0; i < n; i++) batch_ref(holder);
    *out = (struct ArrowArray){.length = b->rows,
                               .n_buffers = 1,
                               .n_children = n,
                               .buffers = children[n].buffers,
                               .children = list,
                               .release = array_release,
                               .private_data = holder};
    holder = NULL;
    return ST_OK;
}

/* ---- foreign arrays in: checks --------------------------------------------------------------- */

/* How one value of a foreign column is read. */
enum reading {
    READ_NULL, /* every row is NULL: no such column, or of the null type */
    READ_BITS, /* BOOLEAN */
    READ_COPY, /* the same layout */
    READ_INT,  /* an integer of `width` bytes, times `mul`, by `div`; into an integer of type_width */
    READ_INT_REAL,
    READ_REAL, /* float or double into float or double */
    READ_DECIMAL,
    READ_INTERVAL,
    READ_TEXT,  /* offsets of `width` bytes */
    READ_VIEW,  /* string views */
    READ_FIXED, /* bytes of `width` a row */
};

struct reader {
    enum reading how;
    const struct ArrowArray *a;
    int64_t at;           /* of row 0 of the struct, in the child's buffers */
    const uint8_t *valid; /* NULL: no NULLs */
    int width;
    bool is_unsigned;
    int64_t mul, div;
    int shift;         /* decimal digits to add (negative: to take away) */
    enum status range; /* the error of a value that does not fit */
};

struct cdata {
    struct pool *pool;
    const struct schema *target;
    int64_t rows, at;
    struct reader cols[];
};

#define TEXT_CHUNK (4 << 20) /* a batch is cut so that no column has much more text */

static enum status malformed(struct err *err, const char *name, const char *what)
{
    return err_set(err, E_SCHEMA, "the array's column \"%s\" is malformed: %s", name, what);
}

static enum status mismatch(struct err *err, const struct ArrowSchema *x, struct type want)
{
    char buf[64];
    err_set(err, E_SCHEMA, "the array's column \"%s\" has Arrow format \"%.32s\", which does not go into %s", x->name,
            x->format, type_name(want, buf));
    err_hint(err, "declare the column as a type that holds the same, or cast it where it comes from");
    return E_SCHEMA;
}

/* Lengths and counts that any array must have; *at is where its first row lies. */
static enum status check_array(const struct ArrowArray *a, const char *name, int64_t n_buffers, struct err *err)
{
    if (!a || !a->release) return malformed(err, name, "it has been released");
    if (a->length < 0 || a->offset < 0 || a->length > INT64_MAX / 64 || a->offset > INT64_MAX / 64)
        return malformed(err, name, "negative or absurd length or offset");
    if (a->null_count < -1 || a->null_count > a->length) return malformed(err, name, "null_count outside the length");
    if (n_buffers >= 0 && a->n_buffers != n_buffers) return malformed(err, name, "wrong number of buffers");
    if (a->n_buffers > 0 && !a->buffers) return malformed(err, name, "no buffers");
    if (a->null_count > 0 && a->n_buffers > 0 && !a->buffers[0]) return malformed(err, name, "NULLs without a bitmap");
    return ST_OK;
}

static int int_width(const char *f, bool *is_unsigned)
{
    if (!f[0] || f[1]) return 0;
    const char *at = strchr("cCsSiIlL", f[0]);
    if (!at) return 0;
    int k = (int)(at - "cCsSiIlL");
    *is_unsigned = k & 1;
    return 1 << (k / 2);
}

/* The unit letter of a time format as multiples of a microsecond: mul / div. */
static bool unit_of(char c, struct reader *r)
{
    r->mul = c == 's' ? 1000000 : c == 'm' ? 1000 : 1;
    r->div = c == 'n' ? 1000 : 1;
    return c && strchr("smun", c);
}

static bool bind_time(const char *f, struct type want, struct reader *r)
{
    r->how = READ_INT;
    r->width = 8;
    r->mul = r->div = 1;
    r->range = E_DATETIME_RANGE;
    if (want.id == T_DATE && !strcmp(f, "tdD")) return r->width = 4, true;
    if (want.id == T_DATE && !strcmp(f, "tdm")) return r->div = 86400000, true;
    if (want.id == T_TIME && !strncmp(f, "tt", 2) && unit_of(f[2], r) && !f[3])
        return r->width = f[2] == 's' || f[2] == 'm' ? 4 : 8, true;
    return type_is_time(want) && !strncmp(f, "ts", 2) && unit_of(f[2], r) && f[3] == ':';
}

static bool bind_decimal(const char *f, struct type want, struct reader *r)
{
    int precision, scale, bits = 128, n = 0;
    if (sscanf(f, "d:%3d,%4d%n", &precision, &scale, &n) != 2) return false;
    if (f[n] && (sscanf(f + n, ",%4d", &bits) != 1 || bits != 128)) return false;
    if (precision < 1 || precision > 38 || scale < -38 || scale > 38) return false;
    r->how = READ_DECIMAL;
    r->width = 16;
    r->shift = want.scale - scale;
    return r->shift >= -38 && r->shift <= 38;
}

static bool bind_number(const char *f, struct type want, struct reader *r)
{
    r->mul = r->div = 1;
    r->range = E_RANGE;
    int width = int_width(f, &r->is_unsigned);
    if (width) {
        r->width = width;
        r->how = type_is_integer(want) ? READ_INT : type_is_float(want) ? READ_INT_REAL : READ_DECIMAL;
        r->shift = want.scale;
        return true;
    }
    if (want.id == T_DECIMAL) return bind_decimal(f, want, r);
    r->how = READ_REAL;
    r->width = f[0] == 'f' ? 4 : 8;
    return type_is_float(want) && (!strcmp(f, "f") || !strcmp(f, "g"));
}

static bool bind_text(const char *f, struct type want, struct reader *r)
{
    int n = 0;
    bool blob = want.id == T_BLOB;
    if (!strcmp(f, "u") || !strcmp(f, "z")) return r->how = READ_TEXT, r->width = 4, blob == (*f == 'z');
    if (!strcmp(f, "U") || !strcmp(f, "Z")) return r->how = READ_TEXT, r->width = 8, blob == (*f == 'Z');
    if (!strcmp(f, "vu") || !strcmp(f, "vz")) return r->how = READ_VIEW, r->width = 16, blob == (f[1] == 'z');
    r->how = READ_FIXED;
    return blob && sscanf(f, "w:%8d%n", &r->width, &n) == 1 && !f[n] && r->width > 0 && r->width <= 1 << 20;
}

static bool bind_interval(const char *f, struct reader *r)
{
    r->how = READ_INTERVAL;
    r->width = !strcmp(f, "tiM") ? 4 : !strcmp(f, "tiD") ? 8 : !strcmp(f, "tin") ? 16 : 0;
    return r->width != 0;
}

static bool bind_format(const char *f, struct type want, struct reader *r)
{
    if (!strcmp(f, "n")) return r->how = READ_NULL, true;
    switch (want.id) {
    case T_BOOL: return r->how = READ_BITS, !strcmp(f, "b");
    case T_UUID: return r->how = READ_COPY, r->width = 16, !strcmp(f, "w:16");
    case T_INTERVAL: return bind_interval(f, r);
    case T_DATE:
    case T_TIME:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: return bind_time(f, want, r);
    case T_VARCHAR:
    case T_JSON:
    case T_BLOB: return bind_text(f, want, r);
    default: return type_is_number(want) && bind_number(f, want, r);
    }
}

/* READ_INT without change of width or unit is a plain copy. */
static void simplify(struct reader *r, struct type want)
{
    if (r->how == READ_INT && !r->is_unsigned && r->mul == 1 && r->div == 1 && r->width == (int)type_width(want) &&
        want.id != T_TIME)
        r->how = READ_COPY;
    if (r->how == READ_REAL && r->width == (int)type_width(want)) r->how = READ_COPY;
}

static int64_t offset_at(const struct reader *r, int64_t i)
{
    if (r->width == 8) {
        int64_t v;
        memcpy(&v, (const char *)r->a->buffers[1] + 8 * (r->at + i), 8);
        return v;
    }
    int32_t v;
    memcpy(&v, (const char *)r->a->buffers[1] + 4 * (r->at + i), 4);
    return v;
}

static enum status check_offsets(const struct reader *r, const char *name, int64_t rows, struct err *err)
{
    int64_t last = offset_at(r, 0);
    if (last < 0) return malformed(err, name, "negative offset");
    for (int64_t i = 1; i <= rows; i++) {
        int64_t next = offset_at(r, i);
        if (next < last) return malformed(err, name, "offsets go backwards");
        if (next - last > INT32_MAX) return malformed(err, name, "a value is longer than 2 GiB");
        last = next;
    }
    if (last > offset_at(r, 0) && !r->a->buffers[2]) return malformed(err, name, "text without a data buffer");
    return ST_OK;
}

static int64_t buffer_count(enum reading how)
{
    return how == READ_NULL ? 0 : how == READ_TEXT ? 3 : how == READ_VIEW ? -1 : 2;
}

static enum status bind_column(const struct ArrowArray *a, const struct ArrowSchema *x, const struct field *f,
                               int64_t from, int64_t rows, struct reader *r, struct err *err)
{
    if (x->dictionary || a->dictionary) {
        err_set(err, E_UNSUPPORTED, "the array's column \"%s\" is dictionary-encoded", x->name);
        err_hint(err, "decode it to plain values where it comes from");
        return E_UNSUPPORTED;
    }
    if (x->n_children || a->n_children || x->format[0] == '+')
        return err_set(err, E_UNSUPPORTED, "the array's column \"%s\" is nested", x->name);
    if (!bind_format(x->format, f->type, r)) return mismatch(err, x, f->type);
    TRY(check_array(a, x->name, buffer_count(r->how), err));
    if (a->length < from + rows) return malformed(err, x->name, "it is shorter than the struct array");
    r->a = a;
    r->at = a->offset + from;
    if (r->how == READ_NULL || !rows) return ST_OK;
    if (r->how == READ_VIEW && a->n_buffers < 3) return malformed(err, x->name, "wrong number of buffers");
    if (!a->buffers[1]) return malformed(err, x->name, "no data buffer");
    if (a->null_count) r->valid = a->buffers[0];
    if (r->how == READ_TEXT) TRY(check_offsets(r, x->name, rows, err));
    simplify(r, f->type);
    return ST_OK;
}

static const char *field_name(const void *ctx, int i)
{
    const struct schema *s = ctx;
    return i < s->n ? s->fields[i].name : NULL;
}

static enum status unknown_column(const struct schema *target, const char *name, struct err *err)
{
    err_set(err, E_COLUMN, "the array's column \"%s\" is not one of the columns to fill", name);
    const char *near = text_nearest(name, field_name, target);
    if (near) err_hint(err, "did you mean \"%s\"?", near);
    return E_COLUMN;
}

static enum status check_struct(const struct ArrowArray *a, const struct ArrowSchema *x, struct err *err)
{
    if (!x || !x->release || !x->format) return err_set(err, E_SCHEMA, "the schema has been released");
    if (strcmp(x->format, "+s"))
        return err_set(err, E_SCHEMA, "rows come as a struct array (\"+s\"), not as \"%.32s\"", x->format);
    TRY(check_array(a, "(rows)", 1, err));
    if (a->n_children != x->n_children || a->n_children < 0 || (a->n_children && (!a->children || !x->children)))
        return err_set(err, E_SCHEMA, "the array and its schema have different numbers of columns");
    if (!a->null_count || !a->buffers[0]) return ST_OK;
    const uint8_t *valid = a->buffers[0];
    for (int64_t i = a->offset; i < a->offset + a->length; i++)
        if (!(valid[i / 8] >> (i % 8) & 1))
            return err_set(err, E_SCHEMA, "row %lld is NULL as a whole", (long long)(i - a->offset));
    return ST_OK;
}

static enum status bind(struct cdata *c, const struct ArrowArray *a, const struct ArrowSchema *x, struct err *err)
{
    for (int64_t i = 0; i < a->n_children; i++) {
        const struct ArrowSchema *cx = x->children[i];
        if (!cx || !cx->release || !cx->format || !cx->name)
            return err_set(err, E_SCHEMA, "the schema's column %lld is malformed", (long long)i);
        int to = schema_find(c->target, cx->name);
        if (to < 0) return unknown_column(c->target, cx->name, err);
        if (c->cols[to].a) return err_set(err, E_AMBIGUOUS, "the array has two columns \"%s\"", cx->name);
        if (!a->children[i]) return malformed(err, cx->name, "it is missing");
        TRY(bind_column(a->children[i], cx, &c->target->fields[to], a->offset, a->length, &c->cols[to], err));
    }
    for (int i = 0; i < c->target->n; i++)
        if (c->target->fields[i].not_null && c->cols[i].how == READ_NULL && a->length)
            return err_set(err, E_SCHEMA, "column \"%s\" is NOT NULL and the array has no values for it",
                           c->target->fields[i].name);
    return ST_OK;
}

enum status cdata_open(struct pool *p, const struct ArrowArray *array, const struct ArrowSchema *schema,
                       const struct schema *target, struct cdata **out, struct err *err)
{
    TRY(check_struct(array, schema, err));
    size_t n = sizeof(struct cdata) + sizeof(struct reader) * (size_t)target->n;
    AUTO(cdata_close) struct cdata *c = pool_take(p, n);
    memset(c, 0, n);
    c->pool = p;
    c->target = target;
    c->rows = array->length;
    TRY(bind(c, array, schema, err));
    *out = TAKE(c);
    return ST_OK;
}

void cdata_close(struct cdata *c)
{
    pool_give(c);
}

/* ---- foreign arrays in: rows ------------------------------------------------------------------ */

/* One column of the batch being read. */
struct filling {
    const struct reader *r;
    const struct field *f;
    struct batch *b;
    struct column *c;
    int64_t from; /* the first row, in the struct array */
    uint32_t n;
    struct cdata_faults *faults; /* NULL: the first ends the reading */
};

static bool is_null(const struct filling *x, uint32_t i)
{
    return column_null(x->c, i);
}

static const char *bytes_at(const struct filling *x, uint32_t i)
{
    return (const char *)x->r->a->buffers[1] + (size_t)x->r->width * (size_t)(x->r->at + x->from + i);
}

static enum status describe(const struct filling *x, uint32_t i, enum status code, const char *what, struct err *err)
{
    char buf[64];
    return err_set(err, code, "row %lld, column \"%s\": %s %s", (long long)(x->from + i), x->f->name, what,
                   type_name(x->f->type, buf));
}

void cdata_fault_add(struct cdata_faults *f, struct batch *b, int col, uint32_t row, uint32_t cap, const struct err *why)
{
    struct column *c = &b->cols[col];
    if (!f->cells || row < f->first.row) f->first = (struct cdata_fault){row, *why};
    if (!f->cells || row > f->last.row) f->last = (struct cdata_fault){row, *why};
    f->cells++;
    bit_set(f->rows, row);
    if (!c->valid) c->valid = batch_validity(b, cap);
    bit_clear(c->valid, row);
}

/* ST_OK: it is noted, and the cell is NULL. */
static enum status bad_value(const struct filling *x, uint32_t i, enum status code, const char *what, struct err *err)
{
    struct err why;
    if (!x->faults) return describe(x, i, code, what, err);
    describe(x, i, code, what, &why);
    cdata_fault_add(x->faults, x->b, (int)(x->c - x->b->cols), i, x->n, &why);
    return ST_OK;
}

/* The bitmap, moved to bit 0; none when no row is NULL. */
static void fill_validity(struct filling *x)
{
    const struct reader *r = x->r;
    if (r->how == READ_NULL) {
        x->c->valid = batch_validity(x->b, x->n);
        memset(x->c->valid, 0, bitmap_words(x->n) * 8);
        return;
    }
    if (!r->valid) return;
    uint64_t *m = NULL;
    for (uint32_t i = 0; i < x->n; i++) {
        int64_t k = r->at + x->from + i;
        if (r->valid[k >> 3] >> (k & 7) & 1) continue;
        if (!m) m = batch_validity(x->b, x->n);
        bit_clear(m, i);
    }
    x->c->valid = m;
}

static void fill_zero_nulls(struct filling *x)
{
    size_t width = type_width(x->f->type);
    if (!x->c->valid) return;
    for (uint32_t i = 0; i < x->n; i++)
        if (is_null(x, i)) memset((char *)x->c->data + width * i, 0, width);
}

static void fill_bits(struct filling *x)
{
    const uint8_t *bits = x->r->a->buffers[1];
    uint8_t *out = x->c->data;
    for (uint32_t i = 0; i < x->n; i++) {
        int64_t k = x->r->at + x->from + i;
        out[i] = bits[k >> 3] >> (k & 7) & 1;
    }
}

static int128 int_at(const struct filling *x, uint32_t i)
{
    const char *p = bytes_at(x, i);
    uint64_t u = 0;
    memcpy(&u, p, (size_t)x->r->width);
    if (x->r->is_unsigned) return u;
    int unused = 64 - 8 * x->r->width;
    return (int64_t)(u << unused) >> unused;
}

static bool put_int(void *to, size_t width, int128 v)
{
    int64_t w = (int64_t)v;
    if (w != v) return false;
    switch (width) {
    case 1: *(int8_t *)to = (int8_t)w; return w == (int8_t)w;
    case 2: *(int16_t *)to = (int16_t)w; return w == (int16_t)w;
    case 4: *(int32_t *)to = (int32_t)w; return w == (int32_t)w;
    default: *(int64_t *)to = w; return true;
    }
}

static int128 floor_div(int128 a, int64_t b)
{
    return a / b - (a % b < 0);
}

static enum status fill_ints(struct filling *x, struct err *err)
{
    size_t width = type_width(x->f->type);
    for (uint32_t i = 0; i < x->n; i++) {
        if (is_null(x, i)) continue;
        int128 v = floor_div(int_at(x, i) * x->r->mul, x->r->div);
        bool fits = put_int((char *)x->c->data + width * i, width, v);
        if (x->f->type.id == T_TIME) fits = v >= 0 && v <= 86400000000ll;
        if (!fits) TRY(bad_value(x, i, x->r->range, "the value does not fit in", err));
    }
    return ST_OK;
}

static double real_at(const struct filling *x, uint32_t i)
{
    if (x->r->how == READ_INT_REAL) return (double)int_at(x, i);
    if (x->r->width == 8) {
        double d;
        memcpy(&d, bytes_at(x, i), 8);
        return d;
    }
    float f;
    memcpy(&f, bytes_at(x, i), 4);
    return (double)f;
}

static enum status fill_reals(struct filling *x, struct err *err)
{
    for (uint32_t i = 0; i < x->n; i++) {
        if (is_null(x, i)) continue;
        double d = real_at(x, i);
        if (x->f->type.id == T_DOUBLE) {
            ((double *)x->c->data)[i] = d;
            continue;
        }
        float f = (float)d;
        if (__builtin_isinf(f) && !__builtin_isinf(d)) TRY(bad_value(x, i, E_RANGE, "the value does not fit in", err));
        ((float *)x->c->data)[i] = f;
    }
    return ST_OK;
}

/* By 10^shift; false when it does not fit or digits would be lost. */
static bool scale_by(int128 *v, int shift)
{
    for (; shift > 0; shift--)
        if (__builtin_mul_overflow(*v, (int128)10, v)) return false;
    for (; shift < 0; shift++) {
        if (*v % 10) return false;
        *v /= 10;
    }
    return true;
}

/* The least that has more digits. */
static int128 limit_of(int precision)
{
    int128 limit = 1;
    for (int i = 0; i < (precision ? precision : 38); i++) limit *= 10;
    return limit;
}

static enum status fill_decimals(struct filling *x, struct err *err)
{
    int128 limit = limit_of(x->f->type.precision);
    for (uint32_t i = 0; i < x->n; i++) {
        int128 v;
        if (is_null(x, i)) continue;
        if (x->r->width == 16)
            memcpy(&v, bytes_at(x, i), 16);
        else
            v = int_at(x, i);
        if (!scale_by(&v, x->r->shift) || v >= limit || v <= -limit)
            TRY(bad_value(x, i, E_RANGE, "the value does not fit in", err));
        memcpy((char *)x->c->data + 16 * (size_t)i, &v, 16);
    }
    return ST_OK;
}

static void fill_intervals(struct filling *x)
{
    struct interval *out = x->c->data;
    for (uint32_t i = 0; i < x->n; i++) {
        const char *p = bytes_at(x, i);
        struct month_day_nano v = {0};
        int32_t ms = 0;
        memcpy(x->r->width == 8 ? &v.days : &v.months, p, x->r->width == 16 ? 8 : 4);
        if (x->r->width == 16) memcpy(&v.ns, p + 8, 8);
        if (x->r->width == 8) memcpy(&ms, p + 4, 4);
        out[i] = (struct interval){v.months, v.days, v.ns / 1000 + (int64_t)ms * 1000};
    }
}

/* Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(const char *p, size_t n)
{
    const uint8_t *s = (const uint8_t *)p, *end = s + n;
    while (s < end) {
        uint64_t word;
        if (end - s >= 8 && (memcpy(&word, s, 8), !(word & 0x8080808080808080ull))) {
            s += 8;
            continue;
        }
        if (*s < 0x80) {
            s++;
            continue;
        }
        int more = *s >= 0xc2 && *s < 0xe0 ? 1 : *s >= 0xe0 && *s < 0xf0 ? 2 : *s >= 0xf0 && *s < 0xf5 ? 3 : 0;
        if (!more || end - s <= more) return false;
        uint8_t low = *s == 0xe0 ? 0xa0 : *s == 0xf0 ? 0x90 : 0x80, high = *s == 0xed ? 0x9f : *s == 0xf4 ? 0x8f : 0xbf;
        if (s[1] < low || s[1] > high) return false;
        for (int i = 2; i <= more; i++)
            if ((s[i] & 0xc0) != 0x80) return false;
        s += more + 1;
    }
    return true;
}

static bool is_ascii(const char *p, size_t n)
{
    uint8_t all = 0;
    for (size_t i = 0; i < n; i++) all |= (uint8_t)p[i];
    return all < 0x80;
}

static size_t count_chars(const char *p, size_t n)
{
    size_t chars = 0;
    for (size_t i = 0; i < n; i++) chars += (p[i] & 0xc0) != 0x80;
    return chars;
}

static enum status check_text(const struct filling *x, uint32_t i, const char *p, size_t n, struct err *err)
{
    struct type t = x->f->type;
    if (t.id == T_BLOB) return ST_OK;
    if (!is_utf8(p, n)) return bad_value(x, i, E_ENCODING, "the text is not valid UTF-8 for", err);
    if (t.length && n > t.length && count_chars(p, n) > t.length)
        return bad_value(x, i, E_TOO_LONG, "the text is too long for", err);
    return ST_OK;
}

/* All text of the rows lies in one run: one copy, then views into it. A run of ASCII needs no look at single values but for their
 * length. */
static enum status fill_text(struct filling *x, struct err *err)
{
    struct str *out = x->c->data;
    size_t most = x->f->type.length ? x->f->type.length : SIZE_MAX;
    int64_t first = offset_at(x->r, x->from);
    size_t total = (size_t)(offset_at(x->r, x->from + x->n) - first);
    char *run = batch_text(x->b, total);
    if (total) memcpy(run, (const char *)x->r->a->buffers[2] + first, total);
    bool ascii = is_ascii(run, total);
    int64_t at = first, next;
    for (uint32_t i = 0; i < x->n; i++, at = next) {
        next = offset_at(x->r, x->from + i + 1);
        size_t n = (size_t)(next - at);
        if (is_null(x, i)) continue;
        if (!ascii || n > most) TRY(check_text(x, i, run + (at - first), n, err));
        out[i] = str_view(run + (at - first), (uint32_t)n);
    }
    return ST_OK;
}

static void fill_fixed(struct filling *x)
{
    struct str *out = x->c->data;
    for (uint32_t i = 0; i < x->n; i++)
        if (!is_null(x, i)) out[i] = batch_str(x->b, bytes_at(x, i), (uint32_t)x->r->width);
}

/* An Arrow string view: length, then 12 bytes inline or prefix, buffer, offset. The last buffer holds the sizes of the
 * buffers between the views and itself. */
static enum status view_at(const struct filling *x, uint32_t i, const char **p, size_t *n, struct err *err)
{
    const struct ArrowArray *a = x->r->a;
    int32_t v[4];
    int64_t size;
    memcpy(v, bytes_at(x, i), 16);
    *n = 0;
    *p = bytes_at(x, i) + 4;
    if (v[0] >= 0 && v[0] <= 12) return *n = (size_t)v[0], ST_OK;
    if (v[0] < 0 || v[2] < 0 || v[3] < 0 || v[2] >= a->n_buffers - 3 || !a->buffers[a->n_buffers - 1])
        return bad_value(x, i, E_SCHEMA, "the string view points nowhere for", err);
    memcpy(&size, (const char *)a->buffers[a->n_buffers - 1] + 8 * (size_t)v[2], 8);
    if ((int64_t)v[3] + v[0] > size || !a->buffers[2 + v[2]])
        return bad_value(x, i, E_SCHEMA, "the string view points beyond its buffer for", err);
    *p = (const char *)a->buffers[2 + v[2]] + v[3];
    *n = (size_t)v[0];
    return ST_OK;
}

static enum status fill_views(struct filling *x, struct err *err)
{
    struct str *out = x->c->data;
    for (uint32_t i = 0; i < x->n; i++) {
        const char *p;
        size_t n;
        if (is_null(x, i)) continue;
        TRY(view_at(x, i, &p, &n, err));
        TRY(check_text(x, i, p, n, err));
        out[i] = batch_str(x->b, p, (uint32_t)n);
    }
    return ST_OK;
}

static enum status fill(struct filling *x, struct err *err)
{
    fill_validity(x);
    switch (x->r->how) {
    case READ_NULL: break;
    case READ_BITS: fill_bits(x); break;
    case READ_COPY: memcpy(x->c->data, bytes_at(x, 0), type_width(x->f->type) * x->n); break;
    case READ_INT: TRY(fill_ints(x, err)); break;
    case READ_INT_REAL:
    case READ_REAL: TRY(fill_reals(x, err)); break;
    case READ_DECIMAL: TRY(fill_decimals(x, err)); break;
    case READ_INTERVAL: fill_intervals(x); break;
    case READ_TEXT: TRY(fill_text(x, err)); break;
    case READ_VIEW: TRY(fill_views(x, err)); break;
    case READ_FIXED: fill_fixed(x); break;
    }
    fill_zero_nulls(x);
    for (uint32_t i = 0; x->f->not_null && x->c->valid && i < x->n; i++)
        if (is_null(x, i) && !(x->faults && bit_get(x->faults->rows, i))) TRY(bad_value(x, i, E_SCHEMA, "NULL in a NOT NULL", err));
    return ST_OK;
}

/* How many of the next n rows to take, for text that is not too long for one batch. */
static uint32_t cut(const struct cdata *c, uint32_t n)
{
    for (int i = 0; i < c->target->n; i++) {
        const struct reader *r = &c->cols[i];
        if (r->how == READ_TEXT)
            while (n > 1 && offset_at(r, c->at + n) - offset_at(r, c->at) > TEXT_CHUNK) n /= 2;
    }
    return n;
}

enum status cdata_read_all(struct cdata *c, uint32_t max_rows, struct batch **out, struct cdata_faults *faults, struct err *err)
{
    if (c->at == c->rows) return ST_DONE;
    if (!max_rows || max_rows > BATCH_ROWS_MAX) max_rows = BATCH_ROWS_MAX;
    uint32_t n = cut(c, c->rows - c->at < max_rows ? (uint32_t)(c->rows - c->at) : max_rows);
    AUTO(batch_unref) struct batch *b = batch_for(c->pool, c->target, n);
    if (faults) memset(faults->rows, 0, sizeof faults->rows), faults->cells = 0;
    for (int i = 0; i < c->target->n; i++) {
        struct filling x = {&c->cols[i], &c->target->fields[i], b, &b->cols[i], c->at, n, faults};
        TRY(fill(&x, err));
    }
    b->rows = n;
    c->at += n;
    *out = TAKE(b);
    return ST_OK;
}

enum status cdata_read(struct cdata *c, uint32_t max_rows, struct batch **out, struct err *err)
{
    return cdata_read_all(c, max_rows, out, NULL, err);
}

int64_t cdata_left(const struct cdata *c) { return c->rows - c->at; }

void cdata_seek(struct cdata *c, int64_t row) { c->at = row < c->rows ? row : c->rows; }

/* ---- streams ------------------------------------------------------------------------------------ */

struct stream {
    struct pool *pool;
    struct arena *arena;
    struct schema *schema;
    unsigned flags;
    struct cdata_source from;
    struct err err;
    char message[sizeof(((struct err *)0)->text) + 48]; /* with the codes, which have no other way out */
};

static int stream_schema(struct ArrowArrayStream *x, struct ArrowSchema *out)
{
    struct stream *s = x->private_data;
    cdata_schema(s->schema, s->flags, out);
    return 0;
}

static int stream_next(struct ArrowArrayStream *x, struct ArrowArray *out)
{
    struct stream *s = x->private_data;
    AUTO(batch_unref) struct batch *b = NULL;
    *out = (struct ArrowArray){0};
    enum status st = s->from.next(s->from.ctx, &b, &s->err);
    if (st == ST_DONE) return 0;
    if (!st) st = cdata_export(s->pool, b, s->schema, s->flags, out, &s->err);
    return !st ? 0 : st == E_CANCELED ? ECANCELED : EIO;
}

static const char *stream_error(struct ArrowArrayStream *x)
{
    struct stream *s = x->private_data;
    if (!s->err.text[0]) return NULL;
    snprintf(s->message, sizeof s->message, "[LAM-%04d] %s (SQLSTATE %s)", s->err.code, s->err.text,
             err_sqlstate(s->err.code));
    return s->message;
}

static void stream_release(struct ArrowArrayStream *x)
{
    struct stream *s = x->private_data;
    if (s->from.close) s->from.close(s->from.ctx);
    pool_close(s->pool);
    arena_free(s->arena);
    mem_free(s);
    x->release = NULL;
}

void cdata_stream(const struct schema *s, unsigned flags, struct cdata_source from, struct ArrowArrayStream *out)
{
    struct stream *stream = mem_zalloc(sizeof *stream);
    stream->pool = pool_new(NULL);
    stream->arena = arena_new();
    stream->schema = schema_copy(stream->arena, s);
    stream->flags = flags;
    stream->from = from;
    *out = (struct ArrowArrayStream){stream_schema, stream_next, stream_error, stream_release, stream};
}

struct list {
    size_t n, at;
    struct batch *batches[];
};

static enum status list_next(void *ctx, struct batch **out, struct err *err)
{
    struct list *l = ctx;
    (void)err;
    if (l->at == l->n) return ST_DONE;
    *out = TAKE(l->batches[l->at]);
    l->at++;
    return ST_OK;
}

static void list_close(void *ctx)
{
    struct list *l = ctx;
    for (; l->at < l->n; l->at++) batch_unref(l->batches[l->at]);
    mem_free(l);
}

void cdata_stream_list(const struct schema *s, unsigned flags, struct batch *const *batches, size_t n,
                       struct ArrowArrayStream *out)
{
    struct list *l = mem_alloc(sizeof *l + sizeof(struct batch *) * n);
    l->n = n;
    l->at = 0;
    for (size_t i = 0; i < n; i++) {
        l->batches[i] = batch_ref(batches[i]);
        if (cdata_is_large(batches[i], s)) flags |= CDATA_LARGE;
    }
    cdata_stream(s, flags, (struct cdata_source){list_next, list_close, l}, out);
}
