/* The classes of this module. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_MODULE_H
#define WEBSOCKET_MODULE_H

#include <laminar_connector.h>

extern const struct lam_source_class websocket_source;
extern const struct lam_sink_class websocket_sink;

#endif
