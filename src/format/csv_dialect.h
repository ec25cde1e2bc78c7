/* How CSV is spelt, in and out. Belongs to src/format. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_CSV_DIALECT_H
#define FORMAT_CSV_DIALECT_H

#include "base/option.h"

struct csv_dialect {
    char delimiter;
    int quote; /* -1: none */
    bool header;
    char *null_text; /* unquoted, it is NULL */
    size_t null_n;
};
extern const struct option_spec csv_options[], tsv_options[];
enum status csv_dialect_init(struct csv_dialect *d, const struct options *o, struct err *err);
/* Of records that come or go one by one: none has a header line. */
enum status csv_dialect_records(struct csv_dialect *d, const struct options *o, struct err *err);
void csv_dialect_done(struct csv_dialect *d);

#endif
