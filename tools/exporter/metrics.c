/* metrics.c owns the table of metrics and where in a server's facts each of them is. */
#include "tools/exporter/metrics.h"

#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "config.h"
#include "tools/exporter/moment.h"

struct metric;

typedef void writer (const struct metric *metric, const struct volume *volume, struct text *text);

struct metric {
  const char *name, *type, *help;
  writer *write;
  const char *object; /* the member of the facts that has `member`; NULL: the facts themselves */
  const char *member;
  double factor; /* to base units; 0: 1 */
};

/* ---- samples ------------------------------------------------------------------------------------
 */

/* NAME{volume="…" and, where there is one, label="value"} number */
static void
put_labelled (struct text *text, const char *name, const struct volume *volume, const char *label,
              const char *value, double number)
{
  text_format (text, "%s{volume=\"", name);
  text_label (text, volume->name);
  if (label) {
    text_format (text, "\",%s=\"", label);
    text_label (text, value);
  }
  text_put (text, "\"} ");
  text_number (text, number);
  text_put (text, "\n");
}

static void
put (struct text *text, const struct metric *metric, const struct volume *volume, double number)
{
  put_labelled (text, metric->name, volume, NULL, NULL, number);
}

/* Where the metric's member is. */
static const struct json *
home (const struct metric *metric, const struct volume *volume)
{
  return metric->object ? json_get (volume->facts, metric->object) : volume->facts;
}

/* A number that can be one of ours: none is negative or infinite. */
static bool
is_sane (double number)
{
  return isfinite (number) && number >= 0;
}

static void
write_number (const struct metric *metric, const struct volume *volume, struct text *text)
{
  double number;

  if (json_get_number (home (metric, volume), metric->member, &number) == 0 && is_sane (number))
    put (text, metric, volume, number * (metric->factor != 0 ? metric->factor : 1));
}

static void
write_time (const struct metric *metric, const struct volume *volume, struct text *text)
{
  double unix_s;

  if (moment_parse (json_get_string (home (metric, volume), metric->member), &unix_s) == 0)
    put (text, metric, volume, unix_s);
}

static void
write_bool (const struct metric *metric, const struct volume *volume, struct text *text)
{
  bool yes;

  if (json_get_bool (home (metric, volume), metric->member, &yes) == 0)
    put (text, metric, volume, yes);
}

static void
write_up (const struct metric *metric, const struct volume *volume, struct text *text)
{
  put (text, metric, volume, volume->facts != NULL);
}

/* A process id while there is one, null while there is none. */
static void
write_process (const struct metric *metric, const struct volume *volume, struct text *text)
{
  const struct json *pid = json_get (home (metric, volume), metric->member);
  double number = 0;

  if (json_is_null (pid) || json_get_number (home (metric, volume), metric->member, &number) == 0)
    put (text, metric, volume, number > 0);
}

static void
write_info (const struct metric *metric, const struct volume *volume, struct text *text)
{
  static const struct {
    const char *label, *member;
  } labels[] = {{"uuid", "volume"}, {"label", "label"},   {"path", "path"},
                {"key", "key"},     {"engine", "engine"}, {"crypto", "crypto"},
                {"cache", "cache"}, {"latch", "latch"},   {"held_by", "held_by"}};

  if (!volume->facts)
    return;
  text_format (text, "%s{volume=\"", metric->name);
  text_label (text, volume->name);
  text_put (text, "\",name=\"");
  text_label (text, volume_title (volume));
  for (size_t i = 0; i < ARRAY_SIZE (labels); i++) {
    const char *value = json_get_string (volume->facts, labels[i].member);

    text_format (text, "\",%s=\"", labels[i].label);
    text_label (text, value ? value : "");
  }
  text_put (text, "\"} 1\n");
}

static void
write_state (const struct metric *metric, const struct volume *volume, struct text *text)
{
  static const char *const states[] = {"active", "grace", "fenced"};
  const char *state = json_get_string (volume->facts, "state");

  for (size_t i = 0; state && i < ARRAY_SIZE (states); i++)
    put_labelled (text, metric->name, volume, "state", states[i], strcmp (state, states[i]) == 0);
}

