/* Results of calls. Zero is success, negative values steer control flow, positive values are
 * errors and equal the number printed as [LAM-NNNN]. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, LAM number, SQLSTATE, sentence used when the caller gives none */
#define ERR_MAP(X)                                                                                 \
    X(E_CONFIG, 1, "F0000", "invalid configuration")                                               \
    X(E_CONFIG_MISSING, 2, "F0000", "a required setting is missing")                               \
    X(E_VAR, 3, "42704", "unresolved variable")                                                    \
    X(E_SHUTDOWN, 4, "57P01", "the database is closing")                                           \
    X(E_MISUSE, 5, "55000", "the call is not allowed here")                                        \
    X(E_SCHEMA, 6, "42804", "schemas do not match")                                                \
    X(E_TIMEOUT, 7, "57014", "timed out")                                                          \
    X(E_CANCELED, 8, "57014", "canceled")                                                          \
    X(E_SYNTAX, 1000, "42601", "syntax error")                                                     \
    X(E_UNSUPPORTED, 1001, "0A000", "not supported")                                               \
    X(E_PLAN, 1002, "42P10", "the query cannot be planned")                                        \
    X(E_LIMIT, 1003, "54001", "statement too complex")                                             \
    X(E_GROUPING, 1004, "42803", "column must appear in GROUP BY or in an aggregate")              \
    X(E_COLUMN, 1100, "42703", "column not found")                                                 \
    X(E_TABLE, 1101, "42P01", "no such source or stream")                                          \
    X(E_FUNCTION, 1102, "42883", "no such function")                                               \
    X(E_AMBIGUOUS, 1103, "42702", "ambiguous reference")                                           \
    X(E_EXISTS, 1104, "42P07", "already exists")                                                   \
    X(E_OPTION, 1105, "42704", "unknown option")                                                   \
    X(E_CONNECTOR, 1106, "42704", "unknown connector")                                             \
    X(E_FORMAT, 1107, "42704", "unknown format")                                                   \
    X(E_DEPENDENT, 1108, "2BP01", "other objects depend on it")                                    \
    X(E_MODULE, 1109, "58P01", "the module cannot be loaded")                                      \
    X(E_TYPE, 1200, "42804", "types do not match")                                                 \
    X(E_CAST, 1201, "22P02", "invalid text for the type")                                          \
    X(E_RANGE, 1202, "22003", "value out of range")                                                \
    X(E_DIV0, 1203, "22012", "division by zero")                                                   \
    X(E_DATETIME, 1204, "22007", "invalid date or time")                                           \
    X(E_DATETIME_RANGE, 1205, "22008", "date or time out of range")                                \
    X(E_TOO_LONG, 1206, "22001", "value too long")                                                 \
    X(E_ARGUMENT, 1207, "22023", "invalid argument")                                               \
    X(E_CARDINALITY, 1208, "21000", "more than one row")                                           \
    X(E_ENCODING, 1209, "22021", "invalid UTF-8")                                                  \
    X(E_POWER, 1210, "2201F", "invalid argument for power function")                                \
    X(E_LOGARITHM, 1211, "2201E", "invalid argument for logarithm")                                 \
    X(E_SUBSTRING, 1212, "22011", "invalid substring length")                                       \
    X(E_ESCAPE, 1213, "22025", "invalid escape sequence")                                           \
    X(E_NO_CAST, 1214, "42846", "no such cast")                                                     \
    X(E_NOT_UNIQUE, 1215, "42725", "several functions fit")                                         \
    X(E_PROGRAM_LIMIT, 1216, "54000", "beyond a limit of the program")                              \
    X(E_REGEX, 1217, "2201B", "invalid regular expression")                                         \
    X(E_INTERVAL_RANGE, 1218, "22015", "interval field value out of range")                         \
    X(E_WATERMARK, 2001, "42P10", "a watermark is required")                                       \
    X(E_WINDOW, 2002, "42P20", "invalid window")                                                   \
    X(E_WINDOW_SIZE, 2003, "42P20", "invalid window size")                                         \
    X(E_UNBOUNDED, 2005, "42P10", "the query never ends and says not when to emit")                \
    X(E_JOIN_KEY, 3001, "42P10", "the join needs a key")                                           \
    X(E_JOIN_BOUND, 3002, "42P10", "the join needs a time bound")                                  \
    X(E_STATE_LOAD, 4002, "XX001", "state cannot be read")                                         \
    X(E_CORRUPT, 4006, "XX001", "stored data is damaged")                                          \
    X(E_NOMEM, 4010, "53200", "memory budget exhausted")                                           \
    X(E_CONNECT, 5001, "08001", "cannot connect")                                                  \
    X(E_READ, 5003, "58030", "read failed")                                                        \
    X(E_WRITE, 5004, "58030", "write failed")                                                      \
    X(E_CONNECTOR_OPTION, 5005, "22023", "invalid connector option")                               \
    X(E_NOT_FOUND, 5010, "58P01", "no such file")                                                  \
    X(E_DECODE, 5020, "22P04", "record cannot be decoded")                                         \
    X(E_NO_READER, 5060, "55000", "nothing reads this source")                                     \
    X(E_FULL, 8011, "53400", "queue full")                                                         \
    X(E_CLOSED, 8012, "57P01", "closed")                                                           \
    X(E_EXEC, 9001, "XX000", "execution failed")                                                   \
    X(E_INTERNAL, 9000, "XX000", "internal error")

