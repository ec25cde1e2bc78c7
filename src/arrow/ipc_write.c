/* Batches as messages of Arrow's stream format. SPDX-License-Identifier: Apache-2.0 */
#include "arrow/ipc.h"
#include "arrow/ipc_type.h"

#include <string.h>

/* Of Message.fbs. */
enum { METADATA_V5 = 4 };
enum { HEADER_SCHEMA = 1, HEADER_RECORD_BATCH = 3 };

/* ---- messages --------------------------------------------------------------------------------------- */

/* Begins a message; its header is what is written next at *header. */
static struct flat message_begin(struct text *out, int header_type, int64_t body, size_t *header)
{
    struct flat_field fields[] = {
        {.size = 2, .value = METADATA_V5},
        {.size = 1, .value = header_type},
        {.size = 4},
        {.size = 8, .value = body       },
    };
    text_put(out, "\xff\xff\xff\xff\0\0\0\0", 8);
    struct flat f = flat_begin(out);
    flat_refer(&f, 0, flat_table(&f, fields, countof(fields)));
    *header = fields[2].at;
    return f;
}

static void message_end(struct flat *f)
{
    flat_pad(f, 8);
    int32_t n = (int32_t)flat_at(f);
    if (!f->out->full) memcpy(f->out->p + f->base - 4, &n, 4);
}

void ipc_put_end(struct text *out)
{
    text_put(out, "\xff\xff\xff\xff\0\0\0\0", 8);
}

/* ---- the schema --------------------------------------------------------------------------------------- */

static size_t put_field(struct flat *f, const struct ArrowSchema *s)
{
    struct flat_field fields[] = {
        {.size = 4}, /* name */
        {.size = 1, .value = (s->flags & ARROW_FLAG_NULLABLE) != 0},
        {.size = 1, .value = ipc_type_code(s->format)},
        {.size = 4}, /* type */
        {.size = 0}, /* dictionary */
        {.size = 4}, /* children */
    };
    size_t at = flat_table(f, fields, countof(fields));
    flat_refer(f, fields[0].at, flat_string(f, s->name));
    flat_refer(f, fields[3].at, ipc_type_put(f, s->format));
    flat_refer(f, fields[5].at, flat_vector(f, 0, 4));
    return at;
}

void ipc_put_schema(const struct ArrowSchema *s, struct text *out)
{
    size_t header;
    struct flat f = message_begin(out, HEADER_SCHEMA, 0, &header);
    struct flat_field fields[] = {
        {.size = 2}, /* endianness: little */
        {.size = 4}, /* fields */
    };
    flat_refer(&f, header, flat_table(&f, fields, countof(fields)));
    size_t list = flat_vector(&f, (uint32_t)s->n_children, 4), at = flat_at(&f);
    flat_refer(&f, fields[1].at, list);
    for (int64_t i = 0; i < s->n_children; i++) flat_put(&f, "\0\0\0", 4);
    for (int64_t i = 0; i < s->n_children; i++) flat_refer(&f, at + 4 * (size_t)i, put_field(&f, s->children[i]));
    message_end(&f);
}

/* ---- rows ----------------------------------------------------------------------------------------------- */

/* What of one column goes out: rows [from, from + n) of an array whose offset is 0. */
struct slice {
    const struct ArrowArray *a;
    struct ipc_shape shape;
    int64_t from, n, nulls;
    int64_t bytes[3]; /* of each buffer */
};

static bool bit_at(const void *bits, int64_t i)
{
    return ((const uint8_t *)bits)[i / 8] >> i % 8 & 1;
}

static int64_t text_place(const struct slice *x, int64_t i)
{
    int64_t wide;
    int32_t narrow;
    if (x->shape.offsets == 8) return memcpy(&wide, (const char *)x->a->buffers[1] + 8 * i, 8), wide;
    return memcpy(&narrow, (const char *)x->a->buffers[1] + 4 * i, 4), narrow;
}

static int64_t count_nulls(const struct ArrowArray *a, int64_t from, int64_t n)
{
    int64_t nulls = 0;
    if (!a->n_buffers) return n;
    if (!a->null_count || !a->buffers[0]) return 0;
    for (int64_t i = from; i < from + n; i++) nulls += !bit_at(a->buffers[0], i);
    return nulls;
}

static struct slice slice_of(const struct ArrowArray *a, const struct ArrowSchema *s, int64_t from, int64_t n)
{
    struct slice x = {.a = a, .shape = ipc_type_shape(s->format), .from = from, .n = n, .nulls = count_nulls(a, from, n)};
    if (x.nulls && x.shape.buffers) x.bytes[0] = (n + 7) / 8;
    if (x.shape.bits)
        x.bytes[1] = (n + 7) / 8;
    else if (x.shape.offsets)
        x.bytes[1] = x.shape.offsets * (n + 1), x.bytes[2] = text_place(&x, from + n) - text_place(&x, from);
    else
        x.bytes[1] = (int64_t)x.shape.width * n;
    return x;
}

