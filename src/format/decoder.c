/* SPDX-License-Identifier: Apache-2.0 */
#include "format/decoder.h"

static enum status can_read(const struct decoder_class *c, const struct schema *schema, struct err *err)
{
    for (int i = 0; i < schema->n; i++) {
        const struct field *f = &schema->fields[i];
        char name[64];
        if (type_width(f->type)) continue;
        err_set(err, E_UNSUPPORTED, "column \"%s\": format %s does not read values of type %s", f->name, c->name,
                type_name(f->type, name));
        err_hint(err, "declare it VARCHAR or JSON to get its text");
        return E_UNSUPPORTED;
    }
    return ST_OK;
}

static struct decoder *make(const struct decoder_class *c, const struct schema *schema, enum on_error on_error, size_t record_max)
{
    struct decoder *d = mem_zalloc(c->size);
    d->class = c;
    d->schema = schema;
    d->on_error = on_error;
    d->record_max = record_max && record_max < DECODER_WINDOW ? record_max : DECODER_WINDOW - 1;
    return d;
}

enum status decoder_new(const struct decoder_class *c, const struct schema *schema, const struct options *o,
                        enum on_error on_error, size_t record_max, int64_t offset, const char *header, size_t header_n,
                        struct decoder **out, struct err *err)
{
    return decoder_new_some(c, schema, NULL, o, on_error, record_max, offset, header, header_n, out, err);
}

enum status decoder_new_some(const struct decoder_class *c, const struct schema *schema, const struct schema *declared,
                             const struct options *o, enum on_error on_error, size_t record_max, int64_t offset,
                             const char *header, size_t header_n, struct decoder **out, struct err *err)
{
    if (!c->next) return err_set(err, E_FORMAT, "format %s is for values that come one by one", c->name);
    TRY(can_read(c, schema, err));
    struct decoder *d = make(c, schema, on_error, record_max);
    d->offset = offset;
    d->declared = declared;
    enum status st = c->open(d, o, header, header_n, err);
    if (st) return decoder_free(d), st;
    *out = d;
    return ST_OK;
}

enum status decoder_new_records(const struct decoder_class *c, const struct schema *schema, const struct schema *declared,
                                const struct options *o, enum on_error on_error, size_t record_max, const char *split,
                                struct decoder **out, struct err *err)
{
    if (!c->records) return err_set(err, E_FORMAT, "format %s does not read values that come one by one", c->name);
    TRY(can_read(c, schema, err));
    struct decoder *d = make(c, schema, on_error, record_max);
    d->declared = declared;
    d->split = split;
    enum status st = c->open(d, o, NULL, 0, err);
    if (st) return decoder_free(d), st;
    *out = d;
    return ST_OK;
}

void decoder_free(struct decoder *d)
{
    if (!d) return;
    d->class->close(d);
    mem_free(d->valued);
    mem_free(d->numbers);
    mem_free(d);
}

bool decoder_begin(struct decoder *d)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t n = (size_t)(d->end - d->p), look = n < 3 ? n : 3;
    if (d->offset || (look && memcmp(d->p, mark, look))) return true;
    if (look < 3) return d->last;
    decoder_move(d, 3);
    return true;
}

void decoder_null(struct batch *b, const struct schema *s, int col, uint32_t row, uint32_t cap)
{
    struct column *c = &b->cols[col];
    size_t width = type_width(s->fields[col].type);
    if (!c->valid) c->valid = batch_validity(b, cap);
    bit_clear(c->valid, row);
    memset((char *)c->data + width * row, 0, width);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \x and pairs of hexadecimal digits; anything else is the bytes themselves. */
static enum status blob(struct batch *b, const char *p, size_t n, struct str *out, struct err *err)
{
    if (n < 2 || p[0] != '\\' || p[1] != 'x') {
        *out = b ? batch_str(b, p, (uint32_t)n) : (struct str){0};
        return ST_OK;
    }
    uint32_t bytes = (uint32_t)(n - 2) / 2;
    char small[STR_INLINE], *to = !b ? NULL : bytes > STR_INLINE ? batch_text(b, bytes) : small;
    for (uint32_t i = 0; i < bytes; i++) {
        int hi = hex_digit(p[2 + 2 * i]), lo = hex_digit(p[3 + 2 * i]);
        if (hi < 0 || lo < 0) return err_set(err, E_CAST, "invalid hexadecimal digit in a value for BLOB");
        if (to) to[i] = (char)(hi << 4 | lo);
    }
    if (n % 2) return err_set(err, E_CAST, "odd number of hexadecimal digits in a value for BLOB");
    *out = to ? str_view(to, bytes) : (struct str){0};
    return ST_OK;
}

/* The characters of valid UTF-8. */
static size_t characters(const char *p, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)p[i] & 0xc0) != 0x80;
    return count;
}

static enum status check_text(struct type t, const char *p, size_t n, struct err *err)
{
    char shown[REPORT_TEXT];
    if (!utf8_valid(p, n)) return err_set(err, E_ENCODING, "invalid UTF-8: \"%s\"", report_text(p, n, shown));
    if (t.length && n > t.length && characters(p, n) > t.length)
        return err_set(err, E_TOO_LONG, "value too long for VARCHAR(%u): \"%s\"", t.length, report_text(p, n, shown));
    return ST_OK;
}

