/* SPDX-License-Identifier: Apache-2.0 */
#include "format/csv_dialect.h"

#include <string.h>

#define CSV_OPTIONS(delimiter_)                                                                                        \
    {"delimiter", OPT_CHAR, delimiter_, 0, NULL, 0, 0, "The byte between two fields."},                                \
        {"quote", OPT_CHAR,                                                                                            \
         "\"",    0,                                                                                                   \
         NULL,    0,                                                                                                   \
         0,       "The byte around fields that hold delimiters, quotes or newlines; inside, two stand for one."},      \
        {"header", OPT_BOOL, "true", 0,                                                                                \
         NULL,     0,        0,      "Whether the first line names the columns; without it they go by position."},     \
        {"null", OPT_TEXT, "", 0, NULL, 0, 0, "The text that stands for NULL where it is not quoted."},                \
    {                                                                                                                  \
        NULL, OPT_TEXT, NULL, 0, NULL, 0, 0, NULL                                                                      \
    }
const struct option_spec csv_options[] = {CSV_OPTIONS(",")};
const struct option_spec tsv_options[] = {CSV_OPTIONS("\t")};

/* What numbers and hexadecimal digits are made of would make them ambiguous. */
static bool usable(int c)
{
    bool word = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    return c && !word && !strchr("\r\n.\\", c);
}

enum status csv_dialect_init(struct csv_dialect *d, const struct options *o, struct err *err)
{
    const char *null_text = options_text(o, "null");
    d->delimiter = (char)options_int(o, "delimiter");
    d->quote = (uint8_t)options_int(o, "quote");
    if (!d->quote) d->quote = -1;
    d->header = options_int(o, "header");
    d->null_text = mem_strdup(null_text ? null_text : "");
    d->null_n = strlen(d->null_text);
    if (!usable((uint8_t)d->delimiter) || (uint8_t)d->delimiter == d->quote)
        return err_set(err, E_ARGUMENT,
                       "option delimiter: it must not be the quote, a letter, a digit, a dot, a backslash or a newline");
    if (d->quote >= 0 && !usable(d->quote))
        return err_set(err, E_ARGUMENT,
                       "option quote: it must not be a letter, a digit, a dot, a backslash or a newline");
    return ST_OK;
}

enum status csv_dialect_records(struct csv_dialect *d, const struct options *o, struct err *err)
{
    d->header = false;
    if (!options_get(o, "header")->set || !options_int(o, "header")) return ST_OK;
    err_set(err, E_OPTION, "a record has no header line: its fields go by position");
    err_hint(err, "leave option header out");
    return E_OPTION;
}

void csv_dialect_done(struct csv_dialect *d)
{
    mem_free(d->null_text);
}
