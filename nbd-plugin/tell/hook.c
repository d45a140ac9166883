/* hook.c owns the hook: the program that is run at each state change, and its environment. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nbd-plugin/tell/child.h"
#include "nbd-plugin/tell/teller.h"
#include "nbd-plugin/tell/tries.h"

#define HOOK_LIMIT_MS 30000
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct hook {
  char *program;
  char *volume_path; /* as it is, and not cleaned: for use */
  char *search_path;
};

/* ---- its environment ---- */

enum {
  VAR_PATH,
  VAR_VOLUME,
  VAR_LABEL,
  VAR_VOLUME_PATH,
  VAR_STATE,
  VAR_FROM,
  VAR_REASON,
  VAR_DETAIL,
  VAR_REQUEST_ID,
  VAR_KEY,
  VAR_TIME,
  VAR_BOUND,
  VAR_COUNT,
};

static const char *const names[VAR_COUNT] = {
    [VAR_PATH] = "PATH",
    [VAR_VOLUME] = "KEYFENCE_VOLUME",
    [VAR_LABEL] = "KEYFENCE_LABEL",
    [VAR_VOLUME_PATH] = "KEYFENCE_PATH",
    [VAR_STATE] = "KEYFENCE_STATE",
    [VAR_FROM] = "KEYFENCE_FROM",
    [VAR_REASON] = "KEYFENCE_REASON",
    [VAR_DETAIL] = "KEYFENCE_DETAIL",
    [VAR_REQUEST_ID] = "KEYFENCE_REQUEST_ID",
    [VAR_KEY] = "KEYFENCE_KEY",
    [VAR_TIME] = "KEYFENCE_TIME",
    [VAR_BOUND] = "KEYFENCE_BOUND_SECONDS",
};

struct environment {
  char *entries[VAR_COUNT + 1];
};
#define CLEANUP_ENVIRONMENT CLEANUP (cleanup_environment)

static void
cleanup_environment (struct environment *environment)
{
  for (size_t i = 0; i < VAR_COUNT; i++)
    free (environment->entries[i]);
}

static int
fill_environment (struct environment *environment, const struct hook *hook,
                  const struct tell_change *change, const struct about *about)
{
  char time[RECORD_TIME_MAX], bound[32];
  const char *const values[VAR_COUNT] = {
      [VAR_PATH] = hook->search_path,
      [VAR_VOLUME] = about->volume,
      [VAR_LABEL] = about->label,
      [VAR_VOLUME_PATH] = hook->volume_path,
      [VAR_STATE] = change->state,
      [VAR_FROM] = change->from,
      [VAR_REASON] = change->reason,
      [VAR_DETAIL] = change->detail,
      [VAR_REQUEST_ID] = change->request_id,
      [VAR_KEY] = change->key,
      [VAR_TIME] = time,
      [VAR_BOUND] = bound,
  };

  record_format_time (change->time_unix_ms, time);
  snprintf (bound, sizeof bound, "%.10g", change->bound_s);
  for (size_t i = 0; i < VAR_COUNT; i++) {
    if (asprintf (&environment->entries[i], "%s=%s", names[i], values[i]) < 0) {
      environment->entries[i] = NULL;
      return -1;
    }
  }
  return 0;
}

/* ---- its lane ---- */

static int
run_once (struct lane *lane, const struct record *record, char ret_why[TRIES_WHY_MAX])
{
  const struct hook *hook = lane->self;
  CLEANUP_ENVIRONMENT struct environment environment = {{NULL}};
  char *words[] = {hook->program, NULL};
  const struct child child = {.words = words,
                              .environment = environment.entries,
                              .io_fd = -1,
                              .limit_ms = HOOK_LIMIT_MS,
                              .abandoned = &lane->abandoned};

  if (fill_environment (&environment, hook, &record->change, &lane->teller->about) < 0) {
    snprintf (ret_why, TRIES_WHY_MAX, "out of memory");
    return -1;
  }
  return child_run (&child, ret_why);
}

static void
hook_deliver (struct lane *lane, const struct record *record)
{
  const struct hook *hook = lane->self;

  tries_deliver (lane, record, "hook", hook->program, run_once);
}

/* Who may write the program has the rights of this process. */
static int
check_program (const char *program, struct error *err)
{
  struct stat st;

  if (program[0] != '/')
    return error_set (err, ERROR_USAGE, "hook %s: the path must be absolute", program);
  if (stat (program, &st) < 0)
    return error_set_errno (err, errno, "hook %s", program);
  if (!S_ISREG (st.st_mode))
    return error_set (err, ERROR_USAGE, "hook %s is not a regular file", program);
  if (st.st_mode & (S_IWGRP | S_IWOTH))
    return error_set (err, ERROR_USAGE,
                      "hook %s can be written by others than its owner: chmod go-w", program);
  if (faccessat (AT_FDCWD, program, X_OK, AT_EACCESS) < 0)
    return error_set_errno (err, errno, "hook %s can't be executed", program);
  return 0;
}

static void
hook_close (void *self)
{
  struct hook *hook = self;

  if (!hook)
    return;
  free (hook->program);
  free (hook->volume_path);
  free (hook->search_path);
  free (hook);
}

static int
hook_open (const struct tell_params *params, void **ret_self, struct error *err)
{
  const char *search_path = getenv ("PATH");
  struct hook *hook;

  if (!params->hook)
    return 0;
  if (check_program (params->hook, err) < 0)
    return -1;
  hook = calloc (1, sizeof *hook);
  if (!hook)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  hook->program = strdup (params->hook);
  hook->volume_path = strdup (params->path ? params->path : "");
  hook->search_path = strdup (search_path ? search_path : DEFAULT_PATH);
  if (!hook->program || !hook->volume_path || !hook->search_path) {
    hook_close (hook);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  *ret_self = hook;
  return 0;
}

const struct lane_work work_hook = {
    .name = "hook",
    .kinds = RECORD_BIT (RECORD_CHANGE),
    .open = hook_open,
    .deliver = hook_deliver,
    .close = hook_close,
};
