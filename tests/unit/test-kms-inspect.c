/* What is said about file keys: their names, the texts for people, the lines of their report. */
#include "tests/unit/key-file.h"

#include <sys/vfs.h>

#include "kms/client.h"
#include "kms/file-uri.h"

/* ---- names ---- */

static void
file_uris_stand_for_absolute_paths_only (void **state)
{
  static const struct {
    const char *uri, *path;
  } cases[] = {
      {"file:///etc/kek", "/etc/kek"},
      {"FILE:///etc/kek", "/etc/kek"},
      {"file://localhost/etc/kek", "/etc/kek"},
      {"file://LocalHost/etc/kek", "/etc/kek"},
      {"file:///a%20b/%C3%a9%25%3f%23", "/a b/\xc3\xa9%?#"},
      {"file:///a b/\xc3\xa9", "/a b/\xc3\xa9"},
      {"file:///../x", "/../x"},
      {"file://etc/kek", NULL},
      {"file://host/etc/kek", NULL},
      {"file://localhost.example/kek", NULL},
      {"file:/etc/kek", NULL},
      {"file:etc/kek", NULL},
      {"file://", NULL},
      {"/etc/kek", NULL},
      {"", NULL},
      {"https://vault/keys/a", NULL},
      {"file:///a%00b", NULL},
      {"file:///a%0ab", NULL},
      {"file:///a\nb", NULL},
      {"file:///a\xff", NULL},
      {"file:///a%", NULL},
      {"file:///a%4", NULL},
      {"file:///a%4g", NULL},
      {"file:///a%-1", NULL},
      {"file:///a?b", NULL},
      {"file:///a#b", NULL},
  };
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    char path[WRAP_KEY_MAX] = "untouched";
    int r = file_uri_path (cases[i].uri, path);

    if ((r == 0) != (cases[i].path != NULL))
      fail_msg ("%s gave %d", cases[i].uri, r);
    assert_string_equal (path, cases[i].path ? cases[i].path : "untouched");
  }
}

