/* Options as tables: parsing, errors, SHOW and the documentation come from one place. Names are written
 * with dots; `_`, `-` and `.` mean the same. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include "base/mem.h"
#include "base/status.h"

enum option_type {
    OPT_TEXT,
    OPT_BOOL,     /* true false on off yes no 1 0 */
    OPT_INT,      /* an integer, optionally within min..max of the spec */
    OPT_DOUBLE,
    OPT_SIZE,     /* bytes: '64 MiB', '64mb', 65536 */
    OPT_DURATION, /* microseconds: '250 ms', '5 s', '1 minute', '1h'; a name ending in .ms takes a bare number */
    OPT_ENUM,     /* one of `values`, "a|b|c" */
    OPT_CHAR,     /* one byte; '\t' and 'tab' too */
};
enum {
    OPT_REQUIRED = 1,
    OPT_SECRET = 2,
    OPT_LIVE = 4,    /* ALTER ... SET may change it while it runs */
    OPT_REFUSED = 8, /* a name that users bring from elsewhere: giving it is an error, and the sentence says what to do instead */
};

struct option_spec {
    const char *name;    /* canonical: lower case, dots. One that ends with .* stands for any name in place of the *, as often as given */
    enum option_type type;
    const char *dflt;    /* as text; NULL: unset */
    int flags;
    const char *values;  /* OPT_ENUM */
    int64_t min, max;    /* OPT_INT, OPT_SIZE, OPT_DURATION when max > min */
    const char *sentence;
    const char *also;    /* other names of it, "a|b"; NULL: none */
};

struct option_in { /* as the user wrote it */
    const char *key, *value;
    uint32_t pos, value_pos; /* in the statement */
};

struct option_value {
    const struct option_spec *spec;
    bool set;         /* by the user */
    const char *text; /* NULL: unset */
    const char *rest; /* of one whose name ends with .*: what the user has in place of the * */
    int64_t i;        /* bool, int, size, duration in us, char; index for enums */
    double d;
};

struct options { /* lives in an arena */
    int n;
    struct option_value *values;
};

/* Reads `in` against up to four tables (each ended by a spec whose name is NULL); what (e.g. "the file source") is for
 * messages. Unknown: E_OPTION with the nearest name. */
enum status options_read(struct arena *a, const char *what, const struct option_spec *const *tables, int ntables,
                         const struct option_in *in, int n, struct options **out, struct err *err);
/* By canonical name; asking for a name in none of the tables is a bug. */
const struct option_value *options_get(const struct options *o, const char *name);
const char *options_text(const struct options *o, const char *name); /* NULL: unset */
int64_t options_int(const struct options *o, const char *name);     /* bool, int, size, duration, enum index, char */
bool options_has(const struct options *o, const char *name);        /* in the tables and set by user or default */
/* The i-th value given by the user of an option whose name ends with .*; NULL: there are no more. */
const struct option_value *options_nth(const struct options *o, const char *name, int i);
/* Whether names are the same, with _ - and . taken as one, as are upper and lower case. */
bool option_same_name(const char *a, const char *b);

/* Whether a user's default would be taken: what options_read asserts of tables that were not written here. */
bool option_default_fits(const struct option_spec *s);

/* The spec of that name, or also called that, in one table; or NULL. */
const struct option_spec *option_find(const struct option_spec *table, const char *key);

/* '250 ms' -> 250000. Bare numbers need `bare_unit_us` > 0. */
bool duration_parse(const char *s, int64_t bare_unit_us, int64_t *out_us);
bool size_parse(const char *s, int64_t *out);

#endif
