/* Paths of files: their folder, their format, and errors about them. SPDX-License-Identifier: Apache-2.0 */
#ifndef CONNECTOR_PATH_H
#define CONNECTOR_PATH_H

#include "base/env.h"
#include "base/option.h"

/* guess_format of the file classes: by the extension of the option `path`; NULL: it says nothing. */
const char *path_guess_format(const struct options *o);
/* The folder a path lies in ("." when it names none); new memory. */
char *path_folder(const char *path);
const char *path_name(const char *path);      /* what follows the last slash */
char *path_join(const char *folder, const char *name);
bool path_has_pattern(const char *path);      /* * ? [ */
/* Refuses what is no path of this machine (s3://...) and what is empty. */
enum status path_check(const char *path, struct err *err);
/* To an E_NOT_FOUND error that is set: a hint that names the nearest file in the folder. */
void path_hint_nearest(struct env *env, const char *path, struct err *err);

#endif