static void
write_reason (const struct metric *metric, const struct volume *volume, struct text *text)
{
  const char *reason = json_get_string (volume->facts, "reason");

  if (reason)
    put_labelled (text, metric->name, volume, "reason", reason, 1);
}

/* An older server counts in fewer classes. */
static void
write_checks (const struct metric *metric, const struct volume *volume, struct text *text)
{
  static const char *const classes[] = {"ok",    "denied",  "outage", "credentials",
                                        "clock", "corrupt", "config", "other"};
  const struct json *checks = json_get (volume->facts, "checks_by_class");
  double number;

  if (!checks)
    checks = json_get (volume->facts, "checks");
  for (size_t i = 0; i < ARRAY_SIZE (classes); i++)
    if (json_get_number (checks, classes[i], &number) == 0 && is_sane (number))
      put_labelled (text, metric->name, volume, "class", classes[i], number);
}

/* ---- the histogram ------------------------------------------------------------------------------
 */

static int
element (const struct json *array, size_t i, double *ret)
{
  double number;

  if (json_number_value (json_at (array, i), &number) < 0 || !is_sane (number))
    return -1;
  *ret = number;
  return 0;
}

/* Bounds rise, counts never fall, and none is above the total: or else there is no histogram. */
static bool
is_histogram (const struct json *bounds, const struct json *counts, double total)
{
  double bound, count, last_bound = -1, last_count = 0;

  if (json_size (bounds) == 0 || json_size (bounds) != json_size (counts))
    return false;
  for (size_t i = 0; i < json_size (bounds); i++) {
    if (element (bounds, i, &bound) < 0 || element (counts, i, &count) < 0 || bound <= last_bound
        || count < last_count || count > total)
      return false;
    last_bound = bound;
    last_count = count;
  }
  return true;
}

static void
put_bucket (struct text *text, const struct metric *metric, const struct volume *volume,
            const char *bound, double count)
{
  text_format (text, "%s_bucket{volume=\"", metric->name);
  text_label (text, volume->name);
  text_format (text, "\",le=\"%s\"} ", bound);
  text_number (text, count);
  text_put (text, "\n");
}

static void
write_histogram (const struct metric *metric, const struct volume *volume, struct text *text)
{
  const struct json *latency = json_get (volume->facts, metric->member);
  const struct json *bounds = json_get (latency, "le_s"), *counts = json_get (latency, "counts");
  double total, sum, bound = 0, count = 0;
  char sum_name[64], count_name[64];

  if (json_get_number (latency, "count", &total) < 0 || !is_sane (total)
      || json_get_number (latency, "sum_s", &sum) < 0 || !is_sane (sum)
      || !is_histogram (bounds, counts, total))
    return;
  for (size_t i = 0; i < json_size (bounds); i++) {
    CLEANUP_TEXT struct text number = {0};

    if (element (bounds, i, &bound) < 0 || element (counts, i, &count) < 0)
      return; /* is_histogram has seen them */
    text_number (&number, bound);
    put_bucket (text, metric, volume, number.bytes ? number.bytes : "", count);
  }
  put_bucket (text, metric, volume, "+Inf", total);
  snprintf (sum_name, sizeof sum_name, "%s_sum", metric->name);
  snprintf (count_name, sizeof count_name, "%s_count", metric->name);
  put_labelled (text, sum_name, volume, NULL, NULL, sum);
  put_labelled (text, count_name, volume, NULL, NULL, total);
}

/* ---- the table ----------------------------------------------------------------------------------
 */

