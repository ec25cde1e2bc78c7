/* A table with borders, for people. Widths come from the rows held until the first flush, or the first HELD of them;
 * later rows keep these widths, and what is wider stands out. SPDX-License-Identifier: Apache-2.0 */
#include "format/classes.h"
#include "format/encoder.h"

#include <utf8proc.h>

#define HELD 1000 /* rows before widths are fixed */

struct box_column {
    const char *name;
    struct type type;
    uint32_t width;
    bool right; /* numbers */
};

struct box {
    struct encoder e;
    char *null_text;
    int columns; /* with the changelog's */
    struct box_column *column;
    bool open;  /* a table has begun; */
    bool drawn; /* its head has been written */
    uint64_t rows;
    uint32_t held;
    struct text cells; /* of held rows, one after the other, without what would break a line */
    uint32_t *ends;    /* of each cell */
};

/* ---- cells ------------------------------------------------------------------------------------------ */

/* Places on the screen. */
static uint32_t width(const char *p, size_t n)
{
    uint32_t total = 0;
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)p + i, (utf8proc_ssize_t)(n - i), &c);
        if (k < 1) return total + (uint32_t)(n - i);
        total += (uint32_t)utf8proc_charwidth(c);
        i += (size_t)k;
    }
    return total;
}

/* Control characters would move the cursor or the line: they are shown as escapes. */
static void put_visible(struct text *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '\n')
            text_puts(out, "\\n");
        else if (c == '\r')
            text_puts(out, "\\r");
        else if (c == '\t')
            text_puts(out, "\\t");
        else if (c < 32 || c == 127)
            text_printf(out, "\\x%02x", c);
        else
            text_putc(out, (char)c);
    }
}

static void put_cell_text(struct box *x, const struct batch *b, int col, uint32_t row)
{
    const struct column *c = &b->cols[col];
    struct type t = x->e.schema->fields[col].type;
    const char *data = (const char *)c->data + type_width(t) * row;
    if (column_null(c, row)) {
        text_puts(&x->cells, x->null_text);
    } else if (type_is_text(t) && t.id != T_BLOB) {
        struct str s;
        memcpy(&s, data, sizeof s);
        put_visible(&x->cells, str_ptr(&s), s.n);
    } else {
        cell_put(t, data, &x->cells);
    }
}

static void hold_row(struct box *x, const struct batch *b, uint32_t row)
{
    uint32_t *end = x->ends + (size_t)x->held * (size_t)x->columns;
    uint32_t start = (uint32_t)x->cells.n;
    for (int i = 0, col = 0; i < x->columns; i++) {
        if (x->e.changelog && i == 0)
            text_puts(&x->cells, encoder_change(&x->e, b, row));
        else
            put_cell_text(x, b, col++, row);
        end[i] = (uint32_t)x->cells.n;
        uint32_t w = x->drawn ? 0 : width(x->cells.p + start, end[i] - start);
        if (w > x->column[i].width) x->column[i].width = w;
        start = end[i];
    }
    x->held++;
    x->rows++;
}

/* ---- drawing ------------------------------------------------------------------------------------------ */

static void put_times(struct text *out, const char *s, uint32_t n)
{
    while (n--) text_puts(out, s);
}

static void put_border(const struct box *x, const char *left, const char *middle, const char *right, struct text *out)
{
    text_puts(out, left);
    for (int i = 0; i < x->columns; i++) {
        if (i) text_puts(out, middle);
        put_times(out, "─", x->column[i].width + 2);
    }
    text_puts(out, right);
    text_putc(out, '\n');
}

static void put_padded(const struct box_column *c, const char *p, size_t n, struct text *out)
{
    uint32_t w = width(p, n), pad = w < c->width ? c->width - w : 0;
    text_puts(out, "│ ");
    if (c->right) put_times(out, " ", pad);
    text_put(out, p, n);
    if (!c->right) put_times(out, " ", pad);
    text_putc(out, ' ');
}

static void put_head(struct box *x, struct text *out)
{
    put_border(x, "┌", "┬", "┐", out);
    for (int i = 0; i < x->columns; i++) put_padded(&x->column[i], x->column[i].name, strlen(x->column[i].name), out);
    text_puts(out, "│\n");
    put_border(x, "├", "┼", "┤", out);
    x->drawn = true;
}

static void put_held(struct box *x, struct text *out)
{
    const uint32_t *end = x->ends;
    uint32_t start = 0;
    if (!x->drawn) put_head(x, out);
    for (uint32_t row = 0; row < x->held; row++) {
        for (int i = 0; i < x->columns; i++, start = *end++)
            put_padded(&x->column[i], x->cells.p + start, *end - start, out);
        text_puts(out, "│\n");
    }
    x->held = 0;
    text_clear(&x->cells);
}

/* ---- the class ------------------------------------------------------------------------------------------ */

static void new_table(struct box *x)
{
    x->open = true;
    x->drawn = false;
    x->rows = 0;
    for (int i = 0; i < x->columns; i++) x->column[i].width = width(x->column[i].name, strlen(x->column[i].name));
}

static void box_begin(struct encoder *e, struct text *out)
{
    (void)out;
    new_table((struct box *)e);
}

static void box_put(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct text *out)
{
    struct box *x = (struct box *)e;
    if (!x->open) new_table(x);
    for (uint32_t row = from; row < from + n; row++) {
        hold_row(x, b, row);
        if (x->held == HELD) put_held(x, out);
    }
    if (x->drawn && x->held) put_held(x, out);
}

static void box_flush(struct encoder *e, struct text *out)
{
    struct box *x = (struct box *)e;
    if (x->held) put_held(x, out);
}

static void box_end(struct encoder *e, struct text *out)
{
    struct box *x = (struct box *)e;
    if (!x->open) return;
    put_held(x, out);
    put_border(x, "└", "┴", "┘", out);
    text_printf(out, "(%llu row%s)\n", (unsigned long long)x->rows, x->rows == 1 ? "" : "s");
    x->open = false;
}

static enum status box_open(struct encoder *e, const struct options *o, struct err *err)
{
    struct box *x = (struct box *)e;
    bool change = e->changelog;
    (void)err;
    x->null_text = mem_strdup(options_text(o, "null"));
    x->columns = e->schema->n + change;
    x->column = mem_zalloc(sizeof *x->column * (size_t)(x->columns + 1));
    if (change)
        x->column[0] = (struct box_column){.name = encoder_change_name(e), .right = e->changelog == CHANGELOG_W};
    for (int i = 0; i < e->schema->n; i++) {
        const struct field *f = &e->schema->fields[i];
        x->column[i + change] = (struct box_column){.name = f->name, .type = f->type, .right = type_is_number(f->type)};
    }
    x->ends = mem_alloc(sizeof *x->ends * HELD * (size_t)(x->columns + 1));
    return ST_OK;
}

static void box_close(struct encoder *e)
{
    struct box *x = (struct box *)e;
    mem_free(x->null_text);
    mem_free(x->column);
    mem_free(x->ends);
    text_done(&x->cells);
}

static const struct option_spec box_options[] = {
    {"null", OPT_TEXT, "NULL", 0, NULL, 0, 0, "The text shown for NULL.", NULL},
    {NULL,   OPT_TEXT, NULL,   0, NULL, 0, 0, NULL, NULL},
};

const struct encoder_class box_encoder = {
    .name = "box",
    .size = sizeof(struct box),
    .options = box_options,
    .open = box_open,
    .begin = box_begin,
    .put = box_put,
    .flush = box_flush,
    .end = box_end,
    .close = box_close,
};
