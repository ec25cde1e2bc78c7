/* SPDX-License-Identifier: Apache-2.0 */
#include "format/csv_dialect.h"

#include <string.h>

#define CSV_OPTIONS(delimiter_)                                                                                        \
    {"delimiter", OPT_CHAR, delimiter_, 0, NULL, 0, 0, "The byte between two fields."},                                \
    {"quote", OPT_CHAR, "\"", 0, NULL, 0, 0,                                                                           \
     "The byte around fields that hold delimiters, quotes or newlines; inside, two stand for one."},                   \
    {"header", OPT_BOOL, "true", 0, NULL, 0, 0,                                                                        \
     "Whether the first line names the columns; without it they go by position."},                                     \
    {"null", OPT_TEXT, "", 0, NULL, 0, 0, "The text that stands for NULL where it is not quoted."},                    \
    {NULL, OPT_TEXT, NULL, 0, NULL, 0, 0, NULL}
const struct option_spec csv_options[] = {CSV_OPTIONS(",")};
const struct option_spec tsv_options[] = {CSV_OPTIONS("\t")};

enum status csv_dialect_init(struct csv_dialect *d, const struct options *o, struct err *err)
{
    const char *null_text = options_text(o, "null");
    d->delimiter = (char)options_int(o, "delimiter");
    d->quote = (uint8_t)options_int(o, "quote");
    if (!d->quote) d->quote = -1;
    d->header = options_int(o, "header");
    d->null_text = mem_strdup(null_text ? null_text : "");
    d->null_n = strlen(d->null_text);
    if (!d->delimiter || strchr("\r\n", d->delimiter) || (uint8_t)d->delimiter == d->quote)
        return err_set(err, E_ARGUMENT, "option delimiter: it must be neither a newline nor the quote");
    if (d->quote == '\n' || d->quote == '\r') return err_set(err, E_ARGUMENT, "option quote: it must not be a newline");
    return ST_OK;
}

void csv_dialect_done(struct csv_dialect *d) { mem_free(d->null_text); }
