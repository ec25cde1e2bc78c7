/* Values of JSON into cells. SPDX-License-Identifier: Apache-2.0 */
#include "format/json_int.h"

#include <math.h>

bool json_escaped(struct json *j, const char **p, uint32_t *n)
{
    text_clear(&j->scratch);
    char *to = text_room(&j->scratch, *n + 2 * JSON_PADDING), *end = json_unescape(j->index, *p, to);
    *p = to, *n = (uint32_t)(end - to);
    return end;
}

/* 5.0 and 1e3 are integers, too. */
static enum status whole(const struct json_value *v, double times, int64_t *out)
{
    double d;
    if (!cell_parse_double(v->p, v->n, &d)) return E_RANGE;
    d *= times;
    if (fabs(d) > 9007199254740992.0 || (times == 1 && d != floor(d))) return E_CAST;
    *out = (int64_t)rint(d);
    return ST_OK;
}

enum status json_scaled(const struct json_value *v, int64_t mul, int64_t div, int64_t *out)
{
    if (!field_int64(v->p, v->n, out)) return whole(v, (double)mul / (double)div, out);
    if (__builtin_mul_overflow(*out, mul, out)) return E_DATETIME_RANGE;
    *out = *out / div - (*out % div < 0);
    return ST_OK;
}

enum status json_mismatch(struct type t, const struct json_value *v, struct err *err)
{
    char name[64], shown[REPORT_TEXT];
    return err_set(err, E_CAST, "invalid input for %s: %s", type_name(t, name), report_text(v->p, v->n, shown));
}

void json_mean(struct json_column *c, enum json_meaning meaning)
{
    c->sense.meaning = meaning;
    c->plain_text = c->type.id == T_VARCHAR && !c->type.length && meaning != MEANING_DECIMAL;
}

enum status json_no_unit(struct err *err)
{
    return err_set(err, E_CAST, "what the number counts is not known, so epoch.unit is to say");
}

enum status json_cell(struct json *j, struct batch *b, struct json_column *c, void *data, const struct json_value *v, struct err *err)
{
    struct type t = c->type;
    const char *p = v->p;
    uint32_t n = v->n;
    int64_t i;
    if (j->debezium) {
        enum status st = debezium_cell(j, b, c, data, v, err);
        if (st != ST_MORE) return st;
    }
    if (v->kind == JSON_STRING && t.id != T_JSON) {
        if (!json_string(j, v, &p, &n)) return err_set(err, E_CAST, "invalid escape in a string");
    } else if (v->kind == JSON_NUMBER && type_is_time(t)) {
        if (!c->mul) return json_no_unit(err);
        if (json_scaled(v, c->mul, c->div, (int64_t *)data)) return json_mismatch(t, v, err);
        return ST_OK;
    } else if (v->kind == JSON_NUMBER && type_is_integer(t) && !field_int64(p, n, &i) && !whole(v, 1, &i)) {
        char text[CELL_TEXT_MAX];
        return decoder_cell(b, t, data, text, cell_print_int64(i, text), err);
    } else if (v->kind == JSON_NESTED && !type_is_text(t)) {
        return json_mismatch(t, v, err);
    } else if (v->kind == JSON_BOOL && t.id != T_BOOL && !type_is_text(t)) {
        return json_mismatch(t, v, err);
    }
    return decoder_cell(b, t, data, p, n, err);
}
