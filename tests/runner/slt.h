/* SQL logic tests: files of statements, rows fed and rows expected, run in process against the public API.
 *
 * A file is a list of items separated by blank lines; # begins a comment line.
 *
 *     statement ok                      SQL lines follow
 *     statement error LAM-1100 42703    each word that looks like a code must be the error's; other words must occur in
 *                                       its text. Lines after ---- must occur in message, detail or hint
 *     query IT [nosort|rowsort]         SQL, ----, rows separated by tabs; NULL, (empty). R: within 1e-9
 *     show                              SQL, ----, the rows as a box
 *     print STREAM                      a box of all rows of a stream over bounded input
 *     file NAME ... EOF                 writes a file; the test runs in a folder of its own, which is also ${TMP}
 *     sinkfile NAME [rowsort]           waits for the end of all, then compares the file
 *     var NAME VALUE                    a variable for ${NAME}
 *     option eof hold | on_error fail | batch N | replay      of the database, before its first use
 *     reset                             a fresh database
 *     checkpoint NAME                   CHECKPOINT; its epoch is NAME for subscribe and ${NAME} in SQL
 *     subscribe NAME STREAM [after CHECKPOINT] [CONDITION]     collects rows from now on, or from history
 *     unsubscribe NAME                  lets go
 *     feed SOURCE [error LAM-5060]      CSV rows (a header line when it names columns), `@watermark TS` lines
 *     expect NAME [nosort|fold]         drains; the rows since the last expect. fold: the sum of a changelog by weight
 *     drain, wait [error WORDS]         until nothing moves; until bounded sources have ended
 *     end SOURCE                        the pushed source has ended
 *     replay ... EOF                    JSON lines (needs option replay)
 *     restart                           saves and loads all state
 *     advance 5 s                       moves the virtual clock
 *     only threads | driver             the rest of the file
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_SLT_H
#define RUNNER_SLT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One way to run a streaming file. */
struct slt_way {
    int workers;
    uint32_t batch; /* 0: default */
    bool restart;   /* state saved and loaded after every few rows */
    bool driver;    /* no threads */
};
enum slt_end { SLT_PASSED, SLT_FAILED, SLT_SKIPPED };

/* Runs a text in the given way; failures are told on `why`. */
enum slt_end slt_run(const char *path, const char *text, const struct slt_way *way, FILE *why);
/* Whether the text feeds, subscribes, restarts: then it is worth running in several ways. */
bool slt_is_streaming(const char *text);
/* A page of Markdown as test text; free() it. Each fenced block `sql` is a statement; `csv NAME` and `json NAME` are
 * files; `text` is what the statement before shows, `text STREAM` what the stream prints, `text error` its error. A
 * heading begins with a fresh database. */
char *slt_from_markdown(const char *markdown);

#endif
