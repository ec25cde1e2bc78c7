/* CRC-32C (Castagnoli), as in iSCSI and ext4: finds every error of up to 32 bits in a row. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from the sum of what came before; 0 to begin. */
uint32_t crc32c(uint32_t sum, const void *p, size_t n);
/* The same without the processor's instruction: what crc32c is where there is none. */
uint32_t crc32c_table(uint32_t sum, const void *p, size_t n);

#endif
