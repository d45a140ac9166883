/* machine.c owns the rule by which a machine is resumed, or left alone. */
#include "tools/machines/machine.h"

#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/text.h"
#include "tools/machines/qmp.h"

/* For so long it has to go on: the requests that failed are done anew at once. */
#define SETTLE_MS 500
#define SETTLE_POLL_US 50000

const char *
machine_result_name (enum machine_result result)
{
  static const char *const names[] = {
      [MACHINE_FAILED] = "failed",
      [MACHINE_RESUMED] = "resumed",
      [MACHINE_WOULD_RESUME] = "would_resume",
      [MACHINE_RUNNING] = "running",
      [MACHINE_LEFT] = "left",
      [MACHINE_OTHER_DISK] = "other_disk",
      [MACHINE_STOPPED_AGAIN] = "stopped_again",
  };

  return (size_t)result < ARRAY_SIZE (names) ? names[result] : "failed";
}

static bool
is (const struct machine_report *report, const char *status)
{
  return strcmp (report->status, status) == 0;
}

static int
ask_status (struct qmp *qmp, struct machine_report *report)
{
  CLEANUP_JSON struct json *reply = NULL;
  const char *status;

  if (qmp_ask (qmp, "query-status", NULL, &reply, &report->error) < 0)
    return -1;
  status = json_get_string (json_get (reply, "return"), "status");
  if (!status)
    return error_set (&report->error, ERROR_UNAVAILABLE, "query-status has no status");
  text_print (report->status, sizeof report->status, "%s", status);
  return 0;
}

/* It is for people, and may be missing. */
static int
ask_name (struct qmp *qmp, struct machine_report *report)
{
  CLEANUP_JSON struct json *reply = NULL;
  const char *name;

  if (qmp_ask (qmp, "query-name", NULL, &reply, &report->error) < 0)
    return -1;
  name = json_get_string (json_get (reply, "return"), "name");
  text_print (report->name, sizeof report->name, "%s", name ? name : "");
  return 0;
}

static int
ask_has_disk (struct qmp *qmp, const struct disk_place *place, bool *ret_has, struct error *err)
{
  CLEANUP_JSON struct json *reply = NULL;
  const struct json *nodes;

  if (qmp_ask (qmp, "query-named-block-nodes", "{\"flat\": true}", &reply, err) < 0)
    return -1;
  *ret_has = false;
  nodes = json_get (reply, "return");
  for (size_t i = 0; i < json_size (nodes) && !*ret_has; i++)
    *ret_has = disk_place_is_of (place, json_at (nodes, i));
  return 0;
}

/* Whoever stops it meanwhile has his way. */
static int
settle (struct qmp *qmp, struct machine_report *report)
{
  uint64_t until_ms = clock_ms () + SETTLE_MS;

  do {
    if (ask_status (qmp, report) < 0)
      return -1;
    if (is (report, "io-error")) {
      report->result = MACHINE_STOPPED_AGAIN;
      return 0;
    }
    usleep (SETTLE_POLL_US);
  } while (clock_ms () < until_ms);
  report->result = MACHINE_RESUMED;
  return 0;
}

static int
resume (struct qmp *qmp, struct machine_report *report)
{
  CLEANUP_JSON struct json *reply = NULL;

  if (qmp_ask (qmp, "cont", NULL, &reply, &report->error) < 0)
    return -1;
  return settle (qmp, report);
}

static int
converse (const char *socket_path, const struct machine_wish *wish, struct machine_report *report)
{
  CLEANUP_QMP struct qmp *qmp = NULL;
  bool has_disk = true;

  if (qmp_open (socket_path, clock_ms () + wish->timeout_ms, &qmp, &report->error) < 0
      || ask_name (qmp, report) < 0 || ask_status (qmp, report) < 0)
    return -1;
  if (!is (report, "io-error")) {
    report->result = is (report, "running") ? MACHINE_RUNNING : MACHINE_LEFT;
    return 0;
  }
  if (wish->place && ask_has_disk (qmp, wish->place, &has_disk, &report->error) < 0)
    return -1;
  if (!has_disk || wish->dry_run) {
    report->result = has_disk ? MACHINE_WOULD_RESUME : MACHINE_OTHER_DISK;
    return 0;
  }
  return resume (qmp, report);
}

void
machine_resume (const char *socket_path, const struct machine_wish *wish,
                struct machine_report *ret)
{
  struct machine_report report = {.result = MACHINE_FAILED};

  if (converse (socket_path, wish, &report) < 0)
    report.result = MACHINE_FAILED;
  *ret = report;
}
