/* state_load on any bytes: E_STATE_LOAD or a state that saves again, never a crash. The first byte chooses the range of
 * groups. SPDX-License-Identifier: Apache-2.0 */
#include "state/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep(void *into, const void *from)
{
    memcpy(into, from, 8);
}

static struct state *declare(void)
{
    struct state *s = state_new(NULL, 1);
    struct keyed_decl d = {
        .name = "groups",
        .version = 1,
        .nkeys = 4,
        .nextra = 1,
        .keys = {TYPE(T_VARCHAR), TYPE(T_DOUBLE), type_decimal(38, 4), TYPE(T_INT32)},
        .value.size = 24
    };
    struct keyed *k;
    struct ordered *o;
    void *v;
    layout_add(&d.value, LAYOUT_RAW, 0, 8);
    layout_add(&d.value, LAYOUT_TEXT, 8, 16);
    INVARIANT(!keyed_new(s, &d, &k, NULL) && !ordered_new(s, "rows", 1, &o, NULL) &&
              !value_new(s, "v", 8, keep, &v, NULL));
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    struct state *s = declare(), *again = declare();
    struct text image = {0};
    if (!state_load(s, (const char *)data + 1, size - 1, data[0] & 1 ? 128 : 0, 256, NULL)) {
        state_save(s, &image);
        INVARIANT(state_load(again, image.p, image.n, 0, 256, NULL) == ST_OK);
    }
    text_done(&image);
    state_free(s), state_free(again);
    return 0;
}
