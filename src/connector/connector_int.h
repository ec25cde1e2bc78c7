/* The classes of this room, listed by classes.c. SPDX-License-Identifier: Apache-2.0 */
#ifndef CONNECTOR_CONNECTOR_INT_H
#define CONNECTOR_CONNECTOR_INT_H

#include "connector/connector.h"

extern const struct source_class file_source, stdin_source, generator_source, mock_source, mock_blocking_source;
extern const struct sink_class file_sink, stdout_sink, blackhole_sink, mock_sink, mock_blocking_sink;

/* Adds a class to the list, for ever; one thread at a time. */
void source_class_add(const struct source_class *c);
void sink_class_add(const struct sink_class *c);

#endif
