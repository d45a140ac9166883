/* The control socket, ctl.sock in the state folder (mode 0600): commands to the running simulator.
 *
 * A command is one line, a JSON array of words; the answer one line, {"text": ...} or {"error":
 * ...}; with the latter "text" is what is known instead, where that helps.
 */
#ifndef SIM_CTL_H
#define SIM_CTL_H

#include <stdio.h>

#include "tools/sim/sim.h"

/* Returns the listening socket, or -1. */
int ctl_listen (struct sim *sim, struct error *err) MUST_CHECK;
void ctl_unlink (struct sim *sim);

/* Takes one connection and serves it in a thread of its own. */
void ctl_accept (struct sim *sim, int ctl_fd);

/* The client: sends the words to the simulator whose state folder `dir` is.  *ret_text is new, or
 * after an error NULL or what is known instead.
 */
int ctl_call (const char *dir, char **words, char **ret_text, struct error *err) MUST_CHECK;

/* One command.  `words` are those behind its name; without `run` the entry is only for the help. */
struct ctl_command {
  const char *name, *arguments, *summary;
  int (*run) (struct sim *sim, const struct json *words, char **ret_text, struct error *err);
};

/* The tables, each ending in an empty entry. */
extern const struct ctl_command ctl_general[], ctl_keys[], ctl_aws[], ctl_azure[];

/* What --help lists. */
void ctl_print_commands (FILE *f);

/* Word number i, or NULL. */
const char *ctl_word (const struct json *words, size_t i);

/* The value behind the option in `words`, or NULL; "" for one at the end. */
const char *ctl_option (const struct json *words, const char *option);
bool ctl_switch (const struct json *words, const char *option);

/* A new string by printf; for *ret_text. */
char *ctl_text (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));

#endif
