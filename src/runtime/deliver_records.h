/* Writing rows as records: each row's value encoded apart, the rows beside them. Takes the place of a class's write_rows.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNTIME_DELIVER_RECORDS_H
#define RUNTIME_DELIVER_RECORDS_H

#include "connector/connector.h"
#include "plan/catalog.h"

struct record_writer;
/* How its values show changes. */
enum changelog_style record_style(const struct object *sink, const struct sink_class *c);
/* For a sink whose class takes records; NULL in *out for others. */
enum status record_writer_new(struct pool *pool, const struct object *sink, struct record_writer **out, struct err *err);
void record_writer_free(struct record_writer *w); /* NULL is allowed */
/* As write_rows of the class of s. Rows are encoded once, however often they are offered, also to another instance. Adds the bytes
 * of the values that were accepted to *bytes. */
enum status record_writer_write(struct record_writer *w, struct sink *s, struct batch *b, uint32_t from, uint32_t *accepted,
                                size_t *bytes, struct err *err);

#endif
