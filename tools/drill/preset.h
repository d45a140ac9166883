/* The command lines that take a key away and give it back, by the tools that its service has. */
#ifndef DRILL_PRESET_H
#define DRILL_PRESET_H

#include "common/cleanup.h"
#include "common/error.h"

#define PRESET_NAMES "aws azure sim file"

/* `preset`: one of PRESET_NAMES; `key`: the volume's, as its header names it; `version`: of the
 * key, or empty.  Two new strings.  ERROR_USAGE when the key is not of that service, or is named in
 * a way in which it can't be revoked.
 */
int preset_commands (const char *preset, const char *key, const char *version, char **ret_revoke,
                     char **ret_restore, struct error *err) MUST_CHECK;

#endif
