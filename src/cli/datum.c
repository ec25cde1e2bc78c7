/* Arrow values as text. SPDX-License-Identifier: Apache-2.0 */
#include "cli/datum.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY_US 86400000000ll

bool datum_is_null(const struct ArrowArray *c, int64_t row)
{
    if (c->n_buffers == 0) return true;
    const uint8_t *valid = c->buffers[0];
    int64_t i = c->offset + row;
    return valid && !(valid[i / 8] >> (i % 8) & 1);
}

/* A year before 1 is shown as BC, which the caller adds at the end. */
static bool print_date(FILE *out, int64_t days)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, y = yoe + era * 400;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    if (month <= 2) y++;
    fprintf(out, "%04" PRId64 "-%02" PRId64 "-%02" PRId64, y > 0 ? y : 1 - y, month, day);
    return y <= 0;
}

static void print_fraction(FILE *out, int64_t us)
{
    if (!us) return;
    char digits[8];
    int n = snprintf(digits, sizeof digits, "%06d", (int)us);
    while (digits[n - 1] == '0') n--;
    fprintf(out, ".%.*s", n, digits);
}

static void print_time(FILE *out, int64_t us)
{
    int64_t s = us / 1000000;
    fprintf(out, "%02" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
    print_fraction(out, us % 1000000);
}

static void print_timestamp(FILE *out, int64_t us, bool zone)
{
    int64_t days = us / DAY_US - (us % DAY_US < 0);
    bool bc = print_date(out, days);
    fputc(' ', out);
    print_time(out, us - days * DAY_US);
    fputs(zone ? "+00" : "", out);
    fputs(bc ? " BC" : "", out);
}

struct interval_parts {
    int32_t months, days;
    int64_t ns;
};

/* PostgreSQL marks with + a positive part that follows a negative one. */
static void print_part(FILE *out, int64_t v, const char *unit, bool *first, bool *before)
{
    if (!v) return;
    fprintf(out, "%s%s%" PRId64 " %s%s", *first ? "" : " ", *before && v > 0 ? "+" : "", v, unit, v == 1 ? "" : "s");
    *before = v < 0;
    *first = false;
}

static void print_interval(FILE *out, const struct interval_parts *p)
{
    bool first = true, before = false;
    int64_t us = p->ns / 1000;
    print_part(out, p->months / 12, "year", &first, &before);
    print_part(out, p->months % 12, "mon", &first, &before);
    print_part(out, p->days, "day", &first, &before);
    if (!us && !first) return;
    fprintf(out, "%s%s", first ? "" : " ", us < 0 ? "-" : before ? "+" : "");
    print_time(out, us < 0 ? -us : us);
}

/* The fewest digits that read back as the same number; exponents as PostgreSQL, outside [1e-4, 1e15) or, for REAL,
 * [1e-4, 1e6). */
static void print_float(FILE *out, double d, bool is_real)
{
    char s[40], digits[24];
    if (isnan(d) || isinf(d)) {
        fputs(isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity", out);
        return;
    }
    int p = is_real ? 5 : 14, most = is_real ? 8 : 16;
    for (; p <= most; p++) {
        snprintf(s, sizeof s, "%.*e", p, d);
        if (is_real ? strtof(s, NULL) == (float)d : strtod(s, NULL) == d) break;
    }
    int exponent = atoi(strchr(s, 'e') + 1), n = 0;
    for (const char *c = s; *c != 'e'; c++)
        if (*c >= '0' && *c <= '9') digits[n++] = *c;
    while (n > 1 && digits[n - 1] == '0') n--;
    if (signbit(d)) fputc('-', out);
    if (exponent < -4 || exponent >= (is_real ? 6 : 15)) {
        fprintf(out, "%c%s%.*se%c%02d", digits[0], n > 1 ? "." : "", n - 1, digits + 1, exponent < 0 ? '-' : '+',
                abs(exponent));
    } else if (exponent < 0) {
        fprintf(out, "0.%.*s%.*s", -exponent - 1, "0000", n, digits);
    } else {
        for (int i = 0; i < n || i <= exponent; i++) {
            if (i == exponent + 1) fputc('.', out);
            fputc(i < n ? digits[i] : '0', out);
        }
    }
}

/* NaN and the infinities lie at the ends of 128 bits (laminar.h). */
static const char *decimal_word(__int128 v)
{
    const __int128 most = (__int128)(~(unsigned __int128)0 >> 1);
    return v == most ? "NaN" : v == most - 1 ? "Infinity" : v == 1 - most ? "-Infinity" : NULL;
}

static void print_decimal(FILE *out, __int128 v, int scale)
{
    char s[64];
    if (decimal_word(v)) {
        fputs(decimal_word(v), out);
        return;
    }
    int at = sizeof s;
    bool negative = v < 0;
    unsigned __int128 u = negative ? -(unsigned __int128)v : (unsigned __int128)v;
    for (int i = 0; u || i <= scale; i++) {
        if (i == scale && i) s[--at] = '.';
        s[--at] = (char)('0' + (int)(u % 10));
        u /= 10;
    }
    if (negative) s[--at] = '-';
    fwrite(s + at, 1, sizeof s - (size_t)at, out);
}

static void print_hex(FILE *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) fprintf(out, "%02x", p[i]);
}

static void print_uuid(FILE *out, const uint8_t *p)
{
    static const int runs[] = {4, 2, 2, 2, 6};
    for (int i = 0; i < 5; p += runs[i++]) {
        if (i) fputc('-', out);
        print_hex(out, p, (size_t)runs[i]);
    }
}

const char *datum_bytes(const struct ArrowSchema *x, const struct ArrowArray *c, int64_t row, size_t *n)
{
    int64_t i = c->offset + row, from, to;
    if (x->format[0] == 'U' || x->format[0] == 'Z') {
        const int64_t *o = c->buffers[1];
        from = o[i], to = o[i + 1];
    } else {
        const int32_t *o = c->buffers[1];
        from = o[i], to = o[i + 1];
    }
    *n = (size_t)(to - from);
    return (const char *)c->buffers[2] + from;
}

bool datum_is_text(const struct ArrowSchema *x)
{
    return strchr("uUzZ", x->format[0]) && !x->format[1];
}

bool datum_is_number(const struct ArrowSchema *x)
{
    return x->format[0] == 'd' || (strchr("csilCSILfg", x->format[0]) && !x->format[1]);
}

static int64_t integer(const struct ArrowSchema *x, const struct ArrowArray *c, int64_t i)
{
    const void *p = c->buffers[1];
    switch (x->format[0]) {
    case 'c': return ((const int8_t *)p)[i];
    case 's': return ((const int16_t *)p)[i];
    case 'i': return ((const int32_t *)p)[i];
    default: return ((const int64_t *)p)[i];
    }
}

static int scale_of(const char *format)
{
    const char *comma = strchr(format, ',');
    return comma ? atoi(comma + 1) : 0;
}

static __int128 decimal(const struct ArrowArray *c, int64_t i)
{
    __int128 v;
    memcpy(&v, (const char *)c->buffers[1] + 16 * i, 16);
    return v;
}

double datum_number(const struct ArrowSchema *x, const struct ArrowArray *c, int64_t row)
{
    int64_t i = c->offset + row;
    if (datum_is_null(c, row)) return NAN;
    switch (x->format[0]) {
    case 'f': return (double)((const float *)c->buffers[1])[i];
    case 'g': return ((const double *)c->buffers[1])[i];
    case 'd':
        if (decimal_word(decimal(c, i))) return strtod(decimal_word(decimal(c, i)), NULL);
        return (double)decimal(c, i) / pow(10, scale_of(x->format));
    default: return (double)integer(x, c, i);
    }
}

/* Formats that begin with t: date, time, timestamp, interval. */
static void print_temporal(FILE *out, const struct ArrowSchema *x, const struct ArrowArray *c, int64_t i)
{
    const void *p = c->buffers[1];
    switch (x->format[1]) {
    case 'd': fputs(print_date(out, ((const int32_t *)p)[i]) ? " BC" : "", out); break;
    case 't': print_time(out, ((const int64_t *)p)[i]); break;
    case 'i': print_interval(out, (const struct interval_parts *)p + i); break;
    default: print_timestamp(out, ((const int64_t *)p)[i], x->format[3] == ':' && x->format[4]); break;
    }
}

void datum_print(FILE *out, const struct ArrowSchema *x, const struct ArrowArray *c, int64_t row)
{
    int64_t i = c->offset + row;
    const char *text;
    size_t n;
    if (datum_is_null(c, row)) return;
    switch (x->format[0]) {
    case 'b': fputs(((const uint8_t *)c->buffers[1])[i / 8] >> (i % 8) & 1 ? "true" : "false", out); break;
    case 'f': print_float(out, (double)((const float *)c->buffers[1])[i], true); break;
    case 'g': print_float(out, ((const double *)c->buffers[1])[i], false); break;
    case 'd': print_decimal(out, decimal(c, i), scale_of(x->format)); break;
    case 't': print_temporal(out, x, c, i); break;
    case 'w': print_uuid(out, (const uint8_t *)c->buffers[1] + 16 * i); break;
    case 'u':
    case 'U':
        text = datum_bytes(x, c, row, &n);
        fwrite(text, 1, n, out);
        break;
    case 'z':
    case 'Z':
        text = datum_bytes(x, c, row, &n);
        fputs("\\x", out);
        print_hex(out, (const uint8_t *)text, n);
        break;
    default: fprintf(out, "%" PRId64, integer(x, c, i)); break;
    }
}

void datum_json_string(FILE *out, const char *p, size_t n)
{
    fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)p[i];
        const char *short_form = ch == '\n'   ? "\\n"
                                 : ch == '\t' ? "\\t"
                                 : ch == '\r' ? "\\r"
                                 : ch == '"'  ? "\\\""
                                 : ch == '\\' ? "\\\\"
                                              : NULL;
        if (short_form)
            fputs(short_form, out);
        else if (ch < 0x20)
            fprintf(out, "\\u%04x", ch);
        else
            fputc(ch, out);
    }
    fputc('"', out);
}

void datum_print_json(FILE *out, const struct ArrowSchema *x, const struct ArrowArray *c, int64_t row)
{
    size_t n;
    char *text = NULL;
    if (datum_is_null(c, row)) {
        fputs("null", out);
    } else if (x->format[0] == 'u' || x->format[0] == 'U') {
        const char *p = datum_bytes(x, c, row, &n);
        datum_json_string(out, p, n);
    } else if (x->format[0] == 'b' || (datum_is_number(x) && isfinite(datum_number(x, c, row)))) {
        datum_print(out, x, c, row);
    } else {
        FILE *mem = open_memstream(&text, &n);
        datum_print(mem, x, c, row);
        fclose(mem);
        datum_json_string(out, text, n);
        free(text);
    }
}
