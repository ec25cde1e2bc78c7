/* Scripts of the mocks: reading them. SPDX-License-Identifier: Apache-2.0 */
#include "connector/mock_int.h"

#include "base/mem.h"
#include "base/option.h"

#include <stdio.h>
#include <string.h>

const char *const mock_call_names[] = {"open", "poll", "write", "flush", "commit", "abort", "close", NULL};
static const char *const fails[] = {"fatal", "retry", "poison", "closed", "connect", NULL};

int mock_word_index(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], word)) return i;
    return -1;
}

static enum status bad_step(const char *step, struct err *err)
{
    err_set(err, E_CONNECTOR_OPTION, "option script: cannot read the step \"%s\"", step);
    err_hint(err, "steps are 'wait 50 ms', 'slow flush 2 50 ms', 'fail write 3 [retry|connect|closed|poison [ROW]]', 'short write 2 [ROWS]', "
                  "'hang write 7'; a range is 3-5 or 3-");
    return E_CONNECTOR_OPTION;
}

static bool read_range(const char *text, struct mock_step *out)
{
    unsigned long from, to;
    char dash = 0, rest;
    int n = sscanf(text, "%lu%c%lu%c", &from, &dash, &to, &rest);
    if (n < 1 || n > 3 || (n > 1 && dash != '-')) return false;
    out->from = from;
    out->to = n == 1 ? from : n == 2 ? UINT64_MAX : to;
    return true;
}

static bool read_row(const char *word, uint32_t *out)
{
    char rest;
    return sscanf(word, "%u%c", out, &rest) == 1 && *out > 0;
}

static bool read_fail(char **words, int n, struct mock_step *out)
{
    int how = n >= 4 ? mock_word_index(fails, words[3]) : 0;
    out->act = (enum mock_act)(MOCK_FAIL + how);
    if (how < 0 || n > 5) return false;
    if (out->act == MOCK_POISON && out->call != MOCK_WRITE && out->call != MOCK_FLUSH && out->call != MOCK_COMMIT) return false;
    return n < 5 || (out->act == MOCK_POISON && read_row(words[4], &out->row));
}

/* words[0..n), n <= 5; span: the text of the words from the fourth on. */
static bool read_step(char **words, int n, const char *span, struct mock_step *out)
{
    int call = n >= 3 ? mock_word_index(mock_call_names, words[1]) : -1;
    if (call < 0 || !read_range(words[2], out)) return false;
    out->call = (enum mock_call)call;
    if (!strcmp(words[0], "fail")) return read_fail(words, n, out);
    if (!strcmp(words[0], "slow")) return out->act = MOCK_SLOW, n > 3 && duration_parse(span, 0, &out->slow_us);
    if (!strcmp(words[0], "hang")) return out->act = MOCK_HANG, n == 3;
    out->act = MOCK_SHORT;
    out->row = 1;
    return !strcmp(words[0], "short") && (n == 3 || (n == 4 && read_row(words[3], &out->row)));
}

#define WORDS 5

static enum status parse_step(char *step, struct mock_script *out, struct err *err)
{
    char copy[128], *words[WORDS], *save;
    const char *span = "";
    snprintf(copy, sizeof copy, "%s", step);
    int n = 0;
    for (char *w = strtok_r(step, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save)) {
        if (n == WORDS) return bad_step(copy, err);
        if (n == 3 && (size_t)(w - step) < sizeof copy) span = copy + (w - step);
        words[n++] = w;
    }
    if (!n) return ST_OK;
    if (!strcmp(words[0], "wait")) {
        const char *all = strstr(copy, "wait") + 4;
        while (*all == ' ') all++;
        return duration_parse(all, 0, &out->wait_us) ? ST_OK : bad_step(copy, err);
    }
    struct mock_step *to = &out->steps[out->n];
    if (out->n == (int)countof(out->steps) || !read_step(words, n, span, to)) return bad_step(copy, err);
    out->n++;
    return ST_OK;
}

enum status mock_script_parse(const char *text, struct mock_script *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    char *copy = mem_strdup(text ? text : ""), *save;
    enum status st = ST_OK;
    for (char *step = strtok_r(copy, ";", &save); step && !st; step = strtok_r(NULL, ";", &save))
        st = parse_step(step, out, err);
    mem_free(copy);
    return st;
}
