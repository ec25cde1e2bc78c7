/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include "base/text.h"

#include <string.h>

#define NAME_MAX_N 200

static const char *const words[] = {"password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "credential", "authorization", "jaas"};

static bool is_separator(char c) { return c == '.' || c == '_' || c == '-'; }

/* Words are also run together, as in apitoken: the separators fall away. */
static void fold(const char *s, size_t n, char *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k < NAME_MAX_N; i++)
        if (!is_separator(s[i])) out[k++] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
    out[k] = 0;
}

/* The word that begins at s[at], in `word` if it has two to fifteen letters, else "" there. Returns its length. */
static size_t word_at(const char *s, size_t n, size_t at, char word[16])
{
    size_t k = 0;
    while (at + k < n && !is_separator(s[at + k])) k++;
    word[0] = 0;
    if (k >= 2 && k < 16) memcpy(word, s + at, k), word[k] = 0;
    return k;
}

/* A word of the name that is one of ours but for a slip of the finger, or two in a long one. */
static bool misspelt(const char *s, size_t n)
{
    char word[16];
    for (size_t i = 0, k; i < n; i += k + 1) {
        k = word_at(s, n, i, word);
        if (!text_casecmp(word, "pass")) return true;
        for (size_t w = 0; w < countof(words); w++) {
            size_t length = strlen(words[w]), slips = length < 8 ? 1 : 2;
            bool may = length > 4 && k + slips >= length && k <= length + slips;
            if (may && text_distance(word, words[w]) <= (int)slips) return true;
        }
    }
    return false;
}

/* The last word is "key", or nearly, or what ends in it. */
static bool is_key(const char *s, size_t n)
{
    size_t at = n;
    char word[16];
    while (at && !is_separator(s[at - 1])) at--;
    size_t k = word_at(s, n, at, word);
    return (k >= 3 && !strncasecmp(s + n - 3, "key", 3)) || (k >= 2 && text_distance(word, "key") <= 1);
}

/* What a request to a server has that is or may hold a secret, but for a slip of the finger. `header` says whether a file has one. */
static bool of_request(const char *name)
{
    static const char *const names[] = {"headers", "proxy", "authapikey"};
    for (size_t i = 0; i < countof(names); i++)
        if (text_distance(name, names[i]) <= 1 && strcmp(name, "header")) return true;
    return false;
}

enum secret secret_name(const char *s, size_t n)
{
    char name[NAME_MAX_N + 1];
    fold(s, n, name);
    for (size_t i = 0; i < countof(words); i++)
        if (strstr(name, words[i])) return SECRET_YES;
    if (misspelt(s, n)) return SECRET_YES;
    if (!strcmp(name, "primarykey")) return SECRET_NO;
    if (of_request(name)) return SECRET_YES;
    return is_key(s, n) ? SECRET_KEY : SECRET_NO;
}
