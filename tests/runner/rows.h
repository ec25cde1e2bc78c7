/* Rows as lines of text, for comparing. SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_ROWS_H
#define RUNNER_ROWS_H

#include "laminar.h"

#include <stdio.h>

struct rows_text {
    char **v;
    size_t n, cap;
};
void rows_add(struct rows_text *r, const char *line);
/* A line a row: cells by tabs, NULL, (empty), \n and \t for those characters. */
void rows_add_array(struct rows_text *r, const struct ArrowSchema *x, const struct ArrowArray *a);
void rows_clear(struct rows_text *r);
void rows_sort(struct rows_text *r);
/* Rows of a changelog (first cell 1 or -1) summed: what is left, without the weight. */
void rows_fold(struct rows_text *r);
/* types may be "" (compare as text); cells of type R agree within 1e-9, t and f stand for true and false. */
bool rows_equal(const struct rows_text *want, const struct rows_text *got, const char *types);
void rows_print(FILE *out, const char *title, const struct rows_text *r);

#endif
