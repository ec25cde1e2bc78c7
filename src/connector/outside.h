/* Outside classes (include/laminar_connector.h) presented as those of this room. A call of the runtime becomes one call
 * of the class: nothing is done per row but what crossing the border in Arrow's layout asks for.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CONNECTOR_OUTSIDE_H
#define CONNECTOR_OUTSIDE_H

#include "arrow/cdata.h"
#include "connector/connector.h"
#include "laminar_connector.h"

#include <stdatomic.h>

/* Classes whose texts and tables are copied into a; E_MODULE when one is not whole. */
enum status outside_source(struct arena *a, const struct module *m, const struct lam_source_class *from,
                           const struct source_class **out, struct err *err);
enum status outside_sink(struct arena *a, const struct module *m, const struct lam_sink_class *from,
                         const struct sink_class **out, struct err *err);

/* ---- what the two share */

/* What a class and the host functions know an instance by. */
struct outside_io {
    struct lam_io io;
    const struct connector_ctx *ctx;
    struct wake *wake;
    const char *class_name;
    struct ArrowSchema schema;
    struct arena *arena; /* of what follows; RECORDS only */
    struct divided columns;
    struct ArrowSchema metadata; /* columns.mine */
    struct pool *pool;           /* of a sink */
    bool whole;                  /* it asks for values of many rows */
    struct batch *rows;          /* of a write under way, for views */
    _Atomic bool is_open;        /* open was called and close was not; any thread looks */
};
extern const struct lam_host outside_host;
void outside_open(struct outside_io *o, const char *class_name, const struct metadata *table,
                  const struct connector_ctx *ctx, struct wake *w, void *self);
void outside_close(struct outside_io *o);

/* As the host's functions of these names. */
struct lam_view *outside_view_new(struct lam_io *io, const char *filter, const char *format, char *why, size_t n);
const struct lam_passed *outside_view_read(struct lam_view *v, const struct lam_rows *rows, int64_t n, int64_t max_us);
void outside_view_free(struct lam_view *v);
int64_t outside_rows_keep(struct lam_io *io, struct lam_kept **k, const struct lam_rows *rows, int64_t from, int64_t n, int64_t *bytes);
const struct lam_passed *outside_kept_read(struct lam_view *v, const struct lam_kept *k, int64_t max_us);
void outside_kept_free(struct lam_kept *k);

/* A class's result as a status: one of `allowed` (LAM_IO_* below 0, ended by 0), or an error, which has a text then. */
enum status outside_result(const struct outside_io *o, const char *call, int result, const int *allowed,
                           struct err *err);
static inline struct lam_error *outside_err(struct err *err)
{
    return (struct lam_error *)err;
}

/* The bytes of one split: headroom, what was put, padding. */
struct outside_room {
    struct lam_bytes bytes; /* n of them */
    struct account *account;
    char *p;
    size_t cap;
};
char *outside_room(struct lam_bytes *out, size_t n); /* as host->room */
void outside_room_done(struct outside_room *r);

/* A position of columns and records. */
struct outside_place {
    char extra[sizeof((struct lam_position *)0)->extra];
    uint32_t skip : 24, n : 8; /* skip: so many rows behind it were given already */
};
_Static_assert(sizeof(struct outside_place) == sizeof((struct position *)0)->extra, "a place fills a position");
void outside_place_put(const struct lam_position *from, uint32_t skip, struct position *out);

/* The records of one split's poll. */
struct outside_records {
    struct lam_records given;
    struct outside_room values; /* each with a newline behind it */
    size_t asked;               /* bytes behind the last of them that a class may have written to */
    struct record *records;
    struct position *places;
    uint32_t cap;
    const char *wrong; /* what the class did that it must not; NULL: nothing */
};
void outside_records_begin(struct outside_records *r, uint32_t max);
void outside_records_done(struct outside_records *r);
/* As host->record and host->record_room. */
bool outside_record(struct lam_records *out, const void *p, size_t n, const struct lam_position *after);
char *outside_record_room(struct lam_records *out, size_t n);

const char *const *outside_names(struct arena *a, const char *const *names);
enum status outside_options(struct arena *a, const char *what, const struct lam_option *from, int n, size_t stride,
                            const struct option_spec **out, struct err *err);
enum status outside_metadata(struct arena *a, const char *what, const char *class_name, const struct lam_metadata *from,
                             int n, size_t stride, const struct metadata **out, struct err *err);
/* Of a class: its name, aliases, sentence. */
enum status outside_names_fit(const char *what, const char *name, const char *const *aliases, const char *sentence,
                              struct err *err);

#endif
