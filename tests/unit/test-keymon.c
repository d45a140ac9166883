/* What the watch over the key promises to all who call at once: commands from several threads, I/O
 * on several connections, questions, a key that comes and goes, and an end in the middle of all
 * that.
 *
 * The real agent, a real volume.  Whatever is decided meanwhile, no command stays without its
 * result, nobody waits for ever, and what was acknowledged is what is read.
 */
#include "tests/unit/key-file.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kms/client.h"
#include "nbd-plugin/fence/keymon.h"
#include "nbd-plugin/log.h"
#include "nbd-plugin/request.h"
#include "nbd-plugin/status.h"

#define DISK_BYTES (1024 * 1024)
#define SECTOR 4096
#define COMMANDERS 4
#define CLIENTS 4
#define RUN_MS 3000
#define PATIENCE_MS 60000 /* a bound, not a speed */

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

/* ---- a volume on the disk, under the fixture's key file ---- */

static void
make_volume_file (struct fixture *f, char path[96])
{
  const struct header_params params = {.uuid = UUID, .sector_size = SECTOR};
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  CLEANUP_SECRET struct secret key = {0};
  CLEANUP_TOKEN struct token *token = calloc (1, sizeof *token);
  struct error err = {0};
  CLEANUP_CLOSE int fd = -1;

  snprintf (path, 96, "%s/disk", f->dir);
  fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  assert_int_equal (ftruncate (fd, HEADER_DATA_OFFSET_BYTES + DISK_BYTES), 0);
  assert_int_equal (kms_client_new (TEST_AGENT, &client, &err), 0);
  assert_int_equal (
      kms_client_generate (client, f->uri, UUID, TIMEOUT_MS, &key, &token->wraps[0], &f->outcome),
      0);
  token->wraps[0].id = 1;
  token->wrap_count = 1;
  if (header_create (path, &params, token, &key, &err) < 0)
    fail_msg ("%s", err.text);
}

struct server {
  struct volume *volume;
  struct keymon *keymon;
};

static struct server
serve (const char *path, const char *agent, struct params params)
{
  struct header *header = NULL;
  struct server server = {0};
  struct error err = {0};

  params.path = path;
  params.agent = agent;
  params.cache = CACHE_WRITEBACK;
  if (volume_open (&params, &server.volume, &header, &err) < 0
      || keymon_start (server.volume, header, NULL, &server.keymon, &err) < 0)
    fail_msg ("%s", err.text);
  return server;
}

static struct params
fast_params (void)
{
  struct params params = params_default ();

  params.check_interval_ms = 100;
  params.check_timeout_ms = 5000;
  params.confirm_delay_ms = 0;
  return params;
}

/* ---- those who call ---- */

static struct {
  struct server server;
  atomic_bool commands_end, clients_end;
  atomic_uint commands, refused, served, fences_seen;
  const char *key_path, *away_path;
} all;

static enum desk_command
any_command (unsigned *seed)
{
  /* Opened more often than fenced, so that there is something to fence. */
  static const enum desk_command commands[] = {DESK_CHECK,   DESK_FENCE,   DESK_UNFENCE,
                                               DESK_UNFENCE, DESK_UNFENCE, DESK_RELOAD};

  return commands[(unsigned)rand_r (seed) % ARRAY_SIZE (commands)];
}

static void
await_result (uint64_t ticket, enum desk_command command)
{
  uint64_t deadline_ms = clock_ms () + PATIENCE_MS;
  struct desk_result result;

  while (!keymon_result (all.server.keymon, ticket, &result)) {
    if (clock_ms () > deadline_ms)
      fail_msg ("no result of %s", desk_command_name (command));
    usleep (500);
  }
  assert_int_equal (result.command, command);
  assert_true (result.class[0] != '\0');
}

static void *
give_commands (void *opaque)
{
  unsigned seed = (unsigned)(uintptr_t)opaque;

  while (!all.commands_end) {
    enum desk_command command = any_command (&seed);
    uint64_t ticket = keymon_command (all.server.keymon, command, "by a test");

    assert_true (ticket != 0); /* there are places for all of us */
    if (rand_r (&seed) % 8 == 0)
      keymon_forget (all.server.keymon, ticket);
    else
      await_result (ticket, command);
    usleep ((unsigned)rand_r (&seed) % 20000);
    all.commands++;
  }
  return NULL;
}

static void *
ask_questions (void *opaque)
{
  (void)opaque;
  while (!all.commands_end) {
    struct json *json = status_metrics_new (all.server.volume, all.server.keymon);
    struct key_snapshot key;

    assert_non_null (json);
    json_free (json);
    keymon_snapshot (all.server.keymon, &key);
    all.fences_seen = (unsigned)key.fences;
    usleep (1000);
  }
  return NULL;
}

static void *
take_the_key_away_and_give_it_back (void *opaque)
{
  (void)opaque;
  while (!all.commands_end) {
    usleep (300000);
    assert_int_equal (rename (all.key_path, all.away_path), 0);
    usleep (150000);
    assert_int_equal (rename (all.away_path, all.key_path), 0);
  }
  return NULL;
}

