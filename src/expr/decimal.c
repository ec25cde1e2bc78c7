/* Exact decimals on 128-bit integers. Products and scaled dividends that pass 128 bits go through a 256-bit
 * long division; everything else stays in registers. SPDX-License-Identifier: Apache-2.0 */
#include "expr/decimal.h"

#include "base/shim/number.h"

#include <math.h>

typedef unsigned __int128 uint128;

#define E19 10000000000000000000ull

static const uint64_t pow10_64[20] = {1ull,
                                      10ull,
                                      100ull,
                                      1000ull,
                                      10000ull,
                                      100000ull,
                                      1000000ull,
                                      10000000ull,
                                      100000000ull,
                                      1000000000ull,
                                      10000000000ull,
                                      100000000000ull,
                                      1000000000000ull,
                                      10000000000000ull,
                                      100000000000000ull,
                                      1000000000000000ull,
                                      10000000000000000ull,
                                      100000000000000000ull,
                                      1000000000000000000ull,
                                      10000000000000000000ull};

int128 decimal_pow10(int n)
{
    return n <= 19 ? (int128)pow10_64[n] : (int128)((uint128)pow10_64[n - 19] * E19);
}

static uint128 magnitude(int128 v)
{
    return v < 0 ? -(uint128)v : (uint128)v;
}

bool decimal_finite(int128 v)
{
    return magnitude(v) < (uint128)decimal_pow10(38);
}

int decimal_length(int128 v)
{
    uint128 m = magnitude(v);
    int n = 1;
    while (n < 38 && m >= (uint128)decimal_pow10(n)) n++;
    return n;
}

/* ---- 256 bits ------------------------------------------------------------------------------------ */

struct wide {
    uint128 hi, lo;
};

static struct wide multiply(uint128 a, uint128 b)
{
    uint128 al = (uint64_t)a, ah = a >> 64, bl = (uint64_t)b, bh = b >> 64;
    uint128 ll = al * bl, lh = al * bh, hl = ah * bl, hh = ah * bh;
    uint128 mid = (ll >> 64) + (uint64_t)lh + (uint64_t)hl;
    return (struct wide){hh + (lh >> 64) + (hl >> 64) + (mid >> 64), mid << 64 | (uint64_t)ll};
}

/* Quotient and remainder; false when the quotient passes 128 bits. */
static bool divide(struct wide a, uint128 b, uint128 *quotient, uint128 *rest)
{
    if (a.hi >= b) return false;
    uint128 q = 0, r = a.hi;
    if (!r) {
        *quotient = a.lo / b, *rest = a.lo % b;
        return true;
    }
    for (int i = 127; i >= 0; i--) {
        bool carry = r >> 127;
        r = r << 1 | (a.lo >> i & 1);
        q <<= 1;
        if (carry || r >= b) r -= b, q |= 1;
    }
    *quotient = q, *rest = r;
    return true;
}

static bool settle(uint128 m, bool negative, int128 *out)
{
    if (m >= (uint128)decimal_pow10(38)) return false;
    *out = negative ? -(int128)m : (int128)m;
    return true;
}

/* a / b rounded half away from zero. */
static bool divide_rounded(struct wide a, uint128 b, bool negative, int128 *out)
{
    uint128 q, r;
    if (!divide(a, b, &q, &r)) return false;
    if (r >= b - r) q++;
    return settle(q, negative, out);
}

/* ---- arithmetic ---------------------------------------------------------------------------------- */

/* m * 10^n; false past 128 bits. */
static bool scale_up(uint128 m, int n, uint128 *out)
{
    if (!m) return *out = 0, true;
    if (n > 38) return false;
    return !__builtin_mul_overflow(m, (uint128)decimal_pow10(n), out);
}

bool decimal_rescale(int128 v, int from, int to, int128 *out)
{
    if (!decimal_finite(v)) return *out = v, true;
    if (from == to) return *out = v, true;
    uint128 m = magnitude(v);
    if (to > from) return scale_up(m, to - from, &m) && settle(m, v < 0, out);
    if (from - to > 38) return *out = 0, true;
    uint128 by = (uint128)decimal_pow10(from - to), r = m % by;
    return settle(m / by + (r >= by - r), v < 0, out);
}

static int128 add_special(int128 a, int128 b)
{
    if (a == DECIMAL_NAN || b == DECIMAL_NAN) return DECIMAL_NAN;
    if (!decimal_finite(a) && !decimal_finite(b) && a != b) return DECIMAL_NAN;
    return decimal_finite(a) ? b : a;
}

static int128 negate(int128 v)
{
    return v == DECIMAL_NAN ? v : -v;
}