static const struct metric metrics[] = {
    {"keyfence_up", "gauge", "Whether the server of the volume answers.", write_up},
    {"keyfence_volume_info", "gauge", "What the volume is called and how it is served; always 1.",
     write_info},
    {"keyfence_state", "gauge", "1 for the state that the volume is in, 0 for the others.",
     write_state},
    {"keyfence_fence_reason", "gauge", "Why the volume is in its state, in one word; always 1.",
     write_reason},
    {"keyfence_state_since_timestamp_seconds", "gauge", "When the volume came into its state.",
     write_time, NULL, "since"},
    {"keyfence_lease_left_seconds", "gauge",
     "How long I/O is still served if no check succeeds; absent while there is no lease.",
     write_number, NULL, "lease_left_s"},
    {"keyfence_grace_seconds", "gauge", "The parameter grace: how long a lease is.", write_number,
     "parameters", "grace_s"},
    {"keyfence_fence_bound_seconds", "gauge",
     "The longest time from a denial by the key service to a refused request.", write_number, NULL,
     "fence_bound_s"},
    {"keyfence_check_interval_seconds", "gauge", "The parameter check-interval.", write_number,
     "parameters", "check_interval_s"},
    {"keyfence_checks_total", "counter", "Checks of the access to the key by their outcome.",
     write_checks},
    {"keyfence_check_duration_seconds", "histogram", "How long the checks took.", write_histogram,
     NULL, "check_latency"},
    {"keyfence_last_check_timestamp_seconds", "gauge", "When the last check ended.", write_time,
     NULL, "last_check"},
    {"keyfence_next_check_timestamp_seconds", "gauge", "When the next check is due.", write_time,
     NULL, "next_check"},
    {"keyfence_fences_total", "counter", "How often the volume was fenced.", write_number, NULL,
     "fences"},
    {"keyfence_last_wipe_seconds", "gauge",
     "How long it took to wipe the key when the volume was last fenced.", write_number, NULL,
     "last_wipe_us", 1e-6},
    {"keyfence_io_reads_total", "counter", "Read requests served.", write_number, "io", "reads"},
    {"keyfence_io_writes_total", "counter", "Write requests served.", write_number, "io", "writes"},
    {"keyfence_io_read_bytes_total", "counter", "Bytes read by clients.", write_number, "io",
     "bytes_read"},
    {"keyfence_io_written_bytes_total", "counter", "Bytes written by clients.", write_number, "io",
     "bytes_written"},
    {"keyfence_requests_refused_total", "counter", "Requests refused because of the fence.",
     write_number, "io", "refused"},
    {"keyfence_key_created_timestamp_seconds", "gauge",
     "When the volume key was wrapped by the KEK.", write_time, NULL, "key_created"},
    {"keyfence_key_expires_timestamp_seconds", "gauge",
     "When the KEK expires; absent where it does not.", write_time, NULL, "key_expires"},
    {"keyfence_memory_locked", "gauge", "Whether all key material is locked into RAM.", write_bool,
     NULL, "memory_locked"},
    {"keyfence_read_only", "gauge", "Whether the volume is served for reading only.", write_bool,
     NULL, "read_only"},
    {"keyfence_volume_size_bytes", "gauge", "The size of the disk that clients see.", write_number,
     NULL, "size_bytes"},
    {"keyfence_agent_up", "gauge", "Whether the process that asks the key service is there.",
     write_process, NULL, "agent_pid"},
};

static void
put_head (struct text *text, const char *name, const char *type, const char *help)
{
  text_format (text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A metric of the exporter itself. */
static void
put_own (struct text *text, const char *name, const char *help, double number)
{
  put_head (text, name, "gauge", help);
  text_format (text, "%s ", name);
  text_number (text, number);
  text_put (text, "\n");
}

static void
write_exporter (const struct snapshot *snapshot, struct text *text)
{
  put_head (text, "keyfence_exporter_build_info", "gauge", "The exporter's version; always 1.");
  text_put (text, "keyfence_exporter_build_info{version=\"" KEYFENCE_VERSION "\"} 1\n");
  put_own (text, "keyfence_exporter_folder_readable",
           "Whether the folder of the control sockets could be read.", !snapshot->folder_error);
  put_own (text, "keyfence_exporter_volumes_left_out",
           "Control sockets beyond the number that the exporter asks.", (double)snapshot->left_out);
  put_own (text, "keyfence_exporter_collect_duration_seconds",
           "How long it took to ask the servers.", snapshot->duration_s);
}

void
metrics_write (const struct snapshot *snapshot, struct text *text)
{
  write_exporter (snapshot, text);
  for (size_t i = 0; i < ARRAY_SIZE (metrics); i++) {
    CLEANUP_TEXT struct text samples = {0};

    for (size_t j = 0; j < snapshot->count; j++)
      metrics[i].write (&metrics[i], &snapshot->volumes[j], &samples);
    if (samples.failed)
      text->failed = true;
    if (samples.size == 0)
      continue;
    put_head (text, metrics[i].name, metrics[i].type, metrics[i].help);
    text_put (text, samples.bytes);
  }
}