/* One sector, and what it may hold: the last acknowledged write, and those after it that failed. */
struct sector {
  uint64_t offset_bytes;
  bool may_hold[256];
};

static void
write_sector (struct connection *connection, struct sector *sector, uint8_t byte)
{
  uint8_t buf[SECTOR];
  int r;

  memset (buf, byte, sizeof buf);
  r = request_write (connection, buf, sizeof buf, sector->offset_bytes, false);
  assert_true (r == 0 || r == -EIO);
  if (r == 0)
    memset (sector->may_hold, 0, sizeof sector->may_hold);
  sector->may_hold[byte] = true;
  *(r == 0 ? &all.served : &all.refused) += 1;
}

static int
read_sector (struct connection *connection, struct sector *sector)
{
  uint8_t buf[SECTOR];
  int r = request_read (connection, buf, sizeof buf, sector->offset_bytes);

  assert_true (r == 0 || r == -EIO);
  if (r < 0)
    return r;
  for (size_t i = 1; i < sizeof buf; i++)
    assert_int_equal (buf[i], buf[0]);
  assert_true (sector->may_hold[buf[0]]);
  memset (sector->may_hold, 0, sizeof sector->may_hold);
  sector->may_hold[buf[0]] = true;
  return 0;
}

static void *
read_and_write (void *opaque)
{
  struct sector *sector = opaque;
  struct connection *connection = connection_new (all.server.volume, false, NULL);
  unsigned seed = (unsigned)sector->offset_bytes + 1;

  assert_non_null (connection);
  while (!all.clients_end) {
    write_sector (connection, sector, (uint8_t)rand_r (&seed));
    if (read_sector (connection, sector) < 0)
      usleep (200);
    else if (rand_r (&seed) % 16 == 0)
      (void)!request_flush (connection);
  }
  return NULL; /* the connection is the volume's to free */
}

/* ---- tests ---- */

/* Before the clients' first read the sectors must hold something that is known. */
static void
fill_sectors (struct sector sectors[CLIENTS])
{
  struct connection *connection = connection_new (all.server.volume, false, NULL);

  for (size_t i = 0; i < CLIENTS; i++) {
    sectors[i] = (struct sector){.offset_bytes = i * 16 * SECTOR};
    write_sector (connection, &sectors[i], 0);
    assert_true (sectors[i].may_hold[0]);
  }
  connection_free (connection);
}

static void
verify_sectors (const char *path, struct sector sectors[CLIENTS])
{
  struct server server = serve (path, TEST_AGENT, fast_params ());
  struct connection *connection = connection_new (server.volume, true, NULL);

  assert_int_equal (keymon_await (server.keymon, NULL), 0);
  for (size_t i = 0; i < CLIENTS; i++)
    assert_int_equal (read_sector (connection, &sectors[i]), 0);
  keymon_stop (server.keymon);
  for (size_t i = 0; i < CLIENTS; i++)
    assert_int_equal (read_sector (connection, &sectors[i]), -EIO);
  volume_free (server.volume);
}

static void
everybody_at_once_and_an_end_in_the_middle (void **state)
{
  struct fixture *f = *state;
  struct sector sectors[CLIENTS];
  pthread_t commanders[COMMANDERS + 2], clients[CLIENTS];
  char path[96], away[96];

  make_volume_file (f, path);
  snprintf (away, sizeof away, "%s/away", f->dir);
  all.key_path = f->path;
  all.away_path = away;
  all.commands_end = all.clients_end = false;
  all.commands = all.refused = all.served = 0;
  all.server = serve (path, TEST_AGENT, fast_params ());
  assert_int_equal (keymon_await (all.server.keymon, NULL), 0);
  fill_sectors (sectors);
  for (size_t i = 0; i < COMMANDERS; i++)
    assert_int_equal (pthread_create (&commanders[i], NULL, give_commands, (void *)(i + 1)), 0);
  assert_int_equal (pthread_create (&commanders[COMMANDERS], NULL, ask_questions, NULL), 0);
  assert_int_equal (
      pthread_create (&commanders[COMMANDERS + 1], NULL, take_the_key_away_and_give_it_back, NULL),
      0);
  for (size_t i = 0; i < CLIENTS; i++)
    assert_int_equal (pthread_create (&clients[i], NULL, read_and_write, &sectors[i]), 0);
  usleep (RUN_MS * 1000);
  all.commands_end = true;
  for (size_t i = 0; i < ARRAY_SIZE (commanders); i++)
    pthread_join (commanders[i], NULL);

  /* The clients go on; commands that nobody will fetch are under way. */
  for (size_t i = 0; i < DESK_COMMANDS; i++)
    keymon_command (all.server.keymon, (enum desk_command)i, "");
  keymon_stop (all.server.keymon);
  usleep (50000);
  all.clients_end = true;
  for (size_t i = 0; i < CLIENTS; i++)
    pthread_join (clients[i], NULL);
  volume_free (all.server.volume);
  printf ("%u commands, %u fences, %u writes served, %u refused\n", all.commands, all.fences_seen,
          all.served, all.refused);
  assert_true (all.commands > 0 && all.fences_seen > 1 && all.served > 0 && all.refused > 0);
  verify_sectors (path, sectors);
}

