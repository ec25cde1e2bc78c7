/* A table for people: rows are added, then laid out in a frame with columns as wide as they need be.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_GRID_H
#define CLI_GRID_H

#include "laminar.h"

#include <stdio.h>

struct grid;
struct grid *grid_new(const struct ArrowSchema *x);
void grid_add(struct grid *g, const struct ArrowSchema *x, const struct ArrowArray *a);
void grid_add_from(struct grid *g, const struct ArrowSchema *x, const struct ArrowArray *a, int64_t from);
void grid_frame(FILE *out, const struct grid *g);
void grid_print(FILE *out, const struct grid *g); /* and how many rows there are */
void grid_free(struct grid *g);

#endif
