/* The floor of the JSON bench: a bare loop over simdjson that extracts the fields of bids.
 *     bare_bids FILE
 * Reads FILE into memory once; then one pass over it for each line on stdin. The value is the sum that proves the work.
 * SPDX-License-Identifier: Apache-2.0 */
#include "json_bare.h"
#include "round.h"

#include <stdlib.h>
#include <sys/stat.h>

#define PADDING 64 /* simdjson reads past the end */

static char *read_all(const char *path, size_t *n)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st)) perror(path), exit(2);
    *n = (size_t)st.st_size;
    char *p = calloc(1, *n + PADDING);
    if (!p || fread(p, 1, *n, f) != *n) perror(path), exit(2);
    fclose(f);
    return p;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: bare_bids FILE\n");
        return 2;
    }
    size_t n;
    char *p = read_all(argv[1], &n);
    while (round_next()) {
        uint64_t sum = 0;
        char text[24];
        struct round round = round_begin();
        int64_t rows = json_bare(p, n, &sum);
        round_end(&round);
        if (rows < 0) return 1;
        snprintf(text, sizeof text, "%llu", (unsigned long long)sum);
        round_print(&round, (uint64_t)rows, text);
    }
    free(p);
    return 0;
}
