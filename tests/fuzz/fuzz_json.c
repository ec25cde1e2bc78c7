/* JSON lines in and out. SPDX-License-Identifier: Apache-2.0 */
#include "format_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct subject json = {"json", {NULL}, NULL};
    return fuzz_format(&json, data, n);
}
