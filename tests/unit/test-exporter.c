/* What the exporter promises: foreign strings do no harm, missing members are left out, times and
 * counts are right, only known names are answered, and no server holds it up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/checked.h"
#include "tests/unit/exporter-check.h"
#include "tools/exporter/metrics.h"
#include "tools/exporter/moment.h"
#include "tools/exporter/page.h"
#include "tools/exporter/route.h"
#include "tools/exporter/timeline.h"

#define NOW_S 1800000000.0 /* 2027-01-15T08:00:00Z */

/* ---- what is shown of an answer
 * ---------------------------------------------------------------------
 */

/* Metrics or page of one volume with this answer, as a new string. */
static char *
shown (const char *answer, void (*write) (const struct snapshot *, struct text *))
{
  CLEANUP_JSON struct json *facts = NULL;
  const char *why = "";
  char name[] = "v", path[] = "/run/keyfence/v.sock", folder[] = "/run/keyfence", error[] = "dead";
  struct volume volume = {.name = name, .path = path};
  struct snapshot snapshot = {
      .time_unix_ms = (int64_t)NOW_S * 1000, .folder = folder, .volumes = &volume, .count = 1};
  struct text text = {0};
  char *string;
  size_t size;

  if (answer) {
    facts = snapshot_parse (answer, &why);
    assert_non_null (facts);
  }
  volume.facts = facts;
  volume.error = facts ? NULL : error;
  write (&snapshot, &text);
  string = text_take (&text, &size);
  assert_non_null (string);
  assert_int_equal (strlen (string), size);
  return string;
}

static void
assert_metric (const char *answer, const char *line)
{
  CLEANUP_FREE char *text = shown (answer, metrics_write);
  const char *fault = metrics_fault (text);

  if (fault)
    fail_msg ("%s in:\n%s", fault, text);
  if (!strstr (text, line))
    fail_msg ("no %s in:\n%s", line, text);
}

static void
assert_no_metric (const char *answer, const char *name)
{
  CLEANUP_FREE char *text = shown (answer, metrics_write);

  assert_null (metrics_fault (text));
  if (strstr (text, name))
    fail_msg ("%s in:\n%s", name, text);
}

static void
assert_page (const char *answer, const char *part)
{
  CLEANUP_FREE char *html = shown (answer, page_write);
  const char *fault = page_fault (html);

  if (fault)
    fail_msg ("%s in:\n%s", fault, html);
  if (!strstr (html, part))
    fail_msg ("no %s in:\n%s", part, html);
}

/* ---- tests
 * ------------------------------------------------------------------------------------------
 */

static void
the_checkers_find_faults (void **state)
{
  static const char *const bad_metrics[] = {"",
                                            "a 1",
                                            "# HELP a x\n# TYPE a gauge\nb 1\n",
                                            "# HELP a x\n# TYPE a gauge\na{b=\"\\x\"} 1\n",
                                            "# HELP a x\n# TYPE a gauge\na{b=\"c} 1\n",
                                            "# HELP a x\n# TYPE a gauge\na nan\n",
                                            "# HELP a x\n# TYPE a gauge\na 1\na 2\n",
                                            "# HELP a x\n# TYPE a counter\na -1\n",
                                            "# HELP a x\n# TYPE a gauge\na{b=\"\xff\"} 1\n"};
  static const char *const bad_html[] = {
      "<p>",   "<p></b>",     "<iframe></iframe>",  "<p onclick=\"x\"></p>", "<p class=x></p>",
      "a > b", "<p>\x01</p>", "<p style=\"x\"></p>"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad_metrics); i++)
    assert_non_null (metrics_fault (bad_metrics[i]));
  for (size_t i = 0; i < ARRAY_SIZE (bad_html); i++) {
    char html[100];

    snprintf (html, sizeof html, "<!doctype html>\n%s", bad_html[i]);
    assert_non_null (page_fault (html));
  }
}

