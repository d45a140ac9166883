/* What the manual lists of the audit log's records is what they have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/io.h"
#include "common/json.h"
#include "nbd-plugin/log.h"
#include "nbd-plugin/tell/record.h"

/* Nothing here says anything. */
void
log_error (const char *fmt, ...)
{
  (void)fmt;
}

void
log_notice (const char *fmt, ...)
{
  (void)fmt;
}

/* The part of the plugin's man page between two lines, with the newlines around it. */
static char *
manual_part (const char *from, const char *until)
{
  CLEANUP_FREE char *text = NULL;
  const char *start, *end;

  assert_int_equal (
      read_file (TEST_DATA "/../../docs/nbdkit-keyfence-plugin.pod", 1 << 20, &text, NULL), 0);
  start = strstr (text, from);
  assert_non_null (start);
  end = strstr (start, until);
  assert_non_null (end);
  return strndup (start, (size_t)(end - start));
}

/* Every member of `record` must be an item of the manual; returns how many are new in `seen`. */
static unsigned
compare_members (struct record *record, const char *manual, struct json *seen)
{
  const struct about about = {(char[]){"v"}, (char[]){"l"}, (char[]){"p"}};
  CLEANUP_FREE char *text = record_print (record, &about);
  CLEANUP_JSON struct json *json = json_parse (text, strlen (text));
  unsigned count = 0;

  for (size_t i = 0; i < json_size (json); i++) {
    const char *name = json_name (json_at (json, i));
    char item[64];

    snprintf (item, sizeof item, "\n=item B<%s>\n", name);
    if (!strstr (manual, item))
      fail_msg ("the manual's part on the audit log lacks %s", name);
    if (!json_get (seen, name)) {
      json_set_bool (seen, name, true);
      count++;
    }
  }
  record_unref (record);
  return count;
}

static void
the_manual_lists_all_members_of_records_and_no_other (void **state)
{
  const struct tell_change change = {0};
  const struct tell_operation operation = {0};
  const struct tell_event event = {0};
  const struct record_result result = {.event = "hook"};
  CLEANUP_FREE char *manual = manual_part ("\n=head2 Audit log\n", "\n=head2 Hook\n");
  CLEANUP_JSON struct json *seen = json_object_new ();
  unsigned members = 0, items = 0;

  (void)state;
  members += compare_members (record_of_change (&change), manual, seen);
  members += compare_members (record_of_operation (&operation), manual, seen);
  members += compare_members (record_of_event (&event), manual, seen);
  members += compare_members (record_of_result (&result), manual, seen);
  members += compare_members (record_of_dropped ("hook", 1), manual, seen);
  for (const char *p = manual; (p = strstr (p, "\n=item B<")) != NULL; p++)
    items++;
  assert_int_equal (items, members);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (the_manual_lists_all_members_of_records_and_no_other),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
