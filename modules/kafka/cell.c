/* SPDX-License-Identifier: Apache-2.0 */
#include "cell.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_null(const struct ArrowArray *a, int64_t row)
{
    const uint8_t *valid = a->n_buffers ? a->buffers[0] : NULL;
    return valid && !(valid[row / 8] >> row % 8 & 1);
}

bool cell_fits(const struct ArrowSchema *column)
{
    return strlen(column->format) == 1 && strchr("uUzZcCsSiIlLb", column->format[0]);
}

bool cell_int(const struct ArrowSchema *column, const struct ArrowArray *a, int64_t row, int64_t *out)
{
    row += a->offset;
    if (is_null(a, row)) return false;
    const void *p = a->buffers[1];
    switch (column->format[0]) {
    case 'c': *out = ((const int8_t *)p)[row]; break;
    case 'C': *out = ((const uint8_t *)p)[row]; break;
    case 's': *out = ((const int16_t *)p)[row]; break;
    case 'S': *out = ((const uint16_t *)p)[row]; break;
    case 'i': *out = ((const int32_t *)p)[row]; break;
    case 'I': *out = ((const uint32_t *)p)[row]; break;
    case 'b': *out = ((const uint8_t *)p)[row / 8] >> row % 8 & 1; break;
    default: *out = ((const int64_t *)p)[row];
    }
    return true;
}

const char *cell_bytes(const struct ArrowSchema *column, const struct ArrowArray *a, int64_t row, char *room, size_t *n)
{
    static const char none[1];
    int64_t v, at = row + a->offset;
    *n = 0;
    if (strchr("uz", column->format[0])) {
        if (is_null(a, at)) return NULL;
        const int32_t *ends = a->buffers[1];
        *n = (size_t)(ends[at + 1] - ends[at]);
        return *n ? (const char *)a->buffers[2] + ends[at] : none;
    }
    if (strchr("UZ", column->format[0])) {
        if (is_null(a, at)) return NULL;
        const int64_t *ends = a->buffers[1];
        *n = (size_t)(ends[at + 1] - ends[at]);
        return *n ? (const char *)a->buffers[2] + ends[at] : none;
    }
    if (!cell_int(column, a, row, &v)) return NULL;
    if (column->format[0] == 'b')
        *n = (size_t)sprintf(room, "%s", v ? "true" : "false");
    else
        *n = (size_t)sprintf(room, column->format[0] == 'L' ? "%" PRIu64 : "%" PRId64, v);
    return room;
}
