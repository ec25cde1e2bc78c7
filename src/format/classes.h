/* Every format there is. Belongs to src/format. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMAT_CLASSES_H
#define FORMAT_CLASSES_H

#include "format/format.h"

extern const struct decoder_class csv_decoder, tsv_decoder, json_decoder, raw_decoder, arrow_ipc_decoder, debezium_decoder;
extern const struct encoder_class csv_encoder, tsv_encoder, json_encoder, box_encoder, raw_encoder, arrow_ipc_encoder;

#endif
