/* PostgreSQL. SPDX-License-Identifier: Apache-2.0 */
#include <laminar_connector.h>

extern const struct lam_sink_class *const postgres_sinks[];

LAM_API const struct lam_module lam_module = {
    .size = sizeof lam_module,
    .abi = LAM_CONNECTOR_ABI,
    .name = "postgres",
    .version = "1.0",
    .sinks = postgres_sinks,
};