enum status {
    ST_OK = 0,
    ST_MORE = -1,   /* the callee has more to give; call its `more` */
    ST_DONE = -2,   /* finished for ever */
    ST_WAIT = -3,   /* nothing to do until woken */
    ST_CLOSED = -4, /* the other side wants no more */
    ST_RETRY = -5,  /* the world may recover: offer again later */
    ST_POISON = -6, /* this one row cannot be taken */
    ST_FULL = -7,   /* no room now */
#define X(name, number, state, text) name = number,
    ERR_MAP(X)
#undef X
};

#define NO_POS UINT32_MAX

/* Filled once, where the fact is known. Every function that can fail takes one last; NULL is
 * allowed and means that the caller wants the code only. */
struct err {
    enum status code;
    uint32_t pos;   /* byte offset into the statement's text, or NO_POS */
    char text[480]; /* one sentence, no trailing full stop or newline */
    char hint[240]; /* what to do, or "" */
};

/* Fills err and returns code, so that `return err_set(err, E_X, ...)` is the idiom. */
enum status err_set(struct err *err, enum status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum status err_at(struct err *err, enum status code, uint32_t pos, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Adds a hint to an error that is set. */
void err_hint(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *err_sqlstate(enum status code);
const char *err_sentence(enum status code);

#define MUST_CHECK __attribute__((warn_unused_result))

#define TRY(expr)                                                                                  \
    do {                                                                                           \
        enum status st_ = (expr);                                                                  \
        if (st_) return st_;                                                                       \
    } while (0)

/* AUTO(arena_free) struct arena *a = NULL; the destructor takes NULL. Declare just before the call
 * that fills it; never in a function that uses goto. */
#define AUTO(fn) __attribute__((cleanup(fn##_cleanup)))
#define AUTO_DEFINE(fn, type)                                                                      \
    static inline void fn##_cleanup(type *p) { if (*p) fn(*p); }
/* Moves a pointer out of an AUTO variable. */
#define TAKE(p) ({ __auto_type take_ = (p); (p) = NULL; take_; })

/* On in release as well: going on would write a wrong row or a wrong checkpoint. */
#define INVARIANT(cond)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) panic_at(__FILE__, __LINE__, #cond);                     \
    } while (0)
_Noreturn void panic_at(const char *file, int line, const char *what);
/* The host may take over; the default prints and aborts. Must not return. */
void panic_handler_set(void (*fn)(const char *file, int line, const char *what));

#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
