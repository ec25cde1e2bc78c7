/* WebSocket. SPDX-License-Identifier: Apache-2.0 */
#include "module.h"

static const struct lam_source_class *const sources[] = {&websocket_source, NULL};
static const struct lam_sink_class *const sinks[] = {&websocket_sink, NULL};

LAM_API const struct lam_module lam_module = {
    .size = sizeof lam_module,
    .abi = LAM_CONNECTOR_ABI,
    .name = "websocket",
    .version = "1.0",
    .sources = sources,
    .sinks = sinks,
};
