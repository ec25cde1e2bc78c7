/* The classes of this module. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_MODULE_H
#define WEBSOCKET_MODULE_H

#include <laminar_connector.h>

extern const struct lam_sink_class websocket_server_sink;

#endif
