/* Programs that are run for their output: words, time-outs, and what they leave. */
#include "tests/unit/aws-test.h"

#include <signal.h>
#include <sys/wait.h>

#include "common/io.h"
#include "kms/command.h"
#include "kms/secret-text.h"

static void
a_line_is_split_as_a_shell_splits_words (void **state)
{
  static const struct {
    const char *line;
    const char *words[5];
  } cases[] = {
      {"a b  c\td", {"a", "b", "c", "d"}},
      {"  /bin/x 'one word' \"and two\"", {"/bin/x", "one word", "and two"}},
      {"a\\ b \"q\\\"q\" 's\\n' \"x\\y\"", {"a b", "q\"q", "s\\n", "x\\y"}},
      {"a'b'\"c\" ''", {"abc", ""}},
      {"$HOME `id` ; | > *", {"$HOME", "`id`", ";", "|", ">"}},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    char buf[256], *words[COMMAND_WORDS_MAX + 1];

    assert_int_equal (command_split (cases[i].line, buf, sizeof buf, words), 0);
    for (size_t j = 0; j < 5 && cases[i].words[j]; j++)
      assert_string_equal (words[j], cases[i].words[j]);
  }
}

static void
a_line_that_is_none_is_refused (void **state)
{
  static const char *const bad[] = {"", "   ", "a 'b", "a \"b", "a \\"};
  char buf[4096], *words[COMMAND_WORDS_MAX + 1], many[4 * COMMAND_WORDS_MAX] = "";

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    if (command_split (bad[i], buf, sizeof buf, words) == 0)
      fail_msg ("taken: %s", bad[i]);
  for (size_t i = 0; i <= COMMAND_WORDS_MAX; i++)
    snprintf (many + 2 * i, sizeof many - 2 * i, "x ");
  assert_int_equal (command_split (many, buf, sizeof buf, words), -1);
  assert_int_equal (command_split ("a b c", buf, 4, words), -1);
}

static int
run (const char *script, uint32_t timeout_ms, struct secret *out, struct error *err)
{
  char *words[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)script,
                   NULL};

  return command_run (words, timeout_ms, out, err);
}

static void
what_it_prints_comes_back_and_nothing_else (void **state)
{
  CLEANUP_SECRET struct secret out = {0};
  struct error err = {0};

  (void)state;
  assert_int_equal (run ("cat; echo secret; echo noise >&2", 60000, &out, &err), 0);
  assert_string_equal (secret_get_text (&out), "secret\n");
}

static void
a_failure_is_told_from_an_answer (void **state)
{
  CLEANUP_SECRET struct secret out = {0};
  char missing[] = "/nonexistent/tool", *words[] = {missing, NULL};
  struct error err = {0};

  (void)state;
  assert_int_equal (run ("echo secret; exit 3", 60000, &out, &err), -1);
  assert_non_null (strstr (err.text, "status 3"));
  assert_int_equal (run ("kill -9 $$", 60000, &out, &err), -1);
  assert_non_null (strstr (err.text, "signal 9"));
  assert_int_equal (command_run (words, 60000, &out, &err), -1);
  assert_non_null (strstr (err.text, "/nonexistent/tool"));
  assert_int_equal (run ("head -c 70000 /dev/zero", 60000, &out, &err), -1);
  assert_non_null (strstr (err.text, "more than"));
  assert_null (out.bytes);
}

/* Gone, or a zombie that whoever inherited it has not reaped. */
static bool
is_over (int pid)
{
  char path[64], state = '?';
  FILE *f;

  snprintf (path, sizeof path, "/proc/%d/stat", pid);
  f = fopen (path, "r");
  if (!f)
    return true;
  if (fscanf (f, "%*d (%*[^)]) %c", &state) != 1)
    state = '?';
  fclose (f);
  return state == 'Z' || state == 'X';
}

static int
read_number (const char *path)
{
  FILE *f = fopen (path, "r");
  int n = 0;

  if (f && fscanf (f, "%d", &n) != 1)
    n = 0;
  if (f)
    fclose (f);
  return n;
}

static void
one_that_hangs_is_killed_with_its_children (void **state)
{
  CLEANUP_SECRET struct secret out = {0};
  struct error err = {0};
  char script[200], path[128];
  int pid;

  (void)state;
  snprintf (path, sizeof path, "%s/out", aws_home);
  snprintf (script, sizeof script, "sleep 1000 & echo $! >%s; wait", path);
  assert_int_equal (run (script, 500, &out, &err), -1);
  assert_int_equal (err.class, ERROR_UNAVAILABLE);
  pid = read_number (path); /* 0: a slow machine has not come that far */
  for (int i = 0; pid && i < 3000 && !is_over (pid); i++)
    usleep (10000);
  assert_true (pid == 0 || is_over (pid));
}

static void
statuses_come_also_where_children_are_not_waited_for (void **state)
{
  CLEANUP_SECRET struct secret out = {0};
  struct sigaction now;
  struct error err = {0};

  (void)state;
  signal (SIGCHLD, SIG_IGN);
  assert_int_equal (run ("exit 5", 60000, &out, &err), -1);
  assert_non_null (strstr (err.text, "status 5"));
  sigaction (SIGCHLD, NULL, &now);
  assert_true (now.sa_handler == SIG_IGN);
  assert_int_equal (waitpid (-1, NULL, WNOHANG), -1);
  signal (SIGCHLD, SIG_DFL);
}

#define AT_HOME(name) cmocka_unit_test_setup_teardown (name, make_home, drop_home)

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_line_is_split_as_a_shell_splits_words),
      cmocka_unit_test (a_line_that_is_none_is_refused),
      cmocka_unit_test (what_it_prints_comes_back_and_nothing_else),
      cmocka_unit_test (a_failure_is_told_from_an_answer),
      AT_HOME (one_that_hangs_is_killed_with_its_children),
      cmocka_unit_test (statuses_come_also_where_children_are_not_waited_for),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
