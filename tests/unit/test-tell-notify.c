/* What is posted to whom, by the real agent's program to a service that is played, and what becomes
 * of the URL, which may be as good as a password.
 */
#include "tests/unit/tell-rig.h"

#include <dirent.h>

#include "tests/unit/http-server.h"

#define TEST(name) cmocka_unit_test_setup_teardown (name, notify_setup, rig_teardown)
#define STOP_MS 2500
#define TOKEN "planted-token"

static const struct canned table[] = {
    {"/hook/" TOKEN, "HTTP/1.1 204 No Content\r\n\r\n", 0},
    {"/moved/" TOKEN,
     "HTTP/1.1 302 Found\r\nLocation: /hook/" TOKEN "\r\nContent-Length: 0\r\n\r\n", 0},
    {"/fails/" TOKEN,
     "HTTP/1.1 500 Oops\r\nContent-Length: 6\r\n\r\n"
     "planted",
     0},
    {"/hang/" TOKEN, NULL, 0},
    {NULL, NULL, 0},
};

static char url[256];

static int
notify_setup (void **state)
{
  if (rig_setup (state) < 0)
    return -1;
  pthread_mutex_lock (&server.lock);
  server.request[0] = '\0';
  pthread_mutex_unlock (&server.lock);
  rig_params.notify_url = url;
  return 0;
}

static void
notify_at (const char *path)
{
  snprintf (url, sizeof url, "http://127.0.0.1:%u/%s/" TOKEN, server.port, path);
}

static bool
was_asked (const char *what)
{
  LOCK_FOR_SCOPE (&server.lock);

  return strstr (server.request, what) != NULL;
}

/* The last result in the audit log, once there are `count`. */
static void
assert_result (unsigned count, const char *status, const char *detail)
{
  CLEANUP_RECORDS struct rig_records *records = NULL;
  const struct json *result = NULL;
  char to[64];

  WAIT_UNTIL (rig_event_count ("notify") >= count);
  records = rig_read_records ();
  rig_events (records, "notify", &result);
  assert_string_equal (json_get_string (result, "status"), status);
  if (!strstr (json_get_string (result, "detail"), detail))
    fail_msg ("detail: %s", json_get_string (result, "detail"));
  snprintf (to, sizeof to, "http://127.0.0.1:%u", server.port);
  assert_string_equal (json_get_string (result, "to"), to);
}

/* ---- what is posted ---- */

static void
a_state_change_is_posted_as_the_audit_log_has_it (void **state)
{
  CLEANUP_FREE char *line = NULL;

  (void)state;
  notify_at ("hook");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  assert_result (1, "ok", "");
  assert_true (was_asked ("POST /hook/" TOKEN " HTTP/1.1\r\n"));
  assert_true (was_asked ("Content-Type: application/json\r\n"));
  line = strndup (rig_read (rig_audit), strcspn (rig_read (rig_audit), "\n"));
  assert_non_null (strstr (line, "\"state\":\"fenced\""));
  assert_true (was_asked (line));
}

static void
another_status_than_2xx_is_a_failure_and_is_tried_three_times (void **state)
{
  unsigned before = (unsigned)atomic_load (&server.connections);

  (void)state;
  notify_at ("fails");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  assert_result (1, "failed", "HTTP 500");
  assert_int_equal (atomic_load (&server.connections) - before, 3);
  WAIT_UNTIL (rig_log_count ("in 3 tries (failed): HTTP 500") == 1);
}

static void
a_redirect_is_not_followed (void **state)
{
  (void)state;
  notify_at ("moved");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  WAIT_UNTIL (was_asked ("POST /moved/"));
  rig_tell ("fenced", "active", "ok");
  assert_result (1, "superseded", "HTTP 302");
  assert_false (was_asked ("/hook/"));
}

static void
nobody_there_is_said_so (void **state)
{
  (void)state;
  snprintf (url, sizeof url, "http://127.0.0.1:1/%s", TOKEN);
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  usleep (300000);
  rig_stop ();
  assert_non_null (strstr (rig_read (rig_audit), "\"detail\":\"connect: "));
  assert_null (strstr (rig_read (rig_audit), TOKEN));
}

static void
a_service_that_does_not_answer_is_given_up_after_ten_seconds (void **state)
{
  uint64_t start_ms = __real_clock_ms (), took_ms;

  (void)state;
  notify_at ("hang");
  rig_start ();
  rig_tell ("active", "grace", "timeout");
  WAIT_UNTIL (was_asked ("POST /hang/"));
  rig_tell ("grace", "fenced", "timeout");
  assert_result (1, "superseded", "timeout: ");
  took_ms = __real_clock_ms () - start_ms;
  assert_true (took_ms >= 9000 && took_ms < 30000);
  assert_true (rig_stop () < STOP_MS); /* with the second one under way */
}

static void
a_child_that_hangs_is_killed (void **state)
{
  char agent[128];

  (void)state;
  notify_at ("hook");
  rig_write ("agent", "#!/bin/sh\n[ -e ${0}-ran ] && exit 0\ntouch ${0}-ran\nsleep 1000\n", 0700);
  snprintf (agent, sizeof agent, "%s/agent", rig_dir);
  rig_params.agent = agent;
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  WAIT_UNTIL (access (rig_path ("agent-ran"), F_OK) == 0);
  atomic_fetch_add (&rig_forward_ms, 15000);
  assert_result (1, "ok", "");
}

/* ---- the URL is a secret ---- */

