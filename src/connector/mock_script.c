/* Scripts of the mocks: reading them. SPDX-License-Identifier: Apache-2.0 */
#include "connector/mock_int.h"

#include "base/mem.h"
#include "base/option.h"

#include <stdio.h>
#include <string.h>

const char *const mock_call_names[] = {"open", "poll", "write", "flush", "commit", "abort", "close", NULL};
static const char *const fails[] = {"fatal", "retry", "poison", "closed", NULL};

int mock_word_index(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], word)) return i;
    return -1;
}

static enum status bad_step(const char *step, struct err *err)
{
    err_set(err, E_CONNECTOR_OPTION, "option script: cannot read the step \"%s\"", step);
    err_hint(err, "steps are 'wait 50 ms', 'fail write 3 [retry|poison|closed]', 'short write 2', 'hang write 7'");
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

static bool read_step(char *words[static 4], int n, struct mock_step *out)
{
    int call = n >= 3 ? mock_word_index(mock_call_names, words[1]) : -1;
    if (call < 0 || !read_range(words[2], out)) return false;
    out->call = (enum mock_call)call;
    if (!strcmp(words[0], "fail")) {
        int how = n == 4 ? mock_word_index(fails, words[3]) : 0;
        out->act = (enum mock_act)(MOCK_FAIL + how);
        return how >= 0;
    }
    out->act = !strcmp(words[0], "short") ? MOCK_SHORT : MOCK_HANG;
    return n == 3 && (out->act == MOCK_SHORT || !strcmp(words[0], "hang"));
}

static enum status parse_step(char *step, struct mock_script *out, struct err *err)
{
    char copy[128], *words[4], *save;
    snprintf(copy, sizeof copy, "%s", step);
    int n = 0;
    for (char *w = strtok_r(step, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save)) {
        if (n == 4) return bad_step(copy, err);
        words[n++] = w;
    }
    if (!n) return ST_OK;
    if (!strcmp(words[0], "wait")) {
        const char *span = strstr(copy, "wait") + 4;
        while (*span == ' ') span++;
        return duration_parse(span, 0, &out->wait_us) ? ST_OK : bad_step(copy, err);
    }
    if (out->n == (int)countof(out->steps) || !read_step(words, n, &out->steps[out->n])) return bad_step(copy, err);
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
