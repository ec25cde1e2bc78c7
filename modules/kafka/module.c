/* Kafka. SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

LAM_API const struct lam_module lam_module = {
    .size = sizeof lam_module,
    .abi = LAM_CONNECTOR_ABI,
    .name = "kafka",
    .version = "1.0",
    .sources = kafka_sources,
    .sinks = kafka_sinks,
};
