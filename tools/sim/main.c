/* main.c owns the command line of keyfence-kms-sim. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "common/parse.h"
#include "config.h"
#include "tools/sim/ctl.h"
#include "tools/sim/demo-env.h"
#include "tools/sim/server.h"

#define NAME "keyfence-kms-sim"
#define EXIT_USAGE 2

static const char no_folder[] = "which state folder? Give --dir FOLDER or set KEYFENCE_KMS_SIM_DIR";

struct options {
  const char *dir;
  struct server_options server;
  bool print_env, background;
};

/* ---- the command line -------------------------------------------------------------------------
 */

static void
print_help (FILE *f)
{
  fputs ("keyfence-kms-sim - AWS KMS and Azure Key Vault for tests, drills and a first try\n\n"
         "  keyfence-kms-sim --dir FOLDER [options]        serve from that state folder\n"
         "  keyfence-kms-sim demo-env [--dir FOLDER] [--aws SOURCE] [--azure SOURCE]\n"
         "                                                 print the variables for a shell\n"
         "  keyfence-kms-sim ctl [--dir FOLDER] COMMAND    command the one that runs there\n\n"
         "Options:\n"
         "  --dir FOLDER       where keys are kept; $KEYFENCE_KMS_SIM_DIR\n"
         "  --port N           port for HTTP and HTTPS (default: 8443; 0: any)\n"
         "  --listen ADDRESS   another address than 127.0.0.1 and ::1\n"
         "  --tls-cert FILE    certificate in PEM, instead of one made in the folder\n"
         "  --tls-key FILE     its private key\n"
         "  --print-env        print the variables when it serves, and end stdout\n"
         "  --background       come back when it serves; FOLDER/pid has the process id\n"
         "  --help, --version\n\n"
         "Commands of ctl:\n",
         f);
  ctl_print_commands (f);
  fputs ("\nIt protects nothing: keys lie in plain files of the state folder.  See "
         "keyfence-kms-sim(1).\n",
         f);
}

static void __attribute__ ((noreturn)) fail_usage (const char *text)
{
  fprintf (stderr, "%s: %s\nTry %s --help.\n", NAME, text, NAME);
  exit (EXIT_USAGE);
}

/* `more` is printed below the error; it may be NULL. */
static void __attribute__ ((noreturn)) fail_with (const struct error *err, const char *more)
{
  fprintf (stderr, "%s: %s%s\n%s", NAME, err->text, more && *more ? ":" : "", more ? more : "");
  exit (err->class == ERROR_USAGE ? EXIT_USAGE : EXIT_FAILURE);
}

static void __attribute__ ((noreturn)) fail (const struct error *err)
{
  fail_with (err, NULL);
}

static uint16_t
parse_port (const char *text)
{
  struct error err;
  uint64_t port;

  if (parse_uint (text, 0, 65535, &port, &err) < 0)
    fail_usage ("--port needs a number from 0 to 65535");
  return (uint16_t)port;
}

static void
parse_options (int argc, char **argv, struct options *options)
{
  static const struct option known[] = {
      {"dir", required_argument, NULL, 'd'},     {"port", required_argument, NULL, 'p'},
      {"listen", required_argument, NULL, 'l'},  {"tls-cert", required_argument, NULL, 'c'},
      {"tls-key", required_argument, NULL, 'k'}, {"print-env", no_argument, NULL, 'e'},
      {"background", no_argument, NULL, 'b'},    {"help", no_argument, NULL, 'h'},
      {"version", no_argument, NULL, 'V'},       {0},
  };
  int c;

  while ((c = getopt_long (argc, argv, "+", known, NULL)) != -1)
    switch (c) {
    case 'd':
      options->dir = optarg;
      break;
    case 'p':
      options->server.port = parse_port (optarg);
      break;
    case 'l':
      options->server.address = optarg;
      break;
    case 'c':
      options->server.tls_cert = optarg;
      break;
    case 'k':
      options->server.tls_key = optarg;
      break;
    case 'e':
      options->print_env = true;
      break;
    case 'b':
      options->background = true;
      break;
    case 'h':
      print_help (stdout);
      exit (EXIT_SUCCESS);
    case 'V':
      puts (NAME " " KEYFENCE_VERSION);
      exit (EXIT_SUCCESS);
    default:
      exit (EXIT_USAGE);
    }
  if (!options->dir || !*options->dir)
    fail_usage (no_folder);
  if (!options->server.tls_cert != !options->server.tls_key)
    fail_usage ("--tls-cert and --tls-key go together");
}

/* ---- ctl and demo-env -------------------------------------------------------------------------
 */

