/* Messages are found in QMP's stream wherever it is cut, what can't become one is refused at once,
 * and the places of disks are read as they are written, by people and by QEMU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/checked.h"
#include "tools/machines/disk.h"
#include "tools/machines/qmp.h"

/* ---- messages ---- */

static void
a_message_is_found_wherever_the_stream_is_cut (void **state)
{
  static const char stream[] = " \r\n{\"a\": \"} ] \\\" { \\\\\", \"b\": [{}, {\"c\": []}]}\r\n{}";
  const ssize_t length = strstr (stream, "]}\r") + 2 - stream;

  (void)state;
  for (size_t cut = 0; cut <= sizeof stream - 1; cut++) {
    struct qmp_scanner scanner = {0};
    ssize_t found = qmp_scan (&scanner, stream, cut);

    if (found == 0)
      found = qmp_scan (&scanner, stream, sizeof stream - 1);
    assert_int_equal (found, length);
  }
}

static void
what_is_no_object_is_refused_at_its_first_byte (void **state)
{
  static const char *const texts[] = {"x", "[1]", "\"a\"", "  }", "\n]", "7", "\x80"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (texts); i++) {
    struct qmp_scanner scanner = {0};

    assert_int_equal (qmp_scan (&scanner, texts[i], strlen (texts[i])), -1);
  }
}

static void
half_a_message_is_none (void **state)
{
  static const char *const texts[] = {"", " ", "{", "{\"a", "{\"}", "{\"\\\"}", "{[}", "{{{{}}}"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (texts); i++) {
    struct qmp_scanner scanner = {0};

    assert_int_equal (qmp_scan (&scanner, texts[i], strlen (texts[i])), 0);
  }
}

/* ---- places ---- */

static void
places_are_read_as_they_are_written (void **state)
{
  static const struct {
    const char *text, *socket, *host, *port;
  } cases[] = {
      {"/run/keyfence/a b%41.nbd", "/run/keyfence/a b%41.nbd", "", ""},
      {"nbd+unix:///?socket=/run/a%20b%41", "/run/a bA", "", ""},
      {"nbd+unix:///export?tls=1&socket=/run/a&x=y", "/run/a", "", ""},
      {"nbds+unix:///?socket=/run/a", "/run/a", "", ""},
      {"nbd://h", "", "h", "10809"},
      {"nbd://h/export", "", "h", "10809"},
      {"nbds://h.example:1234?tls", "", "h.example", "1234"},
      {"nbd://[fd00::1]", "", "fd00::1", "10809"},
      {"nbd://[fd00::1]:7/x", "", "fd00::1", "7"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct disk_place place;

    assert_int_equal (disk_place_parse (cases[i].text, &place, NULL), 0);
    assert_string_equal (place.socket, cases[i].socket);
    assert_string_equal (place.host, cases[i].host);
    assert_string_equal (place.port, cases[i].port);
  }
}

static void
what_is_no_place_is_refused (void **state)
{
  static const char *const texts[] = {"",
                                      "relative",
                                      "http://h",
                                      "nbd:/h",
                                      "nbd://",
                                      "nbd://:10809",
                                      "nbd://h:",
                                      "nbd://h:123456789",
                                      "nbd://[fd00::1",
                                      "nbd+unix://",
                                      "nbd+unix:///?socket=",
                                      "nbd+unix:///?sock=/a",
                                      "nbd+unix:///?socket=/a%00b"};
  char long_text[4096] = "/";
  struct disk_place place;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (texts); i++) {
    struct error err = {0};

    assert_int_equal (disk_place_parse (texts[i], &place, &err), -1);
    assert_int_equal (err.class, ERROR_USAGE);
  }
  memset (long_text + 1, 'a', sizeof long_text - 2);
  assert_int_equal (disk_place_parse (long_text, &place, NULL), -1);
}

static bool
is_of (const char *place_text, const char *driver, const char *file)
{
  CLEANUP_JSON struct json *node = json_object_new ();
  struct disk_place place;

  json_set_string (node, "drv", driver);
  json_set_string (node, "file", file);
  assert_int_equal (disk_place_parse (place_text, &place, NULL), 0);
  return disk_place_is_of (&place, node);
}

static void
a_node_is_at_its_place_and_at_no_other (void **state)
{
  (void)state;
  assert_true (is_of ("/a/b", "nbd", "nbd+unix://?socket=/a/b"));
  assert_true (is_of ("/a/b", "nbd", "json:{\"driver\": \"nbd\", \"server.path\": \"/a/b\"}"));
  assert_true (is_of ("nbd://h", "nbd", "nbd://H:10809/export"));
  assert_false (is_of ("/a/b", "nbd", "nbd+unix://?socket=/a/b.old"));
  assert_false (is_of ("/a/b", "raw", "nbd+unix://?socket=/a/b"));
  assert_false (is_of ("/a/b", "nbd", "json:{\"driver\": \"file\", \"server.path\": \"/a/b\"}"));
  assert_false (is_of ("/a/b", "nbd", "nbd://a:10809"));
  assert_false (is_of ("nbd://h", "nbd", "nbd+unix://?socket=h"));
  assert_false (is_of ("nbd://h", "nbd", "nbd://h:10810"));
  assert_false (is_of ("nbd://h", "nbd", ""));
  assert_false (is_of ("nbd://h", "nbd", NULL));
  assert_false (is_of ("/a/b", NULL, "nbd+unix://?socket=/a/b"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_message_is_found_wherever_the_stream_is_cut),
      cmocka_unit_test (what_is_no_object_is_refused_at_its_first_byte),
      cmocka_unit_test (half_a_message_is_none),
      cmocka_unit_test (places_are_read_as_they_are_written),
      cmocka_unit_test (what_is_no_place_is_refused),
      cmocka_unit_test (a_node_is_at_its_place_and_at_no_other),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
