/* log.c owns the log of requests. */
#include "tools/sim/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/io.h"

#define LOG_NAME "requests.jsonl"
#define LOG_READ_MAX (64 * 1024 * 1024)

int
log_open (struct sim *sim, struct error *err)
{
  sim->log_fd =
      openat (sim->dir_fd, LOG_NAME, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (sim->log_fd < 0)
    return error_set_errno (err, errno, "can't open %s in the state folder", LOG_NAME);
  return 0;
}

static void
set_time (struct json *line)
{
  struct timespec now;
  struct tm tm;
  char day[32], text[48];

  clock_gettime (CLOCK_REALTIME, &now);
  gmtime_r (&now.tv_sec, &tm);
  strftime (day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf (text, sizeof text, "%s.%03ldZ", day, now.tv_nsec / 1000000);
  json_set_string (line, "time", text);
}

void
log_exchange (const struct exchange *ex, uint64_t duration_ms)
{
  CLEANUP_JSON struct json *line = json_object_new ();
  CLEANUP_FREE
  char *text = NULL;
  size_t length;

  if (!line || ex->sim->log_fd < 0)
    return;
  set_time (line);
  json_set_string (line, "service", ex->service ? ex->service->name : NULL);
  json_set_string (line, "operation", ex->operation);
  json_set_string (line, "key", ex->key);
  json_set_string (line, "outcome", ex->outcome);
  json_set_number (line, "status", ex->reply->status);
  json_set_string (line, "request_id", ex->request_id);
  json_set_string (line, "principal", ex->principal);
  json_set_number (line, "bytes_in", (double)ex->request->body_size);
  json_set_number (line, "bytes_out", (double)ex->reply->body_size);
  json_set_number (line, "duration_ms", (double)duration_ms);
  if (ex->fault)
    json_set_string (line, "fault", ex->fault);
  text = json_print (line, false);
  if (!text)
    return;
  length = strlen (text);
  text[length] = '\n';
  if (write_full (ex->sim->log_fd, text, length + 1) < 0)
    fprintf (stderr, "keyfence-kms-sim: can't write the log: %s\n", strerror (errno));
}

/* ---- reading ----------------------------------------------------------------------------------
 */

struct filter {
  const char *operation, *key, *outcome;
  bool count, clear;
};

static int
parse_filter (const struct json *words, struct filter *filter, struct error *err)
{
  const struct {
    const char *name;
    const char **value;
  } options[] = {
      {"--op", &filter->operation}, {"--key", &filter->key}, {"--outcome", &filter->outcome}};

  for (size_t i = 0; i < json_size (words); i++) {
    const char *word = json_string_value (json_at (words, i));
    size_t o = 0;

    if (strcmp (word, "--count") == 0)
      filter->count = true;
    else if (strcmp (word, "--clear") == 0)
      filter->clear = true;
    else {
      while (o < 3 && strcmp (options[o].name, word) != 0)
        o++;
      if (o == 3 || !(*options[o].value = json_string_value (json_at (words, ++i))))
        return error_set (err, ERROR_USAGE,
                          "log: --op NAME, --key TEXT, --outcome TEXT, --count, --clear");
    }
  }
  return 0;
}

static bool
passes (const struct filter *filter, const struct json *line)
{
  const char *operation = json_get_string (line, "operation"), *key = json_get_string (line, "key"),
             *outcome = json_get_string (line, "outcome"),
             *service = json_get_string (line, "service");

  if (!operation || !key || !outcome)
    return false;
  if (filter->operation && strcasecmp (filter->operation, operation) != 0
      && (!service || strcmp (filter->operation, service) != 0))
    return false;
  return (!filter->key || strstr (key, filter->key))
         && (!filter->outcome || strcasecmp (filter->outcome, outcome) == 0);
}

/* The lines of `log` that pass, or how many. */
static char *
filtered (const struct filter *filter, char *log)
{
  char *text = NULL, *line;
  size_t size, count = 0;
  FILE *f = open_memstream (&text, &size);

  if (!f)
    return NULL;
  while ((line = strsep (&log, "\n"))) {
    CLEANUP_JSON struct json *json = json_parse (line, strlen (line));

    if (!json || !passes (filter, json))
      continue;
    count++;
    if (!filter->count)
      fprintf (f, "%s\n", line);
  }
  if (filter->count)
    fprintf (f, "%zu\n", count);
  fclose (f);
  return text;
}

int
log_command (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  struct filter filter = {0};
  char path[64];
  CLEANUP_FREE
  char *log = NULL;
  int r;

  if (parse_filter (words, &filter, err) < 0)
    return -1;
  snprintf (path, sizeof path, "/proc/self/fd/%d/%s", sim->dir_fd, LOG_NAME);
  r = read_file (path, LOG_READ_MAX, &log, NULL);
  if (r < 0)
    return error_set_errno (err, -r, "can't read the log");
  if (filter.clear && ftruncate (sim->log_fd, 0) < 0)
    return error_set_errno (err, errno, "can't empty the log");
  *ret_text = filtered (&filter, log);
  return *ret_text ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
}