static void
what_a_server_tells_becomes_metrics (void **state)
{
  static const struct {
    const char *answer, *line;
  } cases[] = {
      {NULL, "\nkeyfence_up{volume=\"v\"} 0\n"},
      {"{}", "\nkeyfence_up{volume=\"v\"} 1\n"},
      {"{\"label\":\"db\"}", ",name=\"db\","},
      {"{\"path\":\"/a/b.kf\"}", ",name=\"b.kf\","},
      {"{}", ",name=\"v\","},
      {"{\"state\":\"grace\"}", "state=\"grace\"} 1\n"},
      {"{\"state\":\"grace\"}", "state=\"active\"} 0\n"},
      {"{\"reason\":\"ok\"}", "keyfence_fence_reason{volume=\"v\",reason=\"ok\"} 1\n"},
      {"{\"lease_left_s\":3599.2}", "keyfence_lease_left_seconds{volume=\"v\"} 3599.2\n"},
      {"{\"last_wipe_us\":412}", "keyfence_last_wipe_seconds{volume=\"v\"} 0.000412\n"},
      {"{\"io\":{\"bytes_read\":9007199254740991}}",
       "keyfence_io_read_bytes_total{volume=\"v\"} 9007199254740991\n"},
      {"{\"since\":\"2027-01-15T08:00:00Z\"}",
       "keyfence_state_since_timestamp_seconds{volume=\"v\"} 1800000000\n"},
      {"{\"agent_pid\":null}", "keyfence_agent_up{volume=\"v\"} 0\n"},
      {"{\"agent_pid\":7}", "keyfence_agent_up{volume=\"v\"} 1\n"},
      {"{\"memory_locked\":false}", "keyfence_memory_locked{volume=\"v\"} 0\n"},
      {"{\"checks\":{\"other\":2}}", "keyfence_checks_total{volume=\"v\",class=\"other\"} 2\n"},
      {"{\"checks\":{\"ok\":1},\"checks_by_class\":{\"ok\":5,\"clock\":2}}",
       "keyfence_checks_total{volume=\"v\",class=\"clock\"} 2\n"},
      {"{\"check_latency\":{\"le_s\":[0.1,2.5],\"counts\":[3,4],\"count\":6,\"sum_s\":7.5}}",
       "_bucket{volume=\"v\",le=\"0.1\"} 3\n"
       "keyfence_check_duration_seconds_bucket{volume=\"v\",le=\"2.5\"} 4\n"
       "keyfence_check_duration_seconds_bucket{volume=\"v\",le=\"+Inf\"} 6\n"
       "keyfence_check_duration_seconds_sum{volume=\"v\"} 7.5\n"
       "keyfence_check_duration_seconds_count{volume=\"v\"} 6\n"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++)
    assert_metric (cases[i].answer, cases[i].line);
}

static void
what_makes_no_sense_is_left_out (void **state)
{
  static const struct {
    const char *answer, *name;
  } cases[] = {
      {NULL, "keyfence_state"},
      {"{}", "keyfence_state"},
      {"{\"state\":7}", "keyfence_state"},
      {"{\"lease_left_s\":null}", "keyfence_lease_left_seconds"},
      {"{\"lease_left_s\":-1}", "keyfence_lease_left_seconds"},
      {"{\"lease_left_s\":1e999}", "keyfence_lease_left_seconds"},
      {"{\"lease_left_s\":\"7\"}", "keyfence_lease_left_seconds"},
      {"{\"io\":[1]}", "keyfence_io"},
      {"{\"io\":{\"reads\":-2}}", "keyfence_io"},
      {"{\"since\":\"yesterday\"}", "keyfence_state_since"},
      {"{\"key_expires\":null}", "keyfence_key_expires"},
      {"{\"agent_pid\":\"x\"}", "keyfence_agent_up"},
      {"{\"check_latency\":{\"le_s\":[1,2],\"counts\":[3,2],\"count\":6,\"sum_s\":7}}", "_bucket"},
      {"{\"check_latency\":{\"le_s\":[2,1],\"counts\":[1,2],\"count\":6,\"sum_s\":7}}", "_bucket"},
      {"{\"check_latency\":{\"le_s\":[1,2],\"counts\":[1,7],\"count\":6,\"sum_s\":7}}", "_bucket"},
      {"{\"check_latency\":{\"le_s\":[1,2],\"counts\":[1],\"count\":6,\"sum_s\":7}}", "_bucket"},
      {"{\"check_latency\":{\"le_s\":[],\"counts\":[],\"count\":6,\"sum_s\":7}}", "_bucket"},
      {"{\"check_latency\":{\"le_s\":[1],\"counts\":[1],\"count\":6}}", "_bucket"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++)
    assert_no_metric (cases[i].answer, cases[i].name);
}

/* A string with everything that a format could stumble over, as JSON. */
#define HOSTILE                                                                         \
  "\"<script>alert(1)</script>' onload=\\\"x\\\" & \\\\ \\n \\u0001 \xff \xed\xa0\x80 " \
  "\\u202e{x=\\\"\""

static void
hostile_strings_stay_strings (void **state)
{
  static const char *const members[] = {
      "label", "path",   "reason", "detail", "request_id", "key",   "latch",      "held_by",
      "state", "engine", "crypto", "cache",  "volume",     "since", "last_check", "lease_until"};
  char answer[1000];

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (members); i++) {
    snprintf (answer, sizeof answer, "{\"%s\":" HOSTILE "}", members[i]);
    assert_metric (answer, "keyfence_up{volume=\"v\"} 1\n");
    assert_page (answer, "<article");
  }
  assert_metric (
      "{\"label\":" HOSTILE "}",
      "name=\"<script>alert(1)</script>' onload=\\\"x\\\" & \\\\ ? ? ? ??? ???{x=\\\"\"");
  assert_page ("{\"label\":" HOSTILE "}",
               "&lt;script&gt;alert(1)&lt;/script&gt;&#39; onload=&#34;x&#34; &amp; \\ ? ? ? ??? "
               "???{x=&#34;");
  assert_page ("{\"transitions\":[{\"time\":" HOSTILE ",\"from\":" HOSTILE ",\"state\":" HOSTILE
               ",\"reason\":" HOSTILE ",\"detail\":" HOSTILE ",\"request_id\":" HOSTILE
               "},{\"time\":\"2027-01-15T07:59:00Z\",\"state\":" HOSTILE ",\"reason\":" HOSTILE
               "},7,null,[]]}",
               "&lt;script&gt;");
  assert_page ("{\"key_operations\":[{\"time\":" HOSTILE ",\"operation\":" HOSTILE
               ",\"class\":" HOSTILE ",\"reason\":" HOSTILE ",\"key\":" HOSTILE "},7]}",
               "&lt;script&gt;");
  assert_page ("{\"parameters\":{" HOSTILE ":" HOSTILE ",\"a\":[{\"b\":" HOSTILE "}]}}",
               "&lt;script&gt;");
}

static void
long_strings_are_cut (void **state)
{
  char answer[5000] = "{\"label\":\"";

  (void)state;
  memset (answer + 10, 'x', 4000);
  strcpy (answer + 4010, "\"}");
  assert_page (answer, "xxx\u2026<");
  assert_metric (answer, "xxx\u2026\"");
}

static void
the_page_shows_what_there_is (void **state)
{
  static const struct {
    const char *answer, *part;
  } cases[] = {
      {NULL, "no answer</span>"},
      {NULL, "<bdi>dead</bdi>"},
      {NULL, "<title>1 no answer "},
      {NULL, "href=\"/icon-silent.svg\""},
      {"{}", "unknown</span>"},
      {"{\"state\":\"fenced\",\"reason\":\"key_disabled\"}", "<bdi>key_disabled</bdi>"},
      {"{\"state\":\"fenced\"}", "I/O is refused"},
      {"{\"latch\":\"operator\"}", "latched: <bdi>operator</bdi>"},
      {"{\"held_by\":\"secondary\"}", "flag warn\">held by <bdi>secondary"},
      {"{\"memory_locked\":false}", "memory not locked"},
      {"{\"key\":\"k\",\"key_expires\":\"2027-01-20T08:00:00Z\"}", "key expires soon"},
      {"{\"key\":\"k\",\"key_expires\":\"2027-01-20T08:00:00Z\"}", ">in 5 d</time>"},
      {"{\"key_expires\":\"2027-01-15T07:00:00Z\"}", "key has expired"},
      {"{\"lease_left_s\":900,\"parameters\":{\"grace_s\":3600}}", "class=\"bar half\""},
      {"{\"lease_left_s\":899,\"parameters\":{\"grace_s\":3600}}", "class=\"bar low\""},
      {"{\"lease_left_s\":899,\"parameters\":{\"grace_s\":3600}}", ">14 min 59 s</b>"},
      {"{\"lease_until\":\"2027-01-15T08:01:00Z\"}", ">1 min</b>"},
      {"{\"fence_bound_s\":45.75}", "45.8 s"},
      {"{\"last_check\":\"2027-01-15T07:59:40Z\"}", ">20 s ago</time>"},
      {"{\"checks\":{\"ok\":1234567,\"outage\":3}}", "<b>1,234,567 ok</b><small>3 outage</small>"},
      {"{\"io\":{\"refused\":2},\"fences\":1,\"last_wipe_us\":250}",
       "1 fence, wiped in 250 \u00b5s"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++)
    assert_page (cases[i].answer, cases[i].part);
}

static void
a_fenced_volume_is_held_by_no_key (void **state)
{
  static const struct {
    const char *answer;
    bool held;
  } cases[] = {
      {"{\"state\":\"active\",\"key\":\"k\",\"held_by\":\"primary\"}", true},
      {"{\"state\":\"fenced\",\"key\":\"k\",\"held_by\":\"primary\"}", false},
      {"{\"state\":\"fenced\",\"key\":\"k\",\"held_by\":null}", false},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    CLEANUP_FREE char *page = shown (cases[i].answer, page_write);

    assert_int_equal (strstr (page, "held by") != NULL, cases[i].held);
  }
}

static void
answers_that_are_no_facts_are_refused (void **state)
{
  static const char *const bad[] = {
      "", "7", "[]", "{\"error\":\"no\"}", "{\"a\"", "{} x", "{\"a\":1,\"a\":2}", "\"{}\""};
  CLEANUP_FREE char *wide = malloc (100000);
  const char *why;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++) {
    why = NULL;
    assert_null (snapshot_parse (bad[i], &why));
    assert_non_null (why);
  }
  memset (wide, ',', 99999);
  wide[99999] = '\0';
  assert_null (snapshot_parse (wide, &why));
}

/* ---- words
 * ------------------------------------------------------------------------------------------
 */

static void
times_are_read_strictly (void **state)
{
  static const char *const bad[] = {"",
                                    "2027-01-15",
                                    "2027-01-15T08:00:00",
                                    "2027-01-15T08:00:00+01:00",
                                    "x",
                                    "2027-13-15T08:00:00Z",
                                    " 027-01-15T08:00:00Z",
                                    "2027-01-15T08:00:00Zx",
                                    "2027-01-15t08:00:00Z"};
  double at_s = 7;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    assert_int_equal (moment_parse (bad[i], &at_s), -1);
  assert_int_equal (moment_parse (NULL, &at_s), -1);
  assert_true (at_s == 7);
  assert_int_equal (moment_parse ("2027-01-15T08:00:00Z", &at_s), 0);
  assert_true (at_s == NOW_S);
  assert_int_equal (moment_parse ("2027-01-15T08:00:00.25Z", &at_s), 0);
  assert_true (at_s == NOW_S + 0.25);
}

static void
durations_have_two_units_at_most (void **state)
{
  static const struct {
    double seconds;
    const char *words;
  } cases[] = {{0, "0 ms"},
               {-5, "0 ms"},
               {0.00025, "250 \u00b5s"},
               {0.012, "12 ms"},
               {0.9999, "0.9 s"},
               {1, "1 s"},
               {4.56, "4.5 s"},
               {9.94, "9.9 s"},
               {9.96, "9 s"},
               {59.9, "59 s"},
               {60, "1 min"},
               {3599, "59 min 59 s"},
               {3600, "1 h"},
               {3660, "1 h 1 min"},
               {90000, "1 d 1 h"},
               {86400 * 99, "99 d"},
               {86400 * 400.5, "400 d"},
               {1e300, "2932896 d"}};
  char words[DURATION_MAX];

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    duration_words (cases[i].seconds, words);
    assert_string_equal (words, cases[i].words);
  }
}

