/* What the tests of telling share: a folder, a teller, a log that is kept (and can hang), a disk
 * that hangs or is full, a clock that can be put forward, and the audit log read back.
 *
 * The program is linked with --wrap=write and --wrap=clock_ms.
 */
#ifndef TESTS_UNIT_TELL_RIG_H
#define TESTS_UNIT_TELL_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/json.h"
#include "nbd-plugin/log.h"
#include "nbd-plugin/tell.h"

#define RIG_PATIENCE_MS 60000
#define RIG_UUID "00000000-1111-2222-3333-444444444444"
#define RIG_KEY "arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
#define RIG_LINES_MAX 2000

static char rig_dir[64];
static char rig_audit[128]; /* the audit log's path */
static struct tell_params rig_params;
static struct teller *rig_teller;

/* ---- time ---- */

uint64_t __real_clock_ms (void);
uint64_t __wrap_clock_ms (void);
static _Atomic uint64_t rig_forward_ms;

uint64_t
__wrap_clock_ms (void)
{
  return __real_clock_ms () + atomic_load (&rig_forward_ms);
}

/* Repeats `condition` until it holds; fails the test when it never does. */
#define WAIT_UNTIL(condition)                                                 \
  for (uint64_t end_ = __real_clock_ms () + RIG_PATIENCE_MS; !(condition);) { \
    if (__real_clock_ms () >= end_)                                           \
      fail_msg ("never: %s", #condition);                                     \
    usleep (2000);                                                            \
  }

/* ---- the disk ---- */

enum disk { DISK_WORKS, DISK_FULL, DISK_CUTS, DISK_HANGS };

ssize_t __real_write (int fd, const void *buf, size_t size);
ssize_t __wrap_write (int fd, const void *buf, size_t size);
static _Atomic enum disk rig_disk;
static atomic_uint rig_disk_met; /* how often it was not DISK_WORKS */

static inline bool
rig_is_audit_log (int fd)
{
  struct stat a, b;

  return fstat (fd, &a) == 0 && stat (rig_audit, &b) == 0 && a.st_dev == b.st_dev
         && a.st_ino == b.st_ino;
}

ssize_t
__wrap_write (int fd, const void *buf, size_t size)
{
  if (atomic_load (&rig_disk) == DISK_WORKS || !rig_is_audit_log (fd))
    return __real_write (fd, buf, size);
  atomic_fetch_add (&rig_disk_met, 1);
  while (atomic_load (&rig_disk) == DISK_HANGS)
    usleep (1000);
  switch (atomic_load (&rig_disk)) {
  case DISK_CUTS:
    atomic_store (&rig_disk, DISK_FULL);
    return __real_write (fd, buf, size / 2);
  case DISK_FULL:
    errno = ENOSPC;
    return -1;
  default:
    return __real_write (fd, buf, size);
  }
}

/* ---- the log ---- */

static pthread_mutex_t rig_log_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the text */
static char rig_log[1 << 18];
static atomic_bool rig_log_hangs;
static atomic_bool rig_log_met;

static void rig_log_add (const char *kind, const char *fmt, va_list args)
    __attribute__ ((format (printf, 2, 0)));

static void
rig_log_add (const char *kind, const char *fmt, va_list args)
{
  char line[2048];

  while (atomic_load (&rig_log_hangs)) {
    atomic_store (&rig_log_met, true);
    usleep (1000);
  }
  vsnprintf (line, sizeof line, fmt, args);
  pthread_mutex_lock (&rig_log_lock);
  if (strlen (rig_log) + strlen (line) + 20 < sizeof rig_log)
    snprintf (rig_log + strlen (rig_log), sizeof rig_log - strlen (rig_log), "%s: %s\n", kind,
              line);
  pthread_mutex_unlock (&rig_log_lock);
}

void
log_error (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  rig_log_add ("error", fmt, args);
  va_end (args);
}

void
log_notice (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  rig_log_add ("notice", fmt, args);
  va_end (args);
}

static inline unsigned
rig_log_count (const char *what)
{
  unsigned count = 0;
  LOCK_FOR_SCOPE (&rig_log_lock);

  for (const char *p = rig_log; (p = strstr (p, what)) != NULL; p++)
    count++;
  return count;
}

/* ---- a teller ---- */

static inline int
rig_setup (void **state)
{
  (void)state;
  snprintf (rig_dir, sizeof rig_dir, "/tmp/keyfence-tell.XXXXXX");
  if (!mkdtemp (rig_dir))
    return -1;
  snprintf (rig_audit, sizeof rig_audit, "%s/audit.log", rig_dir);
  rig_params = (struct tell_params){.volume = RIG_UUID,
                                    .label = "wages",
                                    .path = "/srv/wages.kf",
                                    .audit_log = rig_audit,
                                    .agent = TEST_AGENT};
  atomic_store (&rig_disk, DISK_WORKS);
  atomic_store (&rig_disk_met, 0);
  atomic_store (&rig_log_hangs, false);
  atomic_store (&rig_log_met, false);
  pthread_mutex_lock (&rig_log_lock);
  rig_log[0] = '\0';
  pthread_mutex_unlock (&rig_log_lock);
  unsetenv ("NOTIFY_SOCKET");
  return 0;
}

static inline void
rig_start (void)
{
  struct error err = {0};

  if (tell_start (&rig_params, &rig_teller, &err) < 0)
    fail_msg ("tell_start: %s", err.text);
}

/* How long it took. */
static inline uint64_t
rig_stop (void)
{
  uint64_t start_ms = __real_clock_ms ();
  struct teller *teller = rig_teller;

  rig_teller = NULL;
  tell_stop (teller);
  return __real_clock_ms () - start_ms;
}

static inline int
rig_teardown (void **state)
{
  char command[128];

  (void)state;
  atomic_store (&rig_disk, DISK_WORKS);
  atomic_store (&rig_log_hangs, false);
  rig_stop ();
  snprintf (command, sizeof command, "rm -rf %s", rig_dir);
  return system (command);
}

static inline void
rig_expect_refusal (const char *why)
{
  struct teller *teller = NULL;
  struct error err = {0};

  assert_int_equal (tell_start (&rig_params, &teller, &err), -1);
  assert_null (teller);
  if (!strstr (err.text, why))
    fail_msg ("\"%s\" instead of \"%s\"", err.text, why);
}

static inline struct tell_change
rig_change (const char *from, const char *to, const char *reason)
{
  struct tell_change change = {.time_unix_ms = INT64_C (1767323045006), .bound_s = 9.25};

  snprintf (change.from, sizeof change.from, "%s", from);
  snprintf (change.state, sizeof change.state, "%s", to);
  snprintf (change.reason, sizeof change.reason, "%s", reason);
  snprintf (change.detail, sizeof change.detail, "The key is disabled.");
  snprintf (change.request_id, sizeof change.request_id, "req-1");
  snprintf (change.key, sizeof change.key, "%s", RIG_KEY);
  return change;
}

static inline void
rig_tell (const char *from, const char *to, const char *reason)
{
  struct tell_change change = rig_change (from, to, reason);

  tell_change (rig_teller, &change);
}

static inline void
rig_tell_operation (unsigned number)
{
  struct tell_operation operation = {.time_unix_ms = INT64_C (1767323045006),
                                     .operation = "check",
                                     .role = "primary",
                                     .key = RIG_KEY,
                                     .class = KMS_DENIED,
                                     .reason = "key_disabled",
                                     .request_id = "req-2",
                                     .duration_ms = number};

  tell_operation (rig_teller, &operation);
}

/* ---- files ---- */

/* Its whole text, or "" when there is no such file; in one of two buffers. */
static inline const char *
rig_read (const char *path)
{
  static char texts[2][1 << 20];
  static int which;
  CLEANUP_FREE char *text = NULL;

  which = !which;
  texts[which][0] = '\0';
  if (read_file (path, sizeof texts[0] - 1, &text, NULL) == 0)
    snprintf (texts[which], sizeof texts[which], "%s", text);
  return texts[which];
}

static inline const char *
rig_path (const char *name)
{
  static char paths[4][128];
  static int which;

  which = (which + 1) % 4;
  snprintf (paths[which], sizeof paths[which], "%s/%s", rig_dir, name);
  return paths[which];
}

static inline void
rig_write (const char *name, const char *text, mode_t mode)
{
  const char *path = rig_path (name);
  CLEANUP_CLOSE int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

  assert_true (fd >= 0);
  assert_int_equal (write_full (fd, text, strlen (text)), 0);
  assert_int_equal (fchmod (fd, mode), 0);
}

/* ---- the audit log ---- */

struct rig_records {
  size_t count;
  struct json *list[RIG_LINES_MAX];
};
#define CLEANUP_RECORDS CLEANUP (rig_free_records)

static inline void
rig_free_records (struct rig_records **records)
{
  for (size_t i = 0; i < (*records)->count; i++)
    json_free ((*records)->list[i]);
  free (*records);
}

/* Every whole line must be a JSON object. */
static inline struct rig_records *
rig_read_records (void)
{
  struct rig_records *records = calloc (1, sizeof *records);
  const char *p = rig_read (rig_audit), *end;

  assert_non_null (records);
  for (; *p; p = end + 1) {
    end = strchr (p, '\n');
    if (!end)
      break; /* it is being written */
    assert_true (records->count < RIG_LINES_MAX);
    records->list[records->count] = json_parse (p, (size_t)(end - p));
    if (!json_is_object (records->list[records->count++]))
      fail_msg ("no JSON object: %.*s", (int)(end - p), p);
  }
  return records;
}

static inline unsigned
rig_lines (const char *path)
{
  unsigned count = 0;

  for (const char *p = rig_read (path); (p = strchr (p, '\n')) != NULL; p++)
    count++;
  return count;
}

/* How many records of that event there are; the last of them in *ret unless that is NULL. */
static inline unsigned
rig_events (const struct rig_records *records, const char *event, const struct json **ret)
{
  unsigned count = 0;

  for (size_t i = 0; i < records->count; i++) {
    if (strcmp (json_get_string (records->list[i], "event"), event) != 0)
      continue;
    count++;
    if (ret)
      *ret = records->list[i];
  }
  return count;
}

static inline unsigned
rig_event_count (const char *event)
{
  CLEANUP_RECORDS struct rig_records *records = rig_read_records ();

  return rig_events (records, event, NULL);
}

static inline double
rig_number (const struct json *json, const char *name)
{
  double value = -1;

  assert_int_equal (json_get_number (json, name, &value), 0);
  return value;
}

#endif