static void
a_name_of_no_key_service_is_a_mistake_of_the_caller (void **state)
{
  struct fixture *f = *state;
  char key[WRAP_KEY_MAX + 10] = "file:///";

  f->request.key = "ftp://example/kek";
  assert_int_equal (operation_check (&f->request, &f->wrap, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_CONFIG, "bad_key_name");
  assert_non_null (strstr (f->outcome.text, "file:///"));
  for (size_t i = strlen (key); i + 1 < sizeof key; i++)
    key[i] = 'a';
  f->request.key = key;
  assert_int_equal (operation_check (&f->request, &f->wrap, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_CONFIG, "bad_key_name");
}

static void
a_path_in_a_command_is_quoted_or_left_out (void **state)
{
  char word[16];

  (void)state;
  file_path_quote ("/etc/kek-1.x", word, sizeof word);
  assert_string_equal (word, "/etc/kek-1.x");
  file_path_quote ("/a b;$(x)", word, sizeof word);
  assert_string_equal (word, "'/a b;$(x)'");
  file_path_quote ("/it's", word, sizeof word);
  assert_string_equal (word, "PATH");
  file_path_quote ("/longer/than/the/room", word, sizeof word);
  assert_string_equal (word, "PATH");
}

static void
texts_never_hold_control_characters_or_broken_utf8 (void **state)
{
  static const char *const good[] = {"", "a b", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91"};
  static const struct {
    const char *bad, *good;
  } cases[] = {{"a\nb\x1b[1m\x7f", "a?b?[1m?"},
               {"\xc3", "?"},
               {"\xc0\x80", "??"},
               {"\xed\xa0\x80", "???"},
               {"\xf5x", "?x"},
               {"\xe2\x82", "??"},
               {"\xc2\x9b", "??"},
               {"\xe0\x80\x80", "???"}};
  char text[32];

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (good); i++) {
    snprintf (text, sizeof text, "%s", good[i]);
    assert_true (kms_text_clean (text));
    assert_string_equal (text, good[i]);
  }
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    snprintf (text, sizeof text, "%s", cases[i].bad);
    assert_false (kms_text_clean (text));
    assert_string_equal (text, cases[i].good);
  }
}

/* ---- inspection ---- */

static const struct kms_report_line *
find_line (const struct kms_report *report, const char *name)
{
  for (size_t i = 0; i < report->count; i++)
    if (strcmp (report->lines[i].name, name) == 0)
      return &report->lines[i];
  fail_msg ("the report has no line \"%s\"", name);
  return NULL;
}

static size_t
count_failed (const struct kms_report *report)
{
  size_t failed = 0;

  for (size_t i = 0; i < report->count; i++)
    if (report->lines[i].verdict == KMS_FAIL) {
      assert_true (report->lines[i].detail[0] != '\0');
      failed++;
    }
  return failed;
}

static struct kms_report
inspect (struct fixture *f)
{
  struct kms_report report;

  assert_int_equal (operation_inspect (&f->request, NULL, &report, &f->outcome), 0);
  return report;
}

static void
a_good_key_passes_every_line_of_its_report (void **state)
{
  static const char *const names[] = {
      "exists", "regular file", "mode", "owner", "size", "not a weak value", "wraps and unwraps"};
  struct kms_report report = inspect (*state);

  assert_int_equal (report.count, ARRAY_SIZE (names) + 1);
  for (size_t i = 0; i < ARRAY_SIZE (names); i++)
    assert_int_equal (find_line (&report, names[i])->verdict, KMS_PASS);
  assert_int_not_equal (find_line (&report, "file system")->verdict, KMS_FAIL);
}

static void
each_defect_of_a_key_fails_its_own_line_and_says_how_to_mend_it (void **state)
{
  struct fixture *f = *state;
  struct kms_report report;

  chmod (f->path, 0644);
  report = inspect (f);
  assert_int_equal (count_failed (&report), 1);
  assert_int_equal (find_line (&report, "mode")->verdict, KMS_FAIL);
  assert_non_null (strstr (find_line (&report, "mode")->mend, "chmod 600 /tmp/"));
  write_key (f->path, 0, 1, 31);
  report = inspect (f);
  assert_int_equal (count_failed (&report), 1);
  assert_int_equal (find_line (&report, "size")->verdict, KMS_FAIL);
  write_key (f->path, 0xee, 0, 32);
  report = inspect (f);
  assert_int_equal (count_failed (&report), 1);
  assert_int_equal (find_line (&report, "not a weak value")->verdict, KMS_FAIL);
  unlink (f->path);
  report = inspect (f);
  assert_int_equal (report.count, 1);
  assert_int_equal (find_line (&report, "exists")->verdict, KMS_FAIL);
  assert_non_null (strstr (report.lines[0].mend, "(umask 077; head -c 32 /dev/urandom > /tmp/"));
  assert_int_equal (mkdir (f->path, 0700), 0);
  report = inspect (f);
  assert_int_equal (find_line (&report, "regular file")->verdict, KMS_FAIL);
}

static void
a_key_in_memory_is_warned_about (void **state)
{
  struct fixture *f = *state;
  struct kms_report report;
  struct statfs fs;
  char dir[] = "/dev/shm/keyfence-test-XXXXXX", path[64], uri[96];

  if (statfs ("/dev/shm", &fs) < 0 || fs.f_type != 0x01021994 || !mkdtemp (dir)) {
    print_message ("skipped: /dev/shm is no tmpfs that we can write to\n");
    skip ();
  }
  snprintf (path, sizeof path, "%s/kek", dir);
  snprintf (uri, sizeof uri, "file://%s", path);
  write_key (path, 7, 3, 32);
  f->request.key = uri;
  report = inspect (f);
  unlink (path);
  rmdir (dir);
  assert_int_equal (count_failed (&report), 0);
  assert_int_equal (find_line (&report, "file system")->verdict, KMS_WARN);
}

static void
a_full_report_takes_no_more_lines (void **state)
{
  static struct kms_report report;

  (void)state;
  for (int i = 0; i < KMS_REPORT_MAX + 5; i++)
    kms_report_add (&report, KMS_WARN, "line", NULL, "%d", i);
  assert_int_equal (report.count, KMS_REPORT_MAX);
  assert_string_equal (report.lines[KMS_REPORT_MAX - 1].detail, "23");
}

static void
a_report_on_a_wrap_says_whether_its_probe_opens (void **state)
{
  struct fixture *f = *state;
  CLEANUP_SECRET struct secret key = {0};
  struct kms_report report;
  const struct kms_report_line *line;

  assert_int_equal (operation_generate (&f->request, &key, &f->wrap, &f->outcome), 0);
  f->request.run_only = true;
  assert_int_equal (operation_inspect (&f->request, &f->wrap, &report, &f->outcome), 0);
  line = find_line (&report, KMS_RIGHT_TO_UNWRAP);
  assert_int_equal (line->verdict, KMS_PASS);
  assert_non_null (strstr (line->detail, f->request.volume));
  f->wrap.probe.bytes[0] ^= 1;
  assert_int_equal (operation_inspect (&f->request, &f->wrap, &report, &f->outcome), 0);
  line = find_line (&report, KMS_RIGHT_TO_UNWRAP);
  assert_int_equal (line->verdict, KMS_FAIL);
  assert_false (line->denied);
  assert_non_null (strstr (line->mend, "backup of the header"));
}

static void
a_line_from_an_outcome_has_its_advice_and_its_request_id (void **state)
{
  struct kms_outcome outcome = {.request_id = "1-2-3"};
  struct kms_report report = {0};
  char tail[sizeof outcome.text];

  (void)state;
  memset (tail, 'x', sizeof tail - 1);
  tail[sizeof tail - 1] = '\0';
  kms_outcome_set (&outcome, KMS_DENIED, "r", "it said; so; do this");
  kms_report_add_outcome (&report, KMS_FAIL, "a", NULL, &outcome);
  kms_report_add_outcome (&report, KMS_WARN, "b", "do that", &outcome);
  kms_outcome_set (&outcome, KMS_DENIED, "r", "some words before %s", tail);
  kms_report_add_outcome (&report, KMS_FAIL, "c", NULL, &outcome);
  assert_string_equal (report.lines[0].detail, "it said; so");
  assert_string_equal (report.lines[0].mend, "do this");
  assert_string_equal (report.lines[0].request_id, "1-2-3");
  assert_true (report.lines[0].denied);
  assert_string_equal (report.lines[1].mend, "do that");
  assert_false (report.lines[1].denied);
  assert_string_equal (report.lines[2].detail + strlen (report.lines[2].detail) - 4, "x...");
}

static void
an_error_ends_with_the_request_id_of_the_service (void **state)
{
  struct kms_outcome outcome = {.request_id = "1-2-3"};
  struct error err = {0};

  (void)state;
  assert_int_equal (kms_outcome_set (&outcome, KMS_DENIED, "reason", "the text; what to do"), -1);
  assert_int_equal (kms_outcome_error (&outcome, &err), -1);
  assert_string_equal (err.text, "the text; what to do (request id 1-2-3)");
}

static void
a_key_that_was_never_there_is_no_denial (void **state)
{
  struct kms_outcome outcome = {0};
  struct error err = {0};

  (void)state;
  assert_int_equal (kms_outcome_set (&outcome, KMS_DENIED, "not_found", "no such key"), -1);
  assert_int_equal (kms_outcome_error (&outcome, &err), -1);
  assert_int_equal (err.class, ERROR_DENIED);
  kms_outcome_of_first_use (&outcome);
  assert_int_equal (outcome.class, KMS_CONFIG);
  assert_int_equal (kms_outcome_error (&outcome, &err), -1);
  assert_int_equal (err.class, ERROR_NOT_FOUND);
  assert_int_equal (kms_outcome_set (&outcome, KMS_DENIED, "key_disabled", "disabled"), -1);
  kms_outcome_of_first_use (&outcome);
  assert_int_equal (outcome.class, KMS_DENIED);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (file_uris_stand_for_absolute_paths_only),
      TEST (a_name_of_no_key_service_is_a_mistake_of_the_caller),
      TEST (a_path_in_a_command_is_quoted_or_left_out),
      TEST (texts_never_hold_control_characters_or_broken_utf8),
      TEST (a_good_key_passes_every_line_of_its_report),
      TEST (each_defect_of_a_key_fails_its_own_line_and_says_how_to_mend_it),
      TEST (a_key_in_memory_is_warned_about),
      TEST (a_full_report_takes_no_more_lines),
      TEST (a_report_on_a_wrap_says_whether_its_probe_opens),
      TEST (a_line_from_an_outcome_has_its_advice_and_its_request_id),
      TEST (an_error_ends_with_the_request_id_of_the_service),
      TEST (a_key_that_was_never_there_is_no_denial),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
