/* The list of formats. SPDX-License-Identifier: Apache-2.0 */
#include "format/classes.h"

static const struct {
    const char *name;
    const struct decoder_class *in;
    const struct encoder_class *out;
} formats[] = {
    {"csv",       &csv_decoder,  &csv_encoder },
    {"tsv",       &tsv_decoder,  &tsv_encoder },
    {"json",      &json_decoder, &json_encoder},
    {"jsonl",     &json_decoder, &json_encoder},
    {"jsonlines", &json_decoder, &json_encoder},
    {"ndjson",    &json_decoder, &json_encoder},
    {"box",       NULL,          &box_encoder },
    {"raw",       &raw_decoder,  &raw_encoder },
    {"debezium", &debezium_decoder, NULL},
    {"arrow_ipc", &arrow_ipc_decoder, &arrow_ipc_encoder},
    {"arrow", &arrow_ipc_decoder, &arrow_ipc_encoder},
};

const char *format_name(const void *ctx, int i)
{
    (void)ctx;
    return i >= 0 && i < (int)countof(formats) ? formats[i].name : NULL;
}

static int find(const char *name)
{
    for (int i = 0; i < (int)countof(formats); i++)
        if (!text_casecmp(formats[i].name, name)) return i;
    return -1;
}

const struct decoder_class *decoder_find(const char *name)
{
    int i = find(name);
    return i < 0 ? NULL : formats[i].in;
}

const struct encoder_class *encoder_find(const char *name)
{
    int i = find(name);
    return i < 0 ? NULL : formats[i].out;
}
