// simdjson behind C. SPDX-License-Identifier: Apache-2.0
#include "format/shim/json.h"

#include <new>
#include <simdjson.h>

static_assert(JSON_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads no further than callers allow");

struct json_index {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
};

extern "C" json_index *json_index_new(void)
{
    json_index *x = new (std::nothrow) json_index;
    if (x && simdjson::get_active_implementation()->create_dom_parser_implementation(65536, 1, x->stage)) {
        delete x;
        x = nullptr;
    }
    return x;
}

extern "C" void json_index_free(json_index *x)
{
    delete x;
}

extern "C" json_text json_index_text(json_index *x, const char *p, size_t n, const uint32_t **at, uint32_t *count)
{
    simdjson::internal::dom_parser_implementation &stage = *x->stage;
    *count = 0;
    if (n > stage.capacity() && stage.set_capacity(n + n / 2)) return JSON_TEXT_FAILED;
    simdjson::error_code code = stage.stage1(reinterpret_cast<const uint8_t *>(p), n, simdjson::stage1_mode::regular);
    *at = stage.structural_indexes.get();
    switch (code) {
    case simdjson::SUCCESS: *count = stage.n_structural_indexes; return JSON_TEXT_OK;
    case simdjson::EMPTY: return JSON_TEXT_OK;
    case simdjson::UTF8_ERROR: return JSON_TEXT_NOT_UTF8;
    case simdjson::UNESCAPED_CHARS: return JSON_TEXT_CONTROL;
    case simdjson::UNCLOSED_STRING: return JSON_TEXT_UNCLOSED;
    default: return JSON_TEXT_FAILED;
    }
}

extern "C" char *json_unescape(const json_index *x, const char *from, char *to)
{
    return reinterpret_cast<char *>(
        x->stage->parse_string(reinterpret_cast<const uint8_t *>(from), reinterpret_cast<uint8_t *>(to)));
}