/* Stopped at any moment of its start. */
static void
it_can_be_stopped_at_any_time (void **state)
{
  struct fixture *f = *state;
  char path[96];

  make_volume_file (f, path);
  for (unsigned i = 0; i < 20; i++) {
    struct server server = serve (path, TEST_AGENT, fast_params ());

    usleep (i * 1500);
    if (i % 3 == 0)
      keymon_command (server.keymon, DESK_FENCE, "");
    if (i % 4 == 0)
      keymon_quit (server.keymon);
    if (i % 2 == 0)
      assert_int_equal (keymon_await (server.keymon, NULL), 0);
    keymon_stop (server.keymon);
    volume_free (server.volume);
  }
}

static void *
quit_soon (void *opaque)
{
  usleep (200000);
  keymon_quit (opaque);
  return NULL;
}

static void
a_start_whose_unlock_hangs_is_over_when_the_server_is_told_to_end (void **state)
{
  struct fixture *f = *state;
  char path[96];

  make_volume_file (f, path);
  setenv ("KEYFENCE_TEST_DOUBLE", "hang", 1);
  for (int require_key = 0; require_key < 2; require_key++) {
    struct params params = params_default ();
    struct server server;
    struct error err = {0};
    uint64_t start_ms = clock_ms ();
    pthread_t thread;

    params.check_timeout_ms = 300000;
    params.require_key = require_key;
    server = serve (path, TEST_AGENT_DOUBLE, params);
    assert_int_equal (pthread_create (&thread, NULL, quit_soon, server.keymon), 0);
    assert_int_equal (keymon_await (server.keymon, &err), -require_key);
    pthread_join (thread, NULL);
    keymon_stop (server.keymon);
    volume_free (server.volume);
    assert_true (clock_ms () - start_ms < PATIENCE_MS);
    if (require_key)
      assert_non_null (strstr (err.text, "broken off without the key"));
  }
  unsetenv ("KEYFENCE_TEST_DOUBLE");
}

/* How many secrets this process has, where they can be told from other memory. */
static unsigned
count_secrets (void)
{
  FILE *maps = fopen ("/proc/self/maps", "re");
  unsigned count = 0;
  char line[512];

  assert_non_null (maps);
  while (fgets (line, sizeof line, maps))
    count += strstr (line, "rw-s") && strstr (line, "secretmem");
  fclose (maps);
  return count;
}

static void
await_reason (struct keymon *keymon, const char *reason, struct key_snapshot *ret)
{
  uint64_t deadline_ms = clock_ms () + PATIENCE_MS;

  do {
    usleep (5000);
    assert_true (clock_ms () < deadline_ms);
    keymon_snapshot (keymon, ret);
  } while (strcmp (ret->reason, reason) != 0);
}

static void
no_key_is_taken_after_the_end_though_clients_keep_the_server (void **state)
{
  struct fixture *f = *state;
  struct key_snapshot key;
  struct server server;
  char path[96], away[96];

  if (strcmp (secret_kind (), "memfd_secret") != 0) {
    print_message ("skipped: secrets can't be counted without memfd_secret\n");
    skip ();
  }
  make_volume_file (f, path);
  snprintf (away, sizeof away, "%s/away", f->dir);
  assert_int_equal (rename (f->path, away), 0);
  {
    struct params params = fast_params ();

    params.check_timeout_ms = 300000;
    server = serve (path, TEST_AGENT, params);
  }
  assert_int_equal (keymon_await (server.keymon, NULL), 0);

  /* The key comes back, and its unwrapping takes until the keys have gone. */
  await_reason (server.keymon, "not_found", &key);
  assert_int_equal (kill (key.agent_pid, SIGSTOP), 0);
  assert_int_equal (rename (away, f->path), 0);
  usleep (300000);
  keymon_quit (server.keymon);
  await_reason (server.keymon, "stopping", &key);
  assert_int_equal (count_secrets (), 0);
  assert_int_equal (kill (key.agent_pid, SIGCONT), 0);
  for (unsigned i = 0; i < 20; i++) {
    usleep (50000);
    assert_true (i < 10 || count_secrets () == 0);
  }
  keymon_stop (server.keymon);
  volume_free (server.volume);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (everybody_at_once_and_an_end_in_the_middle),
      TEST (it_can_be_stopped_at_any_time),
      TEST (a_start_whose_unlock_hangs_is_over_when_the_server_is_told_to_end),
      TEST (no_key_is_taken_after_the_end_though_clients_keep_the_server),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
