/* What the service manager hears, played by a datagram socket. */
#include "tests/unit/tell-rig.h"

#include <sys/socket.h>
#include <sys/un.h>

#define TEST(name) cmocka_unit_test_setup_teardown (name, systemd_setup, systemd_teardown)
#define STOP_MS 2500

static int manager = -1;

/* Listens at the path, or for "@…" at the abstract name, and sets NOTIFY_SOCKET. */
static void
manager_at (const char *name)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const struct timeval limit = {.tv_sec = 20};

  memcpy (address.sun_path, name, strlen (name));
  if (name[0] == '@')
    address.sun_path[0] = '\0';
  manager = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_true (manager >= 0);
  assert_int_equal (bind (manager, (struct sockaddr *)&address,
                          (socklen_t)(offsetof (struct sockaddr_un, sun_path) + strlen (name))),
                    0);
  assert_int_equal (setsockopt (manager, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  setenv ("NOTIFY_SOCKET", name, 1);
}

static int
systemd_setup (void **state)
{
  return rig_setup (state);
}

static int
systemd_teardown (void **state)
{
  if (manager >= 0)
    close (manager);
  manager = -1;
  return rig_teardown (state);
}

static void
assert_heard (const char *expected)
{
  char text[2048];
  ssize_t n = recv (manager, text, sizeof text - 1, 0);

  assert_true (n > 0);
  text[n] = '\0';
  assert_string_equal (text, expected);
}

static void
assert_whole_life_is_heard (void)
{
  struct tell_change fine = rig_change ("starting", "active", "ok");

  fine.detail[0] = '\0';
  rig_start ();
  tell_change (rig_teller, &fine);
  assert_heard ("READY=1\nSTATUS=active: ok");
  rig_tell ("active", "fenced", "key_disabled");
  assert_heard ("STATUS=fenced: key_disabled: The key is disabled.");
  assert_true (rig_stop () < STOP_MS);
  assert_heard ("STOPPING=1\nSTATUS=stopping");
  assert_int_equal (recv (manager, &fine, sizeof fine, MSG_DONTWAIT), -1);
}

static void
the_service_manager_hears_ready_once_each_state_and_the_end (void **state)
{
  (void)state;
  manager_at (rig_path ("manager"));
  assert_whole_life_is_heard ();
}

static void
an_abstract_socket_will_do_as_well (void **state)
{
  char name[64];

  (void)state;
  snprintf (name, sizeof name, "@keyfence-tell-%d", (int)getpid ());
  manager_at (name);
  assert_whole_life_is_heard ();
}

static void
the_variable_is_taken_from_the_environment (void **state)
{
  (void)state;
  manager_at (rig_path ("manager"));
  rig_start ();
  assert_null (getenv ("NOTIFY_SOCKET"));
}

static void
a_detail_with_line_breaks_is_one_status (void **state)
{
  struct tell_change change = rig_change ("active", "fenced", "x");

  (void)state;
  manager_at (rig_path ("manager"));
  rig_start ();
  snprintf (change.detail, sizeof change.detail, "a\nMAINPID=1");
  tell_change (rig_teller, &change);
  assert_heard ("READY=1\nSTATUS=fenced: x: a?MAINPID=1");
}

/* Before the sender has to wait a socket takes net.unix.max_dgram_qlen messages: 10, or 512. */
static void
a_service_manager_that_does_not_listen_holds_up_nothing (void **state)
{
  (void)state;
  manager_at (rig_path ("manager"));
  rig_start ();
  for (int i = 0; i < 700; i++) {
    rig_tell ("active", "fenced", "key_disabled");
    usleep (200); /* the log shall get along */
  }
  WAIT_UNTIL (rig_log_count ("the service manager can't be told the state") == 1);
  assert_true (rig_stop () < STOP_MS);
}

static void
a_service_manager_that_has_gone_is_told_once (void **state)
{
  (void)state;
  manager_at (rig_path ("manager"));
  assert_int_equal (unlink (rig_path ("manager")), 0);
  rig_start ();
  rig_tell ("starting", "active", "ok");
  rig_tell ("active", "fenced", "key_disabled");
  rig_stop ();
  assert_int_equal (rig_log_count ("the service manager can't be told the state: No such file"), 1);
}

static void
what_is_no_socket_name_is_refused_and_nothing_is_no_name (void **state)
{
  (void)state;
  setenv ("NOTIFY_SOCKET", "vsock:2:1234", 1);
  rig_expect_refusal ("NOTIFY_SOCKET=vsock:2:1234 is neither");
  setenv ("NOTIFY_SOCKET", "", 1);
  rig_start ();
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (the_service_manager_hears_ready_once_each_state_and_the_end),
      TEST (an_abstract_socket_will_do_as_well),
      TEST (the_variable_is_taken_from_the_environment),
      TEST (a_detail_with_line_breaks_is_one_status),
      TEST (a_service_manager_that_does_not_listen_holds_up_nothing),
      TEST (a_service_manager_that_has_gone_is_told_once),
      TEST (what_is_no_socket_name_is_refused_and_nothing_is_no_name),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