static int
call (const char *dir, char **words)
{
  struct error err;
  CLEANUP_FREE
  char *text = NULL;

  if (ctl_call (dir, words, &text, &err) < 0)
    fail_with (&err, text);
  fputs (text, stdout);
  if (*text && text[strlen (text) - 1] != '\n')
    putchar ('\n');
  return fflush (stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* `argv` is behind "ctl" or "demo-env": options of our own first, then the words that are sent. */
static int
run_client (char **argv, const char *dir, bool env)
{
  static char env_word[] = "env";
  char **words = argv;

  for (; *words && strncmp (*words, "--", 2) == 0; words++) {
    if (strcmp (*words, "--help") == 0) {
      print_help (stdout);
      return EXIT_SUCCESS;
    }
    if (strcmp (*words, "--dir") != 0 || !words[1])
      break;
    dir = *++words;
  }
  if (!dir || !*dir)
    fail_usage (no_folder);
  if (env)
    *--words = env_word; /* in the place of "demo-env" or of the folder */
  else if (!*words)
    fail_usage ("ctl needs a command");
  return call (dir, words);
}

/* ---- serving ----------------------------------------------------------------------------------
 */

/* A descriptor that is readable when the process is told to end. */
static int
stop_fd_new (void)
{
  sigset_t signals;

  signal (SIGPIPE, SIG_IGN);
  sigemptyset (&signals);
  sigaddset (&signals, SIGINT);
  sigaddset (&signals, SIGTERM);
  sigprocmask (SIG_BLOCK, &signals, NULL);
  return signalfd (-1, &signals, SFD_CLOEXEC);
}

static void
print_notice (const struct sim *sim, const struct options *options)
{
  fprintf (stderr,
           "%s: a tool for tests, drills and a first try. It protects nothing: keys lie in plain "
           "files in %s.\n",
           NAME, options->dir);
  if (options->server.address)
    fprintf (stderr, "%s: listening on %s, which others may reach.\n", NAME,
             options->server.address);
  fprintf (stderr, "%s: https://localhost:%u (and http)\n", NAME, sim->port);
}

static void
point_to_null (int first, int last)
{
  CLEANUP_CLOSE int null = open ("/dev/null", O_RDWR | O_CLOEXEC);

  for (int fd = first; null >= 0 && fd <= last; fd++)
    dup2 (null, fd);
}

/* Stdout ends after that, so that a reader knows that it is all, and that the simulator serves. */
static int
print_env (struct sim *sim, struct error *err)
{
  CLEANUP_FREE
  char *text = NULL;

  if (demo_env (sim, NULL, NULL, &text, err) < 0)
    return -1;
  fputs (text, stdout);
  if (fflush (stdout) != 0)
    return error_set_errno (err, errno, "can't print the variables");
  point_to_null (STDOUT_FILENO, STDOUT_FILENO);
  return 0;
}

/* The parent waits for a byte that says that all is well, and leaves. */
static int
go_to_background (struct error *err)
{
  int fds[2];
  char byte;
  pid_t pid;
  int status;

  if (pipe2 (fds, O_CLOEXEC) < 0)
    return error_set_errno (err, errno, "pipe");
  pid = fork ();
  if (pid < 0)
    return error_set_errno (err, errno, "fork");
  if (pid == 0) {
    close (fds[0]);
    setsid ();
    return fds[1];
  }
  close (fds[1]);
  if (read (fds[0], &byte, 1) == 1)
    exit (EXIT_SUCCESS);
  waitpid (pid, &status, 0);
  exit (WIFEXITED (status) ? WEXITSTATUS (status) : EXIT_FAILURE);
}

static void
say_ready (struct sim *sim, int ready_fd)
{
  CLEANUP_CLOSE int fd =
      openat (sim->dir_fd, "pid", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  if (fd >= 0)
    dprintf (fd, "%d\n", getpid ());
  if (ready_fd < 0)
    return;
  point_to_null (STDIN_FILENO, STDERR_FILENO);
  if (write (ready_fd, "", 1) == 1)
    close (ready_fd);
}

static int
serve (struct options *options)
{
  static struct sim sim; /* the thread of a late command may look at it to the end */
  struct server *server;
  struct error err;
  int ready_fd = -1, stop_fd, r;

  if (options->background && (ready_fd = go_to_background (&err)) < 0)
    fail (&err);
  stop_fd = stop_fd_new ();
  if (sim_init (&sim, options->dir, &err) < 0
      || server_new (&sim, &options->server, &server, &err) < 0)
    fail (&err);
  print_notice (&sim, options);
  if (options->print_env && print_env (&sim, &err) < 0)
    fail (&err);
  say_ready (&sim, ready_fd);
  r = server_run (server, stop_fd, &err);
  server_free (server);
  sim_clear (&sim);
  if (r < 0)
    fail (&err);
  return EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  struct options options = {.dir = getenv ("KEYFENCE_KMS_SIM_DIR"), .server = {.port = 8443}};

  if (argc > 1 && strcmp (argv[1], "ctl") == 0)
    return run_client (argv + 2, options.dir, false);
  if (argc > 1 && strcmp (argv[1], "demo-env") == 0)
    return run_client (argv + 2, options.dir, true);
  parse_options (argc, argv, &options);
  if (optind < argc)
    fail_usage ("unknown word on the command line");
  return serve (&options);
}