/* Whether the command line or environment of a child of ours shows it. */
static bool
token_is_seen_in_processes (void)
{
  CLEANUP_CLOSEDIR DIR *dir = opendir ("/proc");
  static const char *const files[] = {"cmdline", "environ"};

  assert_non_null (dir);
  for (struct dirent *entry = readdir (dir); entry; entry = readdir (dir)) {
    for (size_t i = 0; i < ARRAY_SIZE (files); i++) {
      CLEANUP_FREE char *text = NULL;
      char path[300];
      size_t size;

      snprintf (path, sizeof path, "/proc/%s/%s", entry->d_name, files[i]);
      if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9'
          && read_file (path, 1 << 20, &text, &size) == 0
          && memmem (text, size, TOKEN, strlen (TOKEN)))
        return true;
    }
  }
  return false;
}

static void
the_token_in_the_url_is_in_no_log_and_no_list_of_processes (void **state)
{
  (void)state;
  notify_at ("hang");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  WAIT_UNTIL (was_asked ("POST /hang/" TOKEN));
  assert_false (token_is_seen_in_processes ());
  rig_stop ();
  assert_null (strstr (rig_read (rig_audit), TOKEN));
  assert_non_null (strstr (rig_read (rig_audit), "\"event\":\"notify\""));
  assert_int_equal (rig_log_count (TOKEN), 0);
  assert_int_equal (rig_log_count ("notify http://127.0.0.1:"), 1);
}

static void
the_url_may_be_in_a_file (void **state)
{
  char from[128];

  (void)state;
  notify_at ("hook");
  rig_write ("url", url, 0600);
  snprintf (from, sizeof from, "+%s/url", rig_dir);
  rig_params.notify_url = from;
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  assert_result (1, "ok", "");
  assert_true (was_asked ("POST /hook/" TOKEN));
}

static void
what_is_no_such_url_is_refused_without_being_repeated (void **state)
{
  static const struct {
    const char *url, *why;
  } cases[] = {
      {"ftp://h/" TOKEN, "must begin with https://"},
      {"https:///" TOKEN, "must be a host"},
      {"https://u:p@h/" TOKEN, "no user name or password"},
      {"https://h/a b" TOKEN, "not ASCII"},
      {"https://h/a\n" TOKEN, "not ASCII"},
      {"https://h/\xc3\xa4" TOKEN, "not ASCII"},
      {"http://example.com/" TOKEN, "for this machine only"},
      {"http://127.0.0.1.example.com/" TOKEN, "for this machine only"},
      {"http://0.0.0.0/" TOKEN, "for this machine only"},
      {"http://localhost.example.com/" TOKEN, "for this machine only"},
      {"http://[::2]/" TOKEN, "for this machine only"},
      {"", "empty"},
      {"+url", "must be absolute"},
      {"+/nonexistent/url", "/nonexistent/url: No such file"},
  };
  struct error err;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    rig_params.notify_url = cases[i].url;
    rig_expect_refusal (cases[i].why);
    assert_int_equal (tell_start (&rig_params, &rig_teller, &err), -1);
    assert_null (strstr (err.text, TOKEN));
  }
  rig_params.notify_url = "https://hooks.example.com:8443/" TOKEN;
  rig_params.agent = NULL;
  rig_expect_refusal ("there is no agent's program");
}

static void
loopback_addresses_are_taken_without_tls (void **state)
{
  static const char *const urls[] = {"http://127.9.9.9:1/", "http://localhost?x", "http://[::1]:8/",
                                     "https://hooks.example.com", "https://[2001:db8::1]:8443/#x"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (urls); i++) {
    rig_params.notify_url = urls[i];
    rig_start ();
    rig_stop ();
  }
}

/* ---- the agent by itself: the second lock on the same door ---- */

static void
assert_agent_refuses (const char *input, const char *said)
{
  char command[512];

  rig_write ("input", input, 0600);
  snprintf (command, sizeof command, "%s --notify <%s >%s 2>&1", TEST_AGENT, rig_path ("input"),
            rig_path ("output"));
  assert_int_equal (WEXITSTATUS (system (command)), 1); /* lint: a test's command */
  assert_string_equal (rig_read (rig_path ("output")), said);
}

static void
the_agent_posts_to_no_plain_address_but_this_machine (void **state)
{
  (void)state;
  assert_agent_refuses ("http://192.0.2.1/" TOKEN "\n{}",
                        "refused: neither https, nor http to a loopback address\n");
  assert_agent_refuses ("file:///etc/passwd\n{}",
                        "refused: neither https, nor http to a loopback address\n");
  assert_agent_refuses ("http://127.0.0.1/", "input: there is no URL\n");
  assert_agent_refuses ("", "input: there is no URL\n");
}

static int
start_server (void **state)
{
  (void)state;
  return server_start (table);
}

static int
stop_server (void **state)
{
  (void)state;
  server_stop ();
  return 0;
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (a_state_change_is_posted_as_the_audit_log_has_it),
      TEST (another_status_than_2xx_is_a_failure_and_is_tried_three_times),
      TEST (a_redirect_is_not_followed),
      TEST (nobody_there_is_said_so),
      TEST (a_service_that_does_not_answer_is_given_up_after_ten_seconds),
      TEST (a_child_that_hangs_is_killed),
      TEST (the_token_in_the_url_is_in_no_log_and_no_list_of_processes),
      TEST (the_url_may_be_in_a_file),
      TEST (what_is_no_such_url_is_refused_without_being_repeated),
      TEST (loopback_addresses_are_taken_without_tls),
      TEST (the_agent_posts_to_no_plain_address_but_this_machine),
  };

  return cmocka_run_group_tests (tests, start_server, stop_server);
}
