/* The shape of a subcommand: one table each, from which parsing, --help, completion and the check
 * of the man page are made.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* What programs that call keyfence rely on. */
enum exit_code {
  EXIT_DONE = 0,   /* done, or active */
  EXIT_FAILED = 1, /* not done; nothing half-made is left */
  EXIT_USAGE = 2,  /* the command line is wrong */
  EXIT_FENCED = 3, /* fenced, or the key's owner said no */
  EXIT_GRACE = 4,  /* active, but the key can't be checked now */
};

/* What a value is, for completion; the names are in usage.c. */
enum value_kind {
  VALUE_TEXT,
  VALUE_FILE,
  VALUE_VOLUME,      /* a file, uuid or label of a volume that is served, or a configuration */
  VALUE_VOLUME_FILE, /* a file or block device, or a configuration, which is turned into its path */
  VALUE_CONFIG,      /* a configuration, or its file */
  VALUE_KEY,
  VALUE_KEY_OR_VOLUME,
  VALUE_CHOICE,    /* one of .choices, separated by spaces */
  VALUE_COMMAND,   /* the name of a subcommand */
  VALUE_PARAMETER, /* parameter=value of the plugin */
};

struct option_spec {
  const char *name;  /* without the dashes */
  const char *value; /* the value's name in the help; NULL for a switch */
  const char *help;
  enum value_kind kind;
  const char *choices;
  bool required;
  unsigned most; /* how often it may be given; 0: once */
};

struct operand_spec {
  const char *name;
  enum value_kind kind;
  bool optional;
  bool many; /* any number, none included; the last one only */
};

#define OPTIONS_MAX 16
#define OPERANDS_MAX 3

struct arguments;

struct command {
  const char *name;
  const char *summary;                        /* half a sentence, lower case, no full stop */
  const char *details;                        /* paragraphs below the summary; may be NULL */
  struct operand_spec operands[OPERANDS_MAX]; /* ends with a name NULL */
  const struct option_spec *options;          /* ends with a name NULL */
  const char *rest;                           /* the name of what may follow "--", or NULL */
  bool reads_config; /* it gets the name of a configuration as it is, and not its volume's path */

  /* Returns an exit code, or -1 with *err filled in (main prints it). */
  int (*run) (const struct arguments *args, struct error *err);
};

/* All subcommands in the order of the help, ending in NULL; and one by its name, or NULL. */
extern const struct command *const commands[];
const struct command *command_find (const char *name);

extern const struct command command_adopt, command_attach, command_bench, command_check,
    command_create, command_destroy, command_detach, command_drill, command_exporter, command_fence,
    command_header_backup, command_header_restore, command_help, command_inspect, command_policy,
    command_reload, command_resume_vms, command_serve, command_status, command_unfence;

#endif