bool decimal_add(int128 a, int sa, int128 b, int sb, int to, int128 *out)
{
    if (unlikely(!decimal_finite(a) || !decimal_finite(b))) return *out = add_special(a, b), true;
    int s = sa > sb ? sa : sb;
    int128 x, y, sum;
    if (!decimal_rescale(a, sa, s, &x) || !decimal_rescale(b, sb, s, &y)) return false;
    if (__builtin_add_overflow(x, y, &sum)) return false;
    if (s == to) return *out = sum, decimal_finite(sum);
    return decimal_finite(sum) && decimal_rescale(sum, s, to, out);
}

bool decimal_sub(int128 a, int sa, int128 b, int sb, int to, int128 *out)
{
    return decimal_add(a, sa, negate(b), sb, to, out);
}

static int sign_of(int128 v)
{
    return (v > 0) - (v < 0);
}

bool decimal_mul(int128 a, int sa, int128 b, int sb, int to, int128 *out)
{
    if (unlikely(!decimal_finite(a) || !decimal_finite(b))) {
        int sign = sign_of(a) * sign_of(b);
        bool nan = a == DECIMAL_NAN || b == DECIMAL_NAN || !sign;
        return *out = nan ? DECIMAL_NAN : sign > 0 ? DECIMAL_INF : DECIMAL_NINF, true;
    }
    int128 v;
    if (likely(sa + sb == to)) return !__builtin_mul_overflow(a, b, &v) && decimal_finite(v) && (*out = v, true);
    bool negative = (a < 0) != (b < 0);
    struct wide w = multiply(magnitude(a), magnitude(b));
    if (sa + sb > to) {
        int drop = sa + sb - to;
        if (drop > 38) { /* both steps round; the first leaves digits enough that only exact halves could differ */
            uint128 q, r;
            if (!divide(w, (uint128)decimal_pow10(drop - 38), &q, &r)) return false;
            w = (struct wide){0, q};
            drop = 38;
        }
        return divide_rounded(w, (uint128)decimal_pow10(drop), negative, out);
    }
    uint128 m;
    return !w.hi && scale_up(w.lo, to - sa - sb, &m) && settle(m, negative, out);
}

bool decimal_div(int128 a, int sa, int128 b, int sb, int to, int128 *out)
{
    bool negative = (a < 0) != (b < 0);
    if (unlikely(!decimal_finite(a) || !decimal_finite(b))) {
        bool nan = a == DECIMAL_NAN || b == DECIMAL_NAN || (!decimal_finite(a) && !decimal_finite(b));
        return *out = nan ? DECIMAL_NAN : decimal_finite(a) ? 0 : negative ? DECIMAL_NINF : DECIMAL_INF, true;
    }
    int shift = to - sa + sb; /* a * 10^shift / b */
    uint128 x = magnitude(a), y = magnitude(b);
    if (shift < 0) {
        if (!scale_up(y, -shift, &y)) return *out = 0, true; /* the divisor passes 10^38, so the quotient is < 1/2 */
        return divide_rounded((struct wide){0, x}, y, negative, out);
    }
    struct wide w;
    if (shift <= 38) {
        w = multiply(x, (uint128)decimal_pow10(shift));
    } else {
        if (!scale_up(x, shift - 38, &x)) return false;
        w = multiply(x, (uint128)decimal_pow10(38));
    }
    return divide_rounded(w, y, negative, out);
}

/* (m * 10^n) mod b without forming the product. */
static uint128 mod_scaled(uint128 m, int n, uint128 b)
{
    uint128 r = m % b, q;
    for (; n > 0; n -= 19) (void)divide(multiply(r, pow10_64[n < 19 ? n : 19]), b, &q, &r);
    return r;
}

bool decimal_mod(int128 a, int sa, int128 b, int sb, int to, int128 *out)
{
    if (unlikely(!decimal_finite(a) || !decimal_finite(b)))
        return *out = decimal_finite(a) && b != DECIMAL_NAN ? a : DECIMAL_NAN, true;
    uint128 x = magnitude(a), y = magnitude(b), r;
    int s = sa > sb ? sa : sb;
    if (!scale_up(y, s - sb, &y))
        r = x; /* then sa == s, and the divisor passes 128 bits: a is its own rest */
    else
        r = mod_scaled(x, s - sa, y);
    int128 v;
    return settle(r, a < 0, &v) && decimal_rescale(v, s, to, out);
}

