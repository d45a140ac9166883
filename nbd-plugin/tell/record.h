/* One thing to tell, shared by the queues that it waits in, and its facts as JSON and as text. */
#ifndef NBD_PLUGIN_TELL_RECORD_H
#define NBD_PLUGIN_TELL_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "nbd-plugin/tell.h"

enum record_kind {
  RECORD_CHANGE,
  RECORD_OPERATION,
  RECORD_EVENT,
  RECORD_RESULT,  /* what became of a hook or a notification */
  RECORD_DROPPED, /* that a queue was full */
  RECORD_LINE,    /* for the log alone */
};
#define RECORD_BIT(kind) (1u << (kind))

/* What became of telling a state change to a program or a service. */
struct record_result {
  int64_t time_unix_ms;
  const char *event; /* "hook", "notify"; a literal */
  char to[320];      /* the program, or scheme and host */
  char state[16];    /* of the change that was told */
  char status[16];   /* "ok", "failed", "superseded", "stopped" */
  char detail[320];  /* of the last try, when it failed */
  unsigned tries;
  uint32_t duration_ms; /* of all tries and pauses */
};

struct record {
  atomic_uint refs;
  enum record_kind kind;
  union {
    struct tell_change change;
    struct tell_operation operation;
    struct tell_event event;
    struct record_result result;
    struct {
      int64_t time_unix_ms;
      const char *queue; /* a literal */
      uint64_t count;
    } dropped;
    struct {
      bool error;
      char text[768];
    } line;
  };
};

/* Of which volume everything is told.  The texts are clean (kms_text_clean). */
struct about {
  char *volume, *label, *path;
};

/* With one reference, owned by the caller; NULL when out of memory.  Texts are copied and cleaned.
 */
struct record *record_of_change (const struct tell_change *change) MUST_CHECK;
struct record *record_of_operation (const struct tell_operation *operation) MUST_CHECK;
struct record *record_of_event (const struct tell_event *event) MUST_CHECK;
struct record *record_of_result (const struct record_result *result) MUST_CHECK;
struct record *record_of_dropped (const char *queue, uint64_t count) MUST_CHECK;
struct record *record_of_line (bool error, const char *text) MUST_CHECK;

struct record *record_ref (struct record *record);
void record_unref (struct record *record);
static inline void
cleanup_record (struct record **record)
{
  record_unref (*record);
}
#define CLEANUP_RECORD CLEANUP (cleanup_record)

/* One JSON object in one line, without the newline: the audit log's records, and the bodies of
 * notifications.  A new string; NULL when out of memory.  Not for RECORD_LINE.
 */
char *record_print (const struct record *record, const struct about *about) MUST_CHECK;

/* Now, as milliseconds since 1970. */
int64_t record_now_ms (void);

/* "2026-01-31T23:59:59.123Z": RFC 3339, UTC. */
#define RECORD_TIME_MAX 40
void record_format_time (int64_t unix_ms, char ret[RECORD_TIME_MAX]);

#endif