static int64_t padded(int64_t n) { return (n + 7) & ~(int64_t)7; }

static void put_bits(const void *bits, int64_t from, int64_t n, struct text *out)
{
    int64_t whole = from % 8 ? 0 : n / 8;
    text_put(out, (const uint8_t *)bits + from / 8, (size_t)whole);
    for (int64_t i = whole * 8; i < n; i += 8) {
        uint8_t byte = 0;
        for (int64_t k = i; k < n && k < i + 8; k++) byte |= (uint8_t)(bit_at(bits, from + k) << (k - i));
        text_put(out, &byte, 1);
    }
}

static void put_places(const struct slice *x, struct text *out)
{
    int64_t first = text_place(x, x->from);
    char *to = text_room(out, (size_t)x->bytes[1]);
    if (!to) return;
    for (int64_t i = 0; i <= x->n; i++) {
        int64_t at = text_place(x, x->from + i) - first;
        memcpy(to + x->shape.offsets * i, &at, x->shape.offsets);
    }
    out->n += (size_t)x->bytes[1];
}

/* What lies under a NULL is nobody's business. */
static void clear_nulls(const struct slice *x, char *values)
{
    for (int64_t i = 0; i < x->n; i++) {
        if (bit_at(x->a->buffers[0], x->from + i)) continue;
        if (x->shape.bits)
            values[i / 8] = (char)(values[i / 8] & ~(1 << i % 8));
        else
            memset(values + x->shape.width * i, 0, x->shape.width);
    }
}

static void put_buffer(const struct slice *x, int i, struct text *out)
{
    const char *p = x->bytes[i] ? x->a->buffers[i] : NULL;
    size_t at = out->n;
    if (!p) return;
    if (i == 0 || x->shape.bits)
        put_bits(p, x->from, x->n, out);
    else if (i == 2)
        text_put(out, p + text_place(x, x->from), (size_t)x->bytes[2]);
    else if (x->shape.offsets)
        put_places(x, out);
    else
        text_put(out, p + (int64_t)x->shape.width * x->from, (size_t)x->bytes[1]);
    if (i == 1 && x->nulls && !x->shape.offsets && !out->full) clear_nulls(x, out->p + at);
    text_put(out, "\0\0\0\0\0\0\0", (size_t)(padded(x->bytes[i]) - x->bytes[i]));
}

/* The lists of nodes and buffers; both are of two int64 each. */
static void put_lists(struct flat *f, const struct flat_field *fields, const struct slice *x, int64_t columns, uint32_t buffers)
{
    flat_refer(f, fields[1].at, flat_vector(f, (uint32_t)columns, 8));
    for (int64_t i = 0; i < columns; i++) flat_put(f, (int64_t[]){x[i].n, x[i].nulls}, 16);
    flat_refer(f, fields[2].at, flat_vector(f, buffers, 8));
    int64_t at = 0;
    for (int64_t i = 0; i < columns; i++)
        for (int k = 0; k < x[i].shape.buffers; k++) {
            flat_put(f, (int64_t[]){at, x[i].bytes[k]}, 16);
            at += padded(x[i].bytes[k]);
        }
}

void ipc_put_rows(const struct ArrowArray *a, const struct ArrowSchema *s, int64_t from, int64_t n, struct text *out)
{
    int64_t columns = a->n_children, body = 0;
    uint32_t buffers = 0;
    struct slice *x = mem_alloc(sizeof *x * (size_t)(columns + 1));
    for (int64_t i = 0; i < columns; i++) {
        x[i] = slice_of(a->children[i], s->children[i], from, n);
        buffers += x[i].shape.buffers;
        for (int k = 0; k < 3; k++) body += padded(x[i].bytes[k]);
    }
    size_t header;
    struct flat f = message_begin(out, HEADER_RECORD_BATCH, body, &header);
    struct flat_field fields[] = {
        {.size = 8, .value = n},
        {.size = 4}, /* nodes */
        {.size = 4}, /* buffers */
    };
    flat_refer(&f, header, flat_table(&f, fields, countof(fields)));
    put_lists(&f, fields, x, columns, buffers);
    message_end(&f);
    for (int64_t i = 0; i < columns; i++)
        for (int k = 0; k < x[i].shape.buffers; k++) put_buffer(&x[i], k, out);
    mem_free(x);
}
