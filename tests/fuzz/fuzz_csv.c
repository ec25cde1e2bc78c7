/* CSV in and out. SPDX-License-Identifier: Apache-2.0 */
#include "format_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define DIALECT(...) ((const char *const[]){__VA_ARGS__, NULL})

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct subject csv = {
        "csv",
        {
            DIALECT("header", "true"),
            DIALECT("header", "false"),
            DIALECT("header", "false", "delimiter", ";"),
            DIALECT("header", "false", "delimiter", "|"),
            DIALECT("header", "false", "delimiter", "\t"),
            DIALECT("header", "false", "delimiter", " "),
            DIALECT("header", "false", "quote", "'"),
            DIALECT("header", "false", "null", "NULL"),
            DIALECT("header", "false", "null", "0"),
            DIALECT("header", "false", "delimiter", ":", "quote", "|"),
            DIALECT("header", "false", "delimiter", "-", "quote", "+"),
            DIALECT("header", "false", "delimiter", "\x80", "quote", "\xff"),
        },
        NULL,
    };
    return fuzz_format(&csv, data, n);
}