/* ---- the time line
 * ----------------------------------------------------------------------------------
 */

static void
make_timeline (const char *answer, struct timeline *ret)
{
  CLEANUP_JSON struct json *facts = json_parse (answer, strlen (answer));

  assert_non_null (facts);
  timeline_make (facts, NOW_S, ret);
}

static void
the_time_line_covers_its_window_without_gaps (void **state)
{
  static const char *const answers[] = {
      "{}",
      "{\"state\":\"active\",\"since\":\"2027-01-15T07:00:00Z\"}",
      "{\"state\":\"active\",\"since\":\"2030-01-15T07:00:00Z\"}",
      "{\"transitions\":[{\"time\":\"2001-01-15T07:00:00Z\",\"state\":\"active\"}]}",
      ("{\"transitions\":[{\"time\":\"2027-01-15T07:58:00Z\",\"from\":\"active\",\"state\":"
       "\"fenced\"},"
       "{\"time\":\"2027-01-15T07:59:00Z\",\"state\":\"active\"},"
       "{\"time\":\"2031-01-15T07:59:00Z\",\"state\":\"grace\"}]}"),
      ("{\"transitions\":[{\"time\":\"2027-01-15T07:59:00Z\",\"state\":\"active\"},"
       "{\"time\":\"2027-01-15T07:58:00Z\",\"state\":\"fenced\"}]}")};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (answers); i++) {
    struct timeline timeline;
    double at_s;

    make_timeline (answers[i], &timeline);
    at_s = timeline.from_s;
    assert_true (timeline.count > 0);
    for (size_t j = 0; j < timeline.count; j++) {
      assert_true (timeline.spans[j].from_s == at_s);
      assert_true (timeline.spans[j].until_s >= at_s);
      at_s = timeline.spans[j].until_s;
    }
    assert_true (at_s == NOW_S);
  }
}