int decimal_compare(int128 a, int sa, int128 b, int sb)
{
    if (sa != sb && decimal_finite(a) && decimal_finite(b)) {
        if (sign_of(a) != sign_of(b)) return sign_of(a) < sign_of(b) ? -1 : 1;
        uint128 m;
        if (sa < sb) {
            if (!scale_up(magnitude(a), sb - sa, &m) || m >> 127) return sign_of(a);
            a = a < 0 ? -(int128)m : (int128)m;
        } else {
            if (!scale_up(magnitude(b), sa - sb, &m) || m >> 127) return -sign_of(b);
            b = b < 0 ? -(int128)m : (int128)m;
        }
    }
    return (a > b) - (a < b);
}

/* Weight and leading digit in base 10000 counted from the point, as PostgreSQL stores a numeric. */
static int weigh(int128 v, int scale, int *first)
{
    uint128 m = magnitude(v);
    if (!m) return *first = 0, 0;
    int top = decimal_length(v) - 1 - scale; /* power of ten of the first digit */
    int weight = top >= 0 ? top / 4 : -((3 - top) / 4);
    int cut = weight * 4 + scale; /* units below the leading group */
    *first = cut >= 0 ? (int)(m / (uint128)decimal_pow10(cut)) : (int)(m * (uint128)decimal_pow10(-cut));
    return weight;
}

int decimal_div_scale(int128 a, int sa, int128 b, int sb)
{
    int fa, fb, wa = weigh(a, sa, &fa), wb = weigh(b, sb, &fb);
    int weight = wa - wb - (fa <= fb);
    int scale = 16 - weight * 4;
    if (scale < sa) scale = sa;
    if (scale < sb) scale = sb;
    return scale < 0 ? 0 : scale;
}

bool decimal_cut(int128 v, int scale, int digits, enum decimal_part how, int to, int128 *out)
{
    if (!decimal_finite(v)) return *out = v, true;
    if (digits >= scale) return decimal_rescale(v, scale, to, out);
    int drop = scale - digits;
    uint128 m = magnitude(v), q = 0, r = m, by = 0;
    if (drop <= 38) {
        by = (uint128)decimal_pow10(drop);
        q = m / by, r = m % by;
    }
    switch (how) {
    case DECIMAL_FLOOR: q += r && v < 0; break;
    case DECIMAL_CEIL: q += r && v > 0; break;
    case DECIMAL_ROUND: q += by && r >= by - r; break;
    case DECIMAL_TRUNC: break;
    }
    if (to >= digits) return scale_up(q, to - digits, &m) && settle(m, v < 0, out);
    int128 w;
    return settle(q, v < 0, &w) && decimal_rescale(w, digits, to, out);
}

/* ---- text and floats ----------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* digits (no leading zeros) as a number with its point after `point` of them, rounded to `scale`. */
static enum status from_digits(const char *digits, int n, int point, int scale, bool negative, int128 *out)
{
    int64_t keep = (int64_t)point + scale; /* digits of the result */
    if (!n || keep < 0) return *out = 0, ST_OK;
    if (keep > 38) return E_RANGE;
    uint128 m = 0;
    for (int i = 0; i < keep; i++) m = m * 10 + (uint128)(i < n ? digits[i] - '0' : 0);
    if (keep < n && digits[keep] >= '5') m++;
    return settle(m, negative, out) ? ST_OK : E_RANGE;
}

struct number {
    char digits[128]; /* significant ones; those beyond only matter for rounding, which one digit decides */
    int n, point;     /* the point stands after `point` of them */
    int64_t scale;    /* digits after the point as written */
    bool negative, special;
    int128 value;
};

static bool same_word(const char *p, size_t n, const char *word)
{
    if (n != strlen(word)) return false;
    for (size_t i = 0; i < n; i++)
        if ((p[i] | 32) != word[i]) return false;
    return true;
}

static enum status scan_special(const char *p, size_t n, struct number *x)
{
    x->special = true;
    if (same_word(p, n, "nan"))
        x->value = DECIMAL_NAN;
    else if (same_word(p, n, "inf") || same_word(p, n, "infinity"))
        x->value = x->negative ? DECIMAL_NINF : DECIMAL_INF;
    else
        return E_CAST;
    return ST_OK;
}

static enum status scan_exponent(const char *p, size_t n, int64_t *out)
{
    bool negative = n && *p == '-';
    if (n && (*p == '-' || *p == '+')) p++, n--;
    if (!n) return E_CAST;
    int64_t e = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(p[i])) return E_CAST;
        if (e < 1000000) e = e * 10 + (p[i] - '0');
    }
    *out = negative ? -e : e;
    return ST_OK;
}

