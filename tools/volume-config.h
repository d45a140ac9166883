/* A volume's configuration file, keyfence.conf(5): what `keyfence serve --config`, the units and
 * `keyfence attach` know of a volume besides what is in its header.
 *
 * It is strict, since what is misread here is found out at the next boot: a name that is not known
 * or comes twice, a value that its place refuses, a line or file that is too long, and a file that
 * others than its owner could have written are refused, by file and line.
 */
#ifndef TOOLS_VOLUME_CONFIG_H
#define TOOLS_VOLUME_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"

/* As many as a client of one volume may have at once (attach). */
#define CONFIG_CONNECTIONS_MAX 16

struct config_words {
  char **list; /* ends with NULL, which `count` does not count; NULL while there is none */
  size_t count;
};

struct config {
  char *file;                         /* as it was found */
  char *name;                         /* NAME of NAME.conf */
  char *path;                         /* the volume; never NULL */
  char *socket;                       /* where it is served; NULL: see config_socket */
  char *port;                         /* the same by TCP; never both */
  char *device;                       /* the block device that attach makes; NULL: its default */
  unsigned connections;               /* of attach; 0: its default */
  struct config_words parameters;     /* of the plugin, NAME=VALUE; path is not among them */
  struct config_words nbdkit_options; /* --NAME or --NAME=VALUE */
};

/* `name` with a slash in it is a file NAME.conf; without one, that file in the folder of
 * configuration files (common/paths.h).  ERROR_NOT_FOUND when there is none, ERROR_USAGE for
 * everything in it that is wrong.
 */
int config_load (const char *name, struct config *ret, struct error *err) MUST_CHECK;

/* Whether `word`, which a user wrote where a volume is wanted, means a configuration: it has no
 * slash, there is no file of that name here (a folder is none), and there is a WORD.conf in the
 * folder of configurations.
 */
bool config_is_meant (const char *word);

/* Where its server listens unless the command line says otherwise: its socket, else NAME.nbd in the
 * folder of sockets, which with `create` is made.  A new string.
 */
int config_socket (const struct config *config, bool create, char **ret_socket, struct error *err)
    MUST_CHECK;

/* NAME.nbd in the folder of sockets, for a uuid or a configuration's name.  When there is no such
 * folder the error says to do `otherwise`.  A new string.
 */
int usual_socket (const char *name, bool create, const char *otherwise, char **ret_socket,
                  struct error *err) MUST_CHECK;

/* The value of a parameter in it, or NULL when it is not there. */
const char *config_parameter (const struct config *config, const char *name);

void config_clear (struct config *config);
#define CLEANUP_CONFIG CLEANUP (config_clear)

#endif
