/* SPDX-License-Identifier: Apache-2.0 */
#include "format/encoder.h"

static enum status make(const struct encoder_class *c, const struct schema *schema, enum changelog_style changelog, bool values,
                        const struct options *o, struct encoder **out, struct err *err)
{
    for (int i = 0; i < schema->n; i++) {
        const struct field *f = &schema->fields[i];
        char name[64];
        if (type_width(f->type)) continue;
        err_set(err, E_UNSUPPORTED, "column \"%s\": format %s does not write values of type %s", f->name, c->name,
                type_name(f->type, name));
        err_hint(err, "cast it to VARCHAR");
        return E_UNSUPPORTED;
    }
    struct encoder *e = mem_zalloc(c->size);
    e->class = c;
    e->schema = schema;
    e->changelog = changelog;
    e->values = values;
    enum status st = c->open(e, o, err);
    if (st)
        encoder_free(e);
    else
        *out = e;
    return st;
}

enum status encoder_new(const struct encoder_class *c, const struct schema *schema, enum changelog_style changelog,
                        const struct options *o, struct encoder **out, struct err *err)
{
    if (!c->put) return err_set(err, E_FORMAT, "format %s is for values that go one by one", c->name);
    return make(c, schema, changelog, false, o, out, err);
}

enum status encoder_new_values(const struct encoder_class *c, const struct schema *schema, enum changelog_style changelog,
                               const struct options *o, struct encoder **out, struct err *err)
{
    if (!c->put_values) return err_set(err, E_FORMAT, "format %s does not write values one by one", c->name);
    return make(c, schema, changelog, true, o, out, err);
}

void encoder_free(struct encoder *e)
{
    if (!e) return;
    e->class->close(e);
    mem_free(e);
}

uint32_t encoder_fits(const struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct err *why)
{
    return e->class->fits ? e->class->fits(e, b, from, n, why) : n;
}

void encoder_put_whole(struct encoder *e, const struct batch *b, uint32_t from, uint32_t n, struct text *out)
{
    e->class->begin(e, out);
    e->class->put(e, b, from, n, out);
    e->class->end(e, out);
}

void encoder_hold_nothing(struct encoder *e, struct text *out)
{
    (void)e, (void)out;
}

const char *encoder_change_name(const struct encoder *e)
{
    return e->changelog == CHANGELOG_W ? "w" : e->changelog == CHANGELOG_OP ? "op" : NULL;
}

const char *encoder_change(const struct encoder *e, const struct batch *b, uint32_t row)
{
    bool minus = b->weight && b->weight[row] < 0;
    if (e->changelog == CHANGELOG_W) return minus ? "-1" : "1";
    if (minus) return row + 1 < b->rows && b->weight[row + 1] > 0 ? "-U" : "-D";
    return b->weight && row && b->weight[row - 1] < 0 ? "+U" : "+I";
}

void printer_init(struct printer *p, struct type t)
{
    *p = (struct printer){.type = t};
}

const char encoder_pairs[200] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546"
    "4748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293"
    "949596979899";

/* Remembers the day's text. Days that do not print as YYYY-MM-DD are printed whole here; NULL: not so. */
char *printer_new_day(struct printer *p, int64_t us, char *to)
{
    int64_t day = us / 86400000000 - (us % 86400000000 < 0);
    p->day_text[0] = 0;
    if (day < -719162 || day > 2932896) return to + cell_print(p->type, &us, to); /* years 1 to 9999 */
    char text[CELL_TEXT_MAX];
    cell_print(p->type, &us, text);
    memcpy(p->day_text, text, 11);
    p->day = (int32_t)day;
    return NULL;
}

char *printer_blob(const struct str *s, char *p)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *from = (const unsigned char *)str_ptr(s);
    *p++ = '\\', *p++ = 'x';
    for (uint32_t i = 0; i < s->n; i++) *p++ = hex[from[i] >> 4], *p++ = hex[from[i] & 15];
    return p;
}