static void
the_time_line_adds_up (void **state)
{
  struct timeline timeline;

  (void)state;
  make_timeline ("{\"transitions\":["
                 "{\"time\":\"2027-01-15T07:20:00Z\",\"from\":\"starting\",\"state\":\"active\"},"
                 "{\"time\":\"2027-01-15T07:30:00Z\",\"from\":\"active\",\"state\":\"fenced\"},"
                 "{\"time\":\"2027-01-15T07:31:00Z\",\"from\":\"fenced\",\"state\":\"active\"}]}",
                 &timeline);
  assert_true (timeline.from_s == NOW_S - 3600);
  assert_true (timeline.seconds[CONDITION_UNKNOWN] == 1200);
  assert_true (timeline.seconds[CONDITION_FENCED] == 60);
  assert_true (timeline.seconds[CONDITION_ACTIVE] == 600 + 1740);
}

/* A fence shorter than the clock's unit, in a window of days, is seen all the same. */
static void
the_shortest_fence_is_drawn (void **state)
{
  (void)state;
  assert_page ("{\"transitions\":["
               "{\"time\":\"2027-01-10T07:20:00Z\",\"from\":\"starting\",\"state\":\"active\"},"
               "{\"time\":\"2027-01-12T07:30:00Z\",\"from\":\"active\",\"state\":\"fenced\"},"
               "{\"time\":\"2027-01-12T07:30:00Z\",\"from\":\"fenced\",\"state\":\"active\"}]}",
               "<rect class=\"s-fenced\" x=\"622.40\" y=\"0\" width=\"6.00\" height=\"40\">");
}

