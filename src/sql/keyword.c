/* Keywords. The grammar's %token lines are the only list of them: their symbols are numbered in the order of those
 * lines, so a class is a range of symbols, sorted by name within it. SPDX-License-Identifier: Apache-2.0 */
#include "sql/sql_int.h"

#include "sql_grammar.h"

static const struct {
    int first, last;
} ranges[] = {
    [KEYWORD_RESERVED] = {TK_ALL, TK_WITH},          [KEYWORD_FUNCTION] = {TK_CROSS, TK_SIMILAR},
    [KEYWORD_COLUMN] = {TK_BETWEEN, TK_VALUES},      [KEYWORD_NOT_BARE] = {TK_ALLOW, TK_WITHOUT},
    [KEYWORD_PLAIN] = {TK_ABORT, TK_ZONE},
};

/* Compares a folded word with a keyword, which is written in upper case. */
static int compare(const char *word, size_t n, const char *keyword)
{
    for (size_t i = 0; i < n; i++) {
        char c = word[i] >= 'a' && word[i] <= 'z' ? (char)(word[i] - 32) : word[i];
        if (c != keyword[i]) return (unsigned char)c - (unsigned char)keyword[i];
    }
    return keyword[n] ? -1 : 0;
}

int keyword__find(const char *word, size_t n)
{
    for (size_t c = KEYWORD_RESERVED; c < countof(ranges); c++) {
        int low = ranges[c].first, high = ranges[c].last;
        while (low <= high) {
            int mid = (low + high) / 2, order = compare(word, n, token__name(mid));
            if (!order) return mid;
            if (order < 0)
                high = mid - 1;
            else
                low = mid + 1;
        }
    }
    return 0;
}

enum keyword_class keyword__class(int kind)
{
    for (size_t c = KEYWORD_RESERVED; c < countof(ranges); c++)
        if (kind >= ranges[c].first && kind <= ranges[c].last) return (enum keyword_class)c;
    return KEYWORD_NONE;
}

int keyword__count(enum keyword_class c) { return ranges[c].last - ranges[c].first + 1; }

int keyword__at(enum keyword_class c, int i) { return ranges[c].first + i; }
