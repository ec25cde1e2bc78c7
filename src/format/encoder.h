/* What encoders share: the text of fixed-width cells. Belongs to src/format. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_ENCODER_H
#define FORMAT_ENCODER_H

#include "expr/cell.h"
#include "format/format.h"

#define ENCODER_ROWS 256 /* made room for at once */

void encoder_hold_nothing(struct encoder *e, struct text *out);

/* The first column of a changelog's row: "w" or "op"; NULL: none. */
const char *encoder_change_name(const struct encoder *e);
/* Its value. -1 followed by +1 is an update. */
const char *encoder_change(const struct encoder *e, const struct batch *b, uint32_t row);

/* Prints cells of one column; remembers the day above. */
struct printer {
    struct type type;
    int32_t day;       /* whose text is in day_text */
    char day_text[12]; /* "2024-01-02 "; empty: none */
};
void printer_init(struct printer *p, struct type t);

extern const char encoder_pairs[200]; /* "00" to "99" */

static inline char *put_pair(char *p, uint32_t v)
{
    memcpy(p, encoder_pairs + 2 * v, 2);
    return p + 2;
}

char *printer_new_day(struct printer *p, int64_t us, char *to);

static inline char *put_timestamp(struct printer *pr, int64_t us, char *p)
{
    int64_t day = us / 86400000000, rest = us % 86400000000;
    if (unlikely(rest < 0)) rest += 86400000000, day--;
    if (unlikely(day != pr->day || !pr->day_text[0])) {
        char *end = printer_new_day(pr, us, p);
        if (end) return end;
    }
    memcpy(p, pr->day_text, 12);
    uint32_t second = (uint32_t)(rest / 1000000), fraction = (uint32_t)(rest % 1000000);
    p = put_pair(p + 11, second / 3600);
    *p++ = ':';
    p = put_pair(p, second / 60 % 60);
    *p++ = ':';
    p = put_pair(p, second % 60);
    if (likely(!fraction)) return p;
    *p++ = '.';
    p = put_pair(put_pair(put_pair(p, fraction / 10000), fraction / 100 % 100), fraction % 100);
    while (p[-1] == '0') p--;
    return p;
}

/* A cell of a type that is not text; up to CELL_TEXT_MAX bytes. */
static inline char *put_cell(struct printer *pr, const void *data, uint32_t row, char *p)
{
    switch ((enum type_id)pr->type.id) {
    case T_INT64: return p + cell_print_int64(((const int64_t *)data)[row], p);
    case T_INT32: return p + cell_print_int64(((const int32_t *)data)[row], p);
    case T_DOUBLE: return p + cell_print_double(((const double *)data)[row], p);
    case T_TIMESTAMP: return put_timestamp(pr, ((const int64_t *)data)[row], p);
    default: return p + cell_print(pr->type, (const char *)data + type_width(pr->type) * row, p);
    }
}

/* \x and hexadecimal digits: 2 + 2 * s->n bytes. */
char *printer_blob(const struct str *s, char *p);

#endif
