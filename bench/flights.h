/* Flights in memory as Arrow arrays, as a program would hold them that pushes them. SPDX-License-Identifier: Apache-2.0
 */
#ifndef BENCH_FLIGHTS_H
#define BENCH_FLIGHTS_H

#include <laminar.h>

struct flights {
    int64_t rows;
    int n; /* batches */
    struct ArrowSchema schema;
    struct ArrowArray *batches; /* lent: release does nothing, so a copy of one can be pushed any number of times */
};

/* Reads the CSV (ts,delay,distance,origin,destination with a header line) into batches of batch_rows; ends the program
 * when it cannot. Never freed. */
void flights_read(struct flights *f, const char *path, int batch_rows);

#endif