static void
many_transitions_are_no_trouble (void **state)
{
  struct text text = {0};
  CLEANUP_FREE char *answer = NULL;
  size_t size;

  (void)state;
  text_put (&text, "{\"transitions\":[{}");
  for (int i = 0; i < 500; i++)
    text_format (&text,
                 ",{\"time\":\"2027-01-15T07:%02d:%02dZ\",\"from\":\"active\",\"state\":\"%s\"}",
                 i / 60, i % 60, i % 2 ? "fenced" : "active");
  text_put (&text, "]}");
  answer = text_take (&text, &size);
  assert_page (answer, "and 489 before these");
}

/* ---- who may ask
 * ------------------------------------------------------------------------------------
 */

static unsigned
ask_route (const char *method, const char *host, const char *path)
{
  struct router *router = router_new ("/nonexistent", "a.example,B.example");
  struct route_answer answer = {0};

  assert_non_null (router);
  assert_int_equal (route (router, method, host, path, &answer), 0);
  free (answer.body);
  router_free (router);
  return answer.status;
}

static void
only_known_names_are_answered (void **state)
{
  static const char *const good[] = {"localhost",   "LOCALHOST:10819", "127.0.0.1", "192.0.2.7:80",
                                     "[::1]:10819", "[::1]",           "a.example", "b.example.:1"};
  static const char *const bad[] = {
      "",   "evil.example", "a.example.evil.example", "127.0.0.1.evil.example", ":",
      "[]", "example",      "a.example,B.example",    "localhost.evil",         "."};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (good); i++)
    assert_int_equal (ask_route ("GET", good[i], "/metrics"), 200);
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    assert_int_equal (ask_route ("GET", bad[i], "/metrics"), 421);
  assert_int_equal (ask_route ("GET", NULL, "/metrics"), 400);
}

