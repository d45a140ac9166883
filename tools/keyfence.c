/* keyfence.c owns the program's entry: the table of subcommands, and how errors become exit codes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "config.h"
#include "crypto/secret.h"
#include "tools/arguments.h"
#include "tools/volume-config.h"
#include "tools/print.h"
#include "tools/usage.h"

const struct command *const commands[] = {
    &command_create,        &command_adopt,          &command_serve,
    &command_attach,        &command_detach,         &command_status,
    &command_check,         &command_fence,          &command_unfence,
    &command_reload,        &command_inspect,        &command_policy,
    &command_exporter,      &command_drill,          &command_resume_vms,
    &command_header_backup, &command_header_restore, &command_destroy,
    &command_bench,         &command_help,           NULL};

const struct command *
command_find (const char *name)
{
  for (size_t i = 0; commands[i]; i++)
    if (strcmp (commands[i]->name, name) == 0)
      return commands[i];
  return NULL;
}

/* The exit code for an error; classes that are not listed are EXIT_FAILED. */
static int exit_code_of (enum error_class class)
{
  static const enum exit_code codes[] = {
      [ERROR_USAGE] = EXIT_USAGE,
      [ERROR_DENIED] = EXIT_FENCED,
  };

  if ((size_t) class < ARRAY_SIZE (codes) && codes[class] != EXIT_DONE)
    return codes[class];
  return EXIT_FAILED;
}

/* The names of configurations become the paths of their volumes, which `paths` then owns. */
static int
name_volumes (const struct command *command, struct arguments *args, char *paths[OPERANDS_MAX],
              struct error *err)
{
  for (size_t i = 0; i < OPERANDS_MAX && i < args->operand_count; i++) {
    CLEANUP_CONFIG struct config config = {0};

    if (command->reads_config || command->operands[i].kind != VALUE_VOLUME_FILE
        || !config_is_meant (args->operands[i]))
      continue;
    if (config_load (args->operands[i], &config, err) < 0)
      return -1;
    args->config = args->operands[i];
    args->operands[i] = paths[i] = config.path;
    config.path = NULL;
  }
  return 0;
}

static int
run_named (const struct command *command, struct arguments *args, struct error *err)
{
  char *paths[OPERANDS_MAX] = {NULL};
  int r = name_volumes (command, args, paths, err);

  if (r == 0)
    r = command->run (args, err);
  for (size_t i = 0; i < OPERANDS_MAX; i++)
    free (paths[i]);
  return r;
}

static int
run_command (const struct command *command, char **argv)
{
  CLEANUP_ARGUMENTS struct arguments args = {0};
  struct error err = {0};
  int r;

  print_set_command (command->name);
  if (arguments_parse (command, argv, &args, &err) < 0)
    r = -1;
  else if (args.help) {
    usage_print_command (stdout, command);
    r = EXIT_DONE;
  }
  else
    r = run_named (command, &args, &err);
  if (r < 0) {
    print_error (&err);
    r = exit_code_of (err.class);
  }
  if (!secret_all_locked ())
    print_warning ("key material could not be locked into memory and may have reached swap space: "
                   "raise the limit of locked memory (ulimit -l)");
  return r;
}

/* Output that could not be written (disk full, closed pipe) is a failure, not a success. */
static int
finish (int code)
{
  if (fflush (stdout) == 0 && !ferror (stdout))
    return code;
  perror ("keyfence: standard output");
  return code == EXIT_DONE ? EXIT_FAILED : code;
}

int
main (int argc, char **argv)
{
  const struct command *command;

  secret_harden_process ();
  if (argc < 2) {
    usage_print (stderr);
    return EXIT_USAGE;
  }
  if (strcmp (argv[1], "--version") == 0) {
    puts ("keyfence " KEYFENCE_VERSION);
    return finish (EXIT_DONE);
  }
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0) {
    usage_print (stdout);
    return finish (EXIT_DONE);
  }
  command = command_find (argv[1]);
  if (!command) {
    fprintf (stderr, "keyfence: there is no command \"%s\"; keyfence help lists them\n", argv[1]);
    return EXIT_USAGE;
  }
  return finish (run_command (command, argv + 2));
}
