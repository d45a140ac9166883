/* What common/ promises: strict encodings, exact sizes, JSON without surprises, bounded packets. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/checked.h"
#include "common/encode.h"
#include "common/error.h"
#include "common/io.h"
#include "common/json.h"
#include "common/lock.h"
#include "common/parse.h"
#include "common/text.h"
#include "common/unix-socket.h"

static void
base64_round_trips_at_every_length (void **state)
{
  uint8_t in[65], out[65];

  (void)state;
  for (size_t size = 0; size <= sizeof in; size++) {
    CLEANUP_FREE char *text = NULL;
    size_t got = 999;

    for (size_t i = 0; i < size; i++)
      in[i] = (uint8_t)(i * 37 + size);
    text = base64_encode (in, size);
    assert_non_null (text);
    assert_int_equal (base64_decode (text, out, sizeof out, &got), 0);
    assert_int_equal (got, size);
    assert_memory_equal (in, out, size);
  }
}

static void
base64_refuses_what_is_not_canonical (void **state)
{
  static const char *const bad[] = {"A",    "AA",    "AAA",    "AB==", "AAB=", "AA=A",
                                    "====", " AAA=", "AAAA\n", "AA-_", "A===", "AAAAA==="};
  uint8_t out[16];
  size_t size = 77;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    assert_int_equal (base64_decode (bad[i], out, sizeof out, &size), -1);
  assert_int_equal (base64_decode ("AAAAAAAAAAAAAAAAAAAAAAAA", out, sizeof out, &size), -1);
  assert_int_equal (size, 77);
}

static void
hex_round_trips_and_refuses_other_lengths_and_letters (void **state)
{
  uint8_t out[4] = {1, 2, 3, 4};
  char text[9];

  (void)state;
  hex_encode ((const uint8_t *)"\x00\x7f\x80\xff", 4, text);
  assert_string_equal (text, "007f80ff");
  assert_int_equal (hex_decode ("007F80fF", out, 4), 0);
  assert_memory_equal (out, "\x00\x7f\x80\xff", 4);
  assert_int_equal (hex_decode ("007f80f", out, 4), -1);
  assert_int_equal (hex_decode ("007f80fg", out, 4), -1);
}

static void
sizes_are_exact_or_refused (void **state)
{
  static const struct {
    const char *text;
    uint64_t bytes;
  } good[] = {{"0", 0},
              {"4096", 4096},
              {"4096B", 4096},
              {"10K", 10240},
              {"10k", 10240},
              {"10KiB", 10240},
              {"1.5M", 1572864},
              {"16T", UINT64_C (1) << 44},
              {"7E", UINT64_C (7) << 60},
              {"0.5K", 512},
              {"18446744073709551615", UINT64_MAX}};
  static const char *const bad[] = {"",     "x",   "-1",   "1.",         ".5",
                                    "1.3B", "16E", "1X",   "1KK",        "1 K",
                                    " 1",   "1iB", "0x10", "1.0000001K", "18446744073709551616"};
  uint64_t bytes = 5;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (good); i++) {
    assert_int_equal (parse_size (good[i].text, &bytes, NULL), 0);
    assert_true (bytes == good[i].bytes);
  }
  bytes = 5;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++) {
    struct error err = {0};

    assert_int_equal (parse_size (bad[i], &bytes, &err), -1);
    assert_int_equal (err.class, ERROR_USAGE);
    assert_true (bytes == 5);
  }
}

static void
durations_have_units (void **state)
{
  uint64_t ms;

  (void)state;
  assert_int_equal (parse_duration ("30", &ms, NULL), 0);
  assert_int_equal (ms, 30000);
  assert_int_equal (parse_duration ("1.5s", &ms, NULL), 0);
  assert_int_equal (ms, 1500);
  assert_int_equal (parse_duration ("250ms", &ms, NULL), 0);
  assert_int_equal (ms, 250);
  assert_int_equal (parse_duration ("2h", &ms, NULL), 0);
  assert_int_equal (ms, 7200000);
  assert_int_equal (parse_duration ("1w", &ms, NULL), -1);
  assert_int_equal (parse_duration ("-1s", &ms, NULL), -1);
}

static void
sizes_print_as_people_write_them (void **state)
{
  char text[FORMAT_SIZE_MAX];

  (void)state;
  format_size (0, text);
  assert_string_equal (text, "0 B");
  format_size (UINT64_C (10) << 30, text);
  assert_string_equal (text, "10 GiB");
  format_size (1536, text);
  assert_string_equal (text, "1.5 KiB");
  format_size (UINT64_MAX, text);
  assert_string_equal (text, "16.0 EiB");
}

static void
json_refuses_repeated_members_and_trailing_text (void **state)
{
  static const char *const bad[] = {
      "{\"a\":1,\"a\":2}", "{} x", "[{\"b\":{\"c\":1,\"c\":1}}]", "", "{", "{\"a\":}"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    assert_null (json_parse (bad[i], strlen (bad[i])));
}

static void
json_getters_survive_other_types (void **state)
{
  static const char text[] =
      " {\"s\":\"x\",\"n\":12,\"f\":1.5,\"neg\":-1,\"b\":true,\"a\":[1,2]}\n";
  CLEANUP_JSON struct json *json = json_parse (text, strlen (text));
  uint64_t n = 99;
  bool b = false;

  (void)state;
  assert_non_null (json);
  assert_string_equal (json_get_string (json, "s"), "x");
  assert_null (json_get_string (json, "n"));
  assert_null (json_get_string (NULL, "n"));
  assert_int_equal (json_get_uint64 (json, "f", &n), -1);
  assert_int_equal (json_get_uint64 (json, "neg", &n), -1);
  assert_int_equal (json_get_uint64 (json, "s", &n), -1);
  assert_int_equal (n, 99);
  assert_int_equal (json_get_uint64 (json, "n", &n), 0);
  assert_int_equal (n, 12);
  assert_int_equal (json_get_bool (json, "b", &b), 0);
  assert_true (b);
  assert_int_equal (json_size (json_get (json, "a")), 2);
  assert_null (json_at (json_get (json, "a"), 2));
}

static void
stale_sockets_are_removed_and_nothing_else_is (void **state)
{
  char folder[] = "/tmp/keyfence-socket-XXXXXX", path[64], file[64], too_long[200];
  struct sockaddr_un address;
  int listener, fd = -1;

  (void)state;
  assert_non_null (mkdtemp (folder));
  snprintf (path, sizeof path, "%s/s", folder);
  snprintf (file, sizeof file, "%s/f", folder);
  memset (too_long, 'x', sizeof too_long);
  too_long[sizeof too_long - 1] = '\0';
  assert_int_equal (unix_socket_address (too_long, &address), -ENAMETOOLONG);
  assert_int_equal (unix_socket_address (path, &address), 0);
  assert_int_equal (unix_socket_remove_stale (path), 0); /* there is none */
  assert_int_equal (unix_socket_connect (path, SOCK_STREAM, &fd), -ENOENT);
  listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal (bind (listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal (listen (listener, 1), 0);
  assert_int_equal (unix_socket_remove_stale (path), -EADDRINUSE);
  assert_int_equal (unix_socket_connect (path, SOCK_STREAM, &fd), 0);
  close (fd);
  close (listener);
  assert_int_equal (access (path, F_OK), 0);
  assert_int_equal (unix_socket_connect (path, SOCK_STREAM, &fd), -ECONNREFUSED);
  assert_int_equal (unix_socket_remove_stale (path), 0);
  assert_int_equal (access (path, F_OK), -1);
  close (open (file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  assert_int_equal (unix_socket_remove_stale (file), -ENOTSOCK);
  assert_int_equal (unlink (file), 0);
  assert_int_equal (rmdir (folder), 0);
}

static void
error_classes_have_names_that_lead_back (void **state)
{
  (void)state;
  for (int class = ERROR_NONE; class <= ERROR_UNAVAILABLE; class ++)
    assert_int_equal (error_class_from_name (error_class_name ((enum error_class) class)), class);
  assert_int_equal (error_class_from_name ("no such class"), ERROR_SYSTEM);
  assert_int_equal (error_class_from_name (NULL), ERROR_SYSTEM);
}

static void
packets_arrive_whole_with_their_file_descriptor (void **state)
{
  int fds[2], pipe_fds[2], passed = -1;
  char buf[16];

  (void)state;
  assert_int_equal (packet_pair (fds), 0);
  assert_int_equal (pipe (pipe_fds), 0);
  assert_int_equal (packet_send (fds[0], "hello", 5, pipe_fds[1], clock_ms () + 1000), 0);
  assert_int_equal (packet_recv (fds[1], buf, sizeof buf, &passed, clock_ms () + 1000), 5);
  assert_memory_equal (buf, "hello", 5);
  assert_true (passed >= 0);
  assert_int_equal (write (passed, "x", 1), 1);
  assert_int_equal (read (pipe_fds[0], buf, 1), 1);
  close (passed);

  assert_int_equal (packet_send (fds[0], "0123456789abcdefg", 17, -1, clock_ms () + 1000), 0);
  assert_int_equal (packet_recv (fds[1], buf, sizeof buf, NULL, clock_ms () + 1000), -EMSGSIZE);
  assert_int_equal (packet_recv (fds[1], buf, sizeof buf, NULL, clock_ms () + 20), -ETIMEDOUT);
  close (fds[0]);
  assert_int_equal (packet_recv (fds[1], buf, sizeof buf, NULL, clock_ms () + 1000), 0);
  assert_int_equal (packet_send (fds[1], "x", 1, -1, clock_ms () + 1000), -EPIPE);
  close (fds[1]);
  close (pipe_fds[0]);
  close (pipe_fds[1]);
}

/* ---- texts ---- */

static const char *
cut_to (size_t max, const char *text)
{
  static char ret[64];

  memset (ret, 'x', sizeof ret);
  assert_int_equal (text_print (ret, max, "%s", text), strlen (text) < max);
  assert_int_equal (ret[max], 'x');
  return ret;
}

static void
a_text_that_is_too_long_ends_behind_a_word_with_an_ellipsis (void **state)
{
  (void)state;
  assert_string_equal (cut_to (8, "one two"), "one two");
  assert_string_equal (cut_to (14, "one two three four"), "one two...");
  assert_string_equal (cut_to (12, "one, two (three)"), "one, two...");
  assert_string_equal (cut_to (13, "one two; three"), "one two...");
  assert_string_equal (cut_to (10, "onetwothree"), "onetwo...");
  assert_string_equal (cut_to (16, "a bcdefghijklmnopq"), "a bcdefghijk...");
  assert_string_equal (cut_to (10, "onetw\xe2\x82\xac\xe2\x82\xac"), "onetw...");
  assert_string_equal (cut_to (8, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"), "\xc3\xa9\xc3\xa9...");
}

static void
errors_keep_their_reason_when_what_is_before_it_is_too_long (void **state)
{
  struct error err;
  char path[2000];

  (void)state;
  memset (path, 'p', sizeof path - 1);
  path[sizeof path - 1] = '\0';
  assert_int_equal (error_set_errno (&err, ENOENT, "can't open %s", path), -1);
  assert_non_null (strstr (err.text, "ppp...: No such file or directory"));
  error_set (&err, ERROR_USAGE, "the text");
  error_prefix (&err, "%s", path);
  assert_non_null (strstr (err.text, "...: the text"));
  error_set (&err, ERROR_USAGE, "%s", path);
  assert_string_equal (err.text + sizeof err.text - 5, "p...");
}

/* ---- the volume's lock ---- */

/* A server that was killed while its I/O was in flight: its process is gone, and the open file
 * lives on for a while, here in another process.
 */
static void
die_holding (const char *path, useconds_t lives_on_us)
{
  pid_t holder = fork ();

  assert_true (holder >= 0);
  if (holder == 0) {
    int fd = open (path, O_RDWR | O_CLOEXEC);

    if (volume_lock (fd, path, true, NULL) < 0 || volume_lock_name_holder (fd, NULL) < 0)
      _exit (1);
    if (fork () == 0)
      usleep (lives_on_us);
    _exit (0);
  }
  assert_int_equal (waitpid (holder, NULL, 0), holder);
}

static void
a_volume_is_free_when_the_last_io_of_its_dead_server_is_done (void **state)
{
  char path[] = "/tmp/keyfence-lock.XXXXXX";
  int fd = mkstemp (path);
  struct error err = {0};

  (void)state;
  assert_true (fd >= 0);
  die_holding (path, 300000);
  assert_int_equal (volume_lock (fd, path, true, &err), 0);
  close (fd);
  unlink (path);
}

static void
a_volume_whose_server_lives_is_refused_at_once (void **state)
{
  char path[] = "/tmp/keyfence-lock.XXXXXX";
  int fd = mkstemp (path), other = open (path, O_RDWR | O_CLOEXEC);
  struct error err = {0};
  int64_t before_ms = clock_ms ();

  (void)state;
  assert_true (fd >= 0 && other >= 0);
  assert_int_equal (volume_lock (fd, path, true, &err), 0);
  assert_int_equal (volume_lock_name_holder (fd, &err), 0);
  assert_int_equal (volume_lock (other, path, true, &err), -1);
  assert_int_equal (err.class, ERROR_BUSY);
  assert_true (clock_ms () - before_ms < 1000);
  close (other);
  close (fd);
  unlink (path);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (base64_round_trips_at_every_length),
      cmocka_unit_test (base64_refuses_what_is_not_canonical),
      cmocka_unit_test (hex_round_trips_and_refuses_other_lengths_and_letters),
      cmocka_unit_test (sizes_are_exact_or_refused),
      cmocka_unit_test (durations_have_units),
      cmocka_unit_test (sizes_print_as_people_write_them),
      cmocka_unit_test (json_refuses_repeated_members_and_trailing_text),
      cmocka_unit_test (json_getters_survive_other_types),
      cmocka_unit_test (stale_sockets_are_removed_and_nothing_else_is),
      cmocka_unit_test (error_classes_have_names_that_lead_back),
      cmocka_unit_test (a_text_that_is_too_long_ends_behind_a_word_with_an_ellipsis),
      cmocka_unit_test (errors_keep_their_reason_when_what_is_before_it_is_too_long),
      cmocka_unit_test (packets_arrive_whole_with_their_file_descriptor),
      cmocka_unit_test (a_volume_is_free_when_the_last_io_of_its_dead_server_is_done),
      cmocka_unit_test (a_volume_whose_server_lives_is_refused_at_once),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