static void
only_reading_is_possible (void **state)
{
  static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", ""};

  (void)state;
  assert_int_equal (ask_route ("HEAD", "localhost", "/"), 200);
  for (size_t i = 0; i < ARRAY_SIZE (methods); i++)
    assert_int_equal (ask_route (methods[i], "localhost", "/"), 405);
}

static void
what_is_not_there_is_404 (void **state)
{
  static const char *const there[] = {"/", "/metrics", "/page.css", "/app.js", "/icon-fenced.svg"};
  static const char *const not [] = {"",         "/metrics/", "//", "/icon-x.svg", "/../etc/passwd",
                                     "/page.CSS"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (there); i++)
    assert_int_equal (ask_route ("GET", "localhost", there[i]), 200);
  for (size_t i = 0; i < ARRAY_SIZE (not ); i++)
    assert_int_equal (ask_route ("GET", "localhost", not [i]), 404);
}

int
main (void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test (the_checkers_find_faults),
      cmocka_unit_test (what_a_server_tells_becomes_metrics),
      cmocka_unit_test (what_makes_no_sense_is_left_out),
      cmocka_unit_test (hostile_strings_stay_strings),
      cmocka_unit_test (long_strings_are_cut),
      cmocka_unit_test (the_page_shows_what_there_is),
      cmocka_unit_test (a_fenced_volume_is_held_by_no_key),
      cmocka_unit_test (answers_that_are_no_facts_are_refused),
      cmocka_unit_test (times_are_read_strictly),
      cmocka_unit_test (durations_have_two_units_at_most),
      cmocka_unit_test (the_time_line_covers_its_window_without_gaps),
      cmocka_unit_test (the_time_line_adds_up),
      cmocka_unit_test (the_shortest_fence_is_drawn),
      cmocka_unit_test (many_transitions_are_no_trouble),
      cmocka_unit_test (only_known_names_are_answered),
      cmocka_unit_test (only_reading_is_possible),
      cmocka_unit_test (what_is_not_there_is_404),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
