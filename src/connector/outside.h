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
    _Atomic bool is_open; /* open was called and close was not; any thread looks */
};
extern const struct lam_host outside_host;
void outside_open(struct outside_io *o, const char *class_name, const struct connector_ctx *ctx, struct wake *w,
                  void *self);
void outside_close(struct outside_io *o);

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
void outside_room_done(struct outside_room *r);

const char *const *outside_names(struct arena *a, const char *const *names);
enum status outside_options(struct arena *a, const char *what, const struct lam_option *from, int n, size_t stride,
                            const struct option_spec **out, struct err *err);
/* Of a class: its name, aliases, sentence. */
enum status outside_names_fit(const char *what, const char *name, const char *const *aliases, const char *sentence,
                              struct err *err);

#endif