static enum status scan(const char *p, size_t n, struct number *x)
{
    memset(x, 0, offsetof(struct number, value));
    if (n && (*p == '-' || *p == '+')) x->negative = *p == '-', p++, n--;
    if (n && !is_digit(*p) && *p != '.') return scan_special(p, n, x);
    bool seen = false, after = false;
    size_t i = 0;
    for (; i < n && (is_digit(p[i]) || (p[i] == '.' && !after)); i++) {
        if (p[i] == '.') {
            after = true;
            continue;
        }
        seen = true;
        x->scale += after;
        if (!x->n && p[i] == '0') {
            x->point -= after;
            continue;
        }
        if (x->n < (int)sizeof x->digits) x->digits[x->n++] = p[i];
        if (!after) x->point++;
    }
    if (!seen) return E_CAST;
    if (i < n) {
        int64_t e;
        if ((p[i] | 32) != 'e') return E_CAST;
        TRY(scan_exponent(p + i + 1, n - i - 1, &e));
        x->scale = x->scale > e ? x->scale - e : 0;
        if (e > 100000 || e < -100000) return E_RANGE;
        x->point += (int)e;
    }
    return ST_OK;
}

enum status decimal_parse(const char *p, size_t n, int128 *out, int *scale)
{
    struct number x;
    TRY(scan(p, n, &x));
    *scale = 0;
    if (x.special) return *out = x.value, ST_OK;
    if (x.scale > DECIMAL_DIGITS) return E_RANGE;
    TRY(from_digits(x.digits, x.n, x.point, (int)x.scale, x.negative, out));
    *scale = (int)x.scale;
    return ST_OK;
}

enum status decimal_parse_scaled(const char *p, size_t n, int scale, int128 *out)
{
    struct number x;
    TRY(scan(p, n, &x));
    if (x.special) return *out = x.value, ST_OK;
    return from_digits(x.digits, x.n, x.point, scale, x.negative, out);
}

static uint32_t print_unsigned(uint128 m, char *out)
{
    char buf[40];
    int n = 0;
    do {
        uint64_t part = (uint64_t)(m % E19);
        m /= E19;
        for (int i = 0; m ? i < 19 : part || !i; i++) buf[n++] = (char)('0' + part % 10), part /= 10;
    } while (m);
    for (int i = 0; i < n; i++) out[i] = buf[n - 1 - i];
    return (uint32_t)n;
}

static uint32_t put_word(char *out, const char *word)
{
    uint32_t n = (uint32_t)strlen(word);
    memcpy(out, word, n);
    return n;
}

uint32_t decimal_print(int128 v, int scale, bool trim, char *out)
{
    if (v == DECIMAL_NAN) return put_word(out, "NaN");
    if (!decimal_finite(v)) return put_word(out, v > 0 ? "Infinity" : "-Infinity");
    if (trim)
        while (scale > 0 && v % 10 == 0) v /= 10, scale--;
    char *p = out;
    if (v < 0) *p++ = '-';
    char digits[40];
    int n = (int)print_unsigned(magnitude(v), digits);
    int whole = n - scale;
    if (whole <= 0) {
        *p++ = '0';
    } else {
        memcpy(p, digits, (size_t)whole);
        p += whole;
    }
    if (scale > 0) {
        *p++ = '.';
        for (int i = whole; i < 0; i++) *p++ = '0';
        int from = whole > 0 ? whole : 0;
        memcpy(p, digits + from, (size_t)(n - from));
        p += n - from;
    }
    return (uint32_t)(p - out);
}

double decimal_double(int128 v, int scale)
{
    if (!decimal_finite(v)) return v == DECIMAL_NAN ? NAN : v > 0 ? INFINITY : -INFINITY;
    if (scale <= 19 && magnitude(v) < (uint128)1 << 53) return (double)v / (double)pow10_64[scale];
    char buf[48];
    double d = 0;
    (void)number_parse_double(buf, decimal_print(v, scale, false, buf), &d);
    return d;
}

bool decimal_from_double(double v, int digits, int scale, int128 *out)
{
    if (isnan(v)) return *out = DECIMAL_NAN, true;
    if (isinf(v)) return *out = v > 0 ? DECIMAL_INF : DECIMAL_NINF, true;
    if (v == 0) return *out = 0, true;
    char buf[NUMBER_DIGITS_MAX];
    int point, n = number_digits_rounded(v, digits, buf, &point);
    return from_digits(buf, n, point, scale, v < 0, out) == ST_OK;
}

struct type decimal_type(int128 v, int scale)
{
    if (!decimal_finite(v)) return type_decimal(DECIMAL_DIGITS, scale);
    int n = decimal_length(v);
    return type_decimal(n > scale ? n : scale ? scale : 1, scale);
}
