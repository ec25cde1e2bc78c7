/* Modules: shared objects with connectors in them. A file is taken when it lies where it may, others cannot write it,
 * and it is one; it is loaded once per process and stays. No name is looked up by the dynamic linker's paths or the
 * folder one stands in. SPDX-License-Identifier: Apache-2.0 */
#ifndef CONNECTOR_MODULE_H
#define CONNECTOR_MODULE_H

#include "base/mem.h"
#include "base/status.h"
#include "laminar_connector.h"

/* A path with a slash in it, or the name of a module, which is looked for in the folders of modules. `folder` (NULL:
 * none) is the only one that files may lie in. */
enum status module_load(const char *path, const char *folder, struct err *err);
/* Loads the module of that name, if there is one. ST_DONE: there is none. */
enum status module_find(const char *name, const char *folder, struct err *err);
struct module_file {
    const char *name; /* NULL: behind the last */
    const char *path;
};
/* What module_find could find, loaded or not, by the alphabet; at most a hundred. */
struct module_file *module_files(struct arena *a, const char *folder);
/* Adds the classes of m; all of them or, on an error, none. path NULL: part of the program. */
enum status module_add(const struct lam_module *m, const char *path, struct err *err);

#endif
