/* What cell_parse takes, cell_put prints so that it is taken again as the same value; the hot readers agree with the
 * general one. The first byte chooses the type. SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "expr/cell.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct type types[] = {
    {.id = T_BOOL},
    {.id = T_INT8},
    {.id = T_INT16},
    {.id = T_INT32},
    {.id = T_INT64},
    {.id = T_FLOAT},
    {.id = T_DOUBLE},
    {.id = T_DATE},
    {.id = T_TIME},
    {.id = T_TIMESTAMP},
    {.id = T_TIMESTAMPTZ},
    {.id = T_INTERVAL},
    {.id = T_UUID},
    {.id = T_JSON},
    {.id = T_VARCHAR},
    {.id = T_DECIMAL, .precision = 38, .scale = 10},
    {.id = T_DECIMAL, .scale = 16},
    {.id = T_DECIMAL, .precision = 5, .scale = 2},
    {.id = T_DECIMAL, .precision = 38, .scale = 38},
};

static void hot_readers(struct type t, const char *p, size_t n, enum status st, const void *cell)
{
    int64_t i;
    double d;
    if (t.id == T_INT64 && cell_parse_int64(p, n, &i)) INVARIANT(!st && !memcmp(&i, cell, 8));
    if (t.id == T_DOUBLE && cell_parse_double(p, n, &d)) INVARIANT(!st && !memcmp(&d, cell, 8));
    if (t.id == T_TIMESTAMP && cell_parse_timestamp(p, n, &i)) INVARIANT(!st && !memcmp(&i, cell, 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!n) return 0;
    struct type t = types[data[0] % countof(types)];
    const char *p = (const char *)data + 1;
    n--;
    _Alignas(16) char cell[16] = {0}, again[16] = {0};
    struct err err;
    enum status st = cell_parse(t, p, n, cell, &err);
    hot_readers(t, p, n, st, cell);
    if (st) return 0;
    struct text first = {0}, second = {0};
    cell_put(t, cell, &first);
    INVARIANT(type_is_text(t) || first.n <= CELL_TEXT_MAX);
    /* Infinite decimals belong to 38 digits only, and an interval's fields may print beyond what its sum can hold. */
    INVARIANT(!cell_parse(t, first.p ? first.p : "", first.n, again, &err));
    cell_put(t, again, &second);
    INVARIANT(first.n == second.n && (!first.n || !memcmp(first.p, second.p, first.n)));
    text_done(&first);
    text_done(&second);
    return 0;
}
