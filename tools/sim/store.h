/* The simulator's state on disk: small JSON files in folders of the state folder.
 *
 * A file is replaced whole, by rename, after it was written through: a kill at any time leaves
 * either the old or the new state.  Folders have mode 0700, files 0600.  What is in them are keys
 * and secrets for tests.  All functions take the file descriptor of the state folder; the caller
 * serialises them.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/json.h"

#define STORE_NAME_MAX 200 /* with the NUL */

/* Opens the state folder and makes it where it isn't there. */
int store_open (const char *path, int *ret_fd, struct error *err) MUST_CHECK;

/* Whether a name from outside can be one of a file: A-Z a-z 0-9 - _ . , ~ and no '.' in front. */
bool store_name_ok (const char *name);

/* The contents of FOLDER/NAME.json; NULL when there is no such file, or none that is JSON. */
struct json *store_load (int dir_fd, const char *folder, const char *name) MUST_CHECK;

/* Replaces FOLDER/NAME.json.  A failure (disk full …) ends the simulator with a message, since it
 * could only answer with lies from then on.
 */
void store_save (int dir_fd, const char *folder, const char *name, const struct json *json);

/* Whether it was there. */
bool store_remove (int dir_fd, const char *folder, const char *name);

/* The names in a folder, sorted; *ret_names is a new array of new strings (store_names_free). */
size_t store_list (int dir_fd, const char *folder, char ***ret_names) MUST_CHECK;
void store_names_free (char **names, size_t count);

#endif