enum status decoder_cell(struct batch *b, struct type t, void *data, const char *p, size_t n, struct err *err)
{
    struct str s = {0};
    if (t.id == T_BLOB) {
        TRY(blob(b, p, n, &s, err));
    } else {
        if (type_is_text(t)) TRY(check_text(t, p, n, err));
        TRY(cell_parse(t, p, n, data, err));
        if (!type_is_text(t) || !b) return ST_OK;
        s = batch_str(b, p, (uint32_t)n);
    }
    memcpy(data, &s, sizeof s);
    return ST_OK;
}

struct batch *decoder_live(struct pool *pool, const struct schema *s, struct batch *b, const uint64_t *dead)
{
    uint32_t sel[BATCH_ROWS_MAX], n = 0;
    for (uint32_t i = 0; i < b->rows; i++)
        if (!bit_get(dead, i)) sel[n++] = i;
    struct rows live = {b, sel, n};
    struct batch *out = rows_compact(pool, s, &live);
    batch_unref(b);
    return out;
}

/* ---- records that came one by one ------------------------------------------------------------------------------ */

/* Those with a value, and their numbers. */
static uint32_t pick_valued(struct decoder *d, const struct record *r, uint32_t n)
{
    uint32_t k = 0;
    if (n > d->cap) {
        mem_free(d->valued);
        mem_free(d->numbers);
        d->valued = mem_alloc(sizeof *d->valued * n);
        d->numbers = mem_alloc(sizeof *d->numbers * n);
        d->cap = n;
    }
    for (uint32_t i = 0; i < n; i++)
        if (r[i].n != RECORD_NONE) d->valued[k] = r[i], d->numbers[k++] = i;
    return k;
}

/* Rows of NULLs for those of the n records that have no value, between the rows of b, of which row i is of record numbers[of[i]]. of becomes
 * the result's. */
static struct batch *put_nulls(struct decoder *d, struct pool *pool, const struct record *r, uint32_t n, uint32_t *of, const struct batch *b)
{
    uint32_t idx[BATCH_ROWS_MAX], number[BATCH_ROWS_MAX], rows = b ? b->rows : 0, next = 0;
    struct batch *out = batch_for(pool, d->schema, n);
    for (uint32_t i = 0; i < rows; i++) idx[i] = i, number[i] = d->numbers[of[i]];
    for (uint32_t i = 0; i < n; i++) {
        if (r[i].n != RECORD_NONE) continue;
        uint32_t from = next;
        while (next < rows && number[next] < i) of[out->rows + next - from] = number[next], next++;
        if (next > from) batch_scatter(out, n, d->schema, b, idx + from, next - from);
        of[out->rows] = i;
        for (int col = 0; col < d->schema->n; col++) decoder_null(out, d->schema, col, out->rows, n);
        out->rows++;
    }
    for (uint32_t i = next; i < rows; i++) of[out->rows + i - next] = number[i];
    if (next < rows) batch_scatter(out, n, d->schema, b, idx + next, rows - next);
    return out;
}

/* The rows of those that have a value are all there are. */
static struct batch *pass_nulls(struct decoder *d, struct pool *pool, uint32_t *of, struct batch *b)
{
    for (uint32_t i = 0; b && i < b->rows; i++) of[i] = d->numbers[of[i]];
    return b ? b : batch_for(pool, d->schema, 1);
}

/* Records that have a value, and those that have none, are taken in runs: there is no telling how many rows the former have. */
static enum status take_run(struct decoder *d, struct pool *pool, const char *text, const struct record *r, uint32_t n, uint32_t *of, uint32_t *used,
                            struct batch **out, struct err *err)
{
    uint32_t run = 1;
    bool none = r->n == RECORD_NONE;
    while (run < n && (r[run].n == RECORD_NONE) == none) run++;
    if (!none) return d->class->records(d, pool, text, r, run, of, used, out, err);
    *used = run;
    *out = put_nulls(d, pool, r, run, of, NULL);
    return ST_OK;
}

enum status decoder_records(struct decoder *d, struct pool *pool, const char *text, const struct record *r, uint32_t n, uint32_t *of,
                            uint32_t *used, struct batch **out, struct err *err)
{
    uint32_t none = 0;
    *out = NULL;
    for (uint32_t i = 0; i < n; i++) none += r[i].n == RECORD_NONE;
    if (!none) return d->class->records(d, pool, text, r, n, of, used, out, err);
    if (d->many && !d->class->skips_none) return take_run(d, pool, text, r, n, of, used, out, err);
    uint32_t k = pick_valued(d, r, n), done = 0;
    AUTO(batch_unref) struct batch *b = NULL;
    bool fail_first = k && d->numbers[0] == 0;
    enum status st = k ? d->class->records(d, pool, text, d->valued, k, of, &done, &b, err) : ST_OK;
    if (st && (fail_first || st != E_DECODE)) return st;
    if (st) d->report.bad--; /* it is counted when it is the first */
    *used = done < k ? d->numbers[done] : n;
    *out = d->class->skips_none ? pass_nulls(d, pool, of, TAKE(b)) : put_nulls(d, pool, r, *used, of, b);
    return ST_OK;
}
