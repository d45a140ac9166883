/* keymon.c owns the access to the key. */
#include "nbd-plugin/keymon.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/paths.h"
#include "kms/client.h"
#include "nbd-plugin/log.h"

/* What requests that run get to end after the server was told to: then the keys go, whoever still
 * holds a connection.
 */
#define QUIT_MS 5000

/* How often a new agent is tried for while there is none. */
#define AGENT_CARE_MS 1000

struct keymon {
  struct volume *volume;
  struct kms_client *client;
  int wake_fd; /* written when the thread shall end */
  int quit_fd; /* written when the server was told to end */
  pthread_t thread;
  bool thread_runs;
  bool hopeless;        /* no further try can help: an operator must look */
  uint64_t next_try_ms; /* clock_ms (); only the thread uses it after the start */
  unsigned jitter_seed;

  pthread_mutex_t mutex; /* guards told */
  struct key_snapshot told;
};

const char *
key_state_name (enum key_state state)
{
  return state == KEY_ACTIVE ? "active" : "fenced";
}

static void
tell (struct keymon *keymon, enum key_state state, const char *reason, const char *detail)
{
  struct key_snapshot *told = &keymon->told;
  LOCK_FOR_SCOPE (&keymon->mutex);

  if (told->state != state || told->since_unix_s == 0)
    told->since_unix_s = time (NULL);
  told->state = state;
  snprintf (told->reason, sizeof told->reason, "%s", reason);
  snprintf (told->detail, sizeof told->detail, "%s", detail);
}

static void
note_check (struct keymon *keymon, enum kms_class class)
{
  LOCK_FOR_SCOPE (&keymon->mutex);

  keymon->told.last_check_unix_s = time (NULL);
  keymon->told.checks[class]++;
}

static void
plan_next_try (struct keymon *keymon, bool wanted)
{
  uint64_t interval_ms = keymon->volume->params.check_interval_ms;
  LOCK_FOR_SCOPE (&keymon->mutex);

  if (!wanted) {
    keymon->told.next_check_unix_s = 0;
    return;
  }
  /* Jitter only ever shortens, so that a host full of volumes spreads its calls. */
  interval_ms -= interval_ms / 5 * (uint64_t)(rand_r (&keymon->jitter_seed) % 1000) / 1000;
  keymon->next_try_ms = clock_ms () + interval_ms;
  keymon->told.next_check_unix_s = time (NULL) + (int64_t)((interval_ms + 999) / 1000);
}

/* The header on the disk now, which must still be of the volume that was opened. */
static int
reload_header (const struct volume *volume, struct header **ret_header, struct error *err)
{
  CLEANUP_HEADER struct header *header = NULL;
  const struct header_info *info;

  if (header_load (volume->backing.meta_fd, volume->params.path, true, &header, err) < 0)
    return -1;
  info = header_info (header);
  if (strcmp (info->uuid, volume->info.uuid) != 0 || info->sector_size != volume->info.sector_size
      || info->data_offset_bytes != volume->info.data_offset_bytes)
    return error_set (err, ERROR_CORRUPT,
                      "%s now has the header of another volume (%s, not %s): restore its own",
                      volume->params.path, info->uuid, volume->info.uuid);
  *ret_header = header;
  header = NULL;
  return 0;
}

/* Verifies the key and keys the contexts; the raw key is gone when this returns. */
static int
take_key (struct keymon *keymon, struct header *header, struct secret *volume_key,
          struct error *err)
{
  struct volume *volume = keymon->volume;

  if (header_verify (header, volume_key, err) < 0)
    return error_prefix (err, "%s", volume->params.path);
  if (keys_set (volume->keys, volume_key, err) < 0)
    return -1;
  secret_clear (volume_key);
  tell (keymon, KEY_ACTIVE, "ok", "");
  plan_next_try (keymon, false);
  atomic_store_explicit (&volume->serving, true, memory_order_release);
  return 0;
}

/* Whether time or the owner can mend it; everything else needs somebody to look at this volume. */
static bool may_pass (enum kms_class class)
{
  return class != KMS_CORRUPT && class != KMS_CONFIG;
}

static int
give_up (struct keymon *keymon, const char *reason, const struct error *err)
{
  keymon->hopeless = true;
  tell (keymon, KEY_FENCED, reason, err->text);
  plan_next_try (keymon, false);
  return -1;
}

/* One try for the key by `header`'s primary wrap.  0 when the volume is active. */
static int
try_key (struct keymon *keymon, struct header *header, struct error *err)
{
  struct volume *volume = keymon->volume;
  const struct wrap *primary = token_primary (header_token (header));
  CLEANUP_SECRET struct secret volume_key = {0};
  struct kms_outcome outcome = {0};
  int r;

  if (!primary) {
    error_set (err, ERROR_CORRUPT, "%s has no primary wrap: restore its header",
               volume->params.path);
    return give_up (keymon, "header", err);
  }
  r = kms_client_unwrap (keymon->client, primary, volume->info.uuid, false,
                         (uint32_t)volume->params.check_timeout_ms, &volume_key, &outcome);
  note_check (keymon, outcome.class);
  if (r < 0) {
    kms_outcome_error (&outcome, err);
    if (!may_pass (outcome.class))
      return give_up (keymon, outcome.reason, err);
    tell (keymon, KEY_FENCED, outcome.reason, err->text);
    plan_next_try (keymon, true);
    return -1;
  }
  if (take_key (keymon, header, &volume_key, err) < 0)
    return give_up (keymon, "header", err);
  return 0;
}

/* A later try, for which the header is read again: it may have been restored or rewrapped. */
static void
try_again (struct keymon *keymon)
{
  CLEANUP_HEADER struct header *header = NULL;
  struct error err = {0};

  if (reload_header (keymon->volume, &header, &err) < 0) {
    tell (keymon, KEY_FENCED, "header", err.text);
    plan_next_try (keymon, true);
    return;
  }
  if (try_key (keymon, header, &err) == 0)
    log_notice ("%s: key access is there; serving", keymon->volume->params.path);
  else if (keymon->hopeless)
    log_error ("%s", err.text);
}

static bool
is_active (struct keymon *keymon)
{
  return atomic_load (&keymon->volume->serving);
}

/* Until when nothing need be done, should nothing happen; -1: for ever. */
static int
wait_ms (struct keymon *keymon, uint64_t quit_at_ms)
{
  bool done = keymon->hopeless || is_active (keymon);
  int care_ms = quit_at_ms == 0 && kms_client_fd (keymon->client) < 0 ? AGENT_CARE_MS : -1;
  uint64_t now_ms = clock_ms (), left_ms = UINT64_MAX;

  if (quit_at_ms != 0)
    left_ms = quit_at_ms;
  else if (!done)
    left_ms = keymon->next_try_ms;
  if (left_ms == UINT64_MAX)
    return care_ms;
  left_ms = left_ms > now_ms ? left_ms - now_ms : 0;
  return (int)MIN (left_ms, care_ms < 0 ? 3600 * 1000 : (uint64_t)care_ms);
}

/* nbdkit ends only when all its clients have gone, which is theirs to decide: the keys don't wait.
 */
static void
wipe_for_quit (struct keymon *keymon)
{
  atomic_store (&keymon->volume->serving, false);
  keys_wipe (keymon->volume->keys);
  keymon->hopeless = true;
  tell (keymon, KEY_FENCED, "stopping",
        "the server was told to end and waits for its clients to go");
  plan_next_try (keymon, false);
}

static void
try_when_due (struct keymon *keymon)
{
  if (kms_client_ensure (keymon->client) < 0)
    return; /* its backoff runs */
  if (!keymon->hopeless && !is_active (keymon) && clock_ms () >= keymon->next_try_ms)
    try_again (keymon);
}

static void *
run (void *opaque)
{
  struct keymon *keymon = opaque;
  uint64_t quit_at_ms = 0;

  for (;;) {
    /* The agent's end shows as an event on its socket; it says nothing there of its own. */
    struct pollfd pfds[] = {
        {.fd = keymon->wake_fd, .events = POLLIN},
        {.fd = quit_at_ms == 0 ? kms_client_fd (keymon->client) : -1, .events = POLLIN},
        {.fd = quit_at_ms == 0 ? keymon->quit_fd : -1, .events = POLLIN}};
    int n = poll (pfds, ARRAY_SIZE (pfds), wait_ms (keymon, quit_at_ms));

    if (n > 0 && pfds[0].revents)
      return NULL;
    if (n > 0 && pfds[2].revents)
      quit_at_ms = clock_ms () + QUIT_MS;
    if (quit_at_ms == 0)
      try_when_due (keymon);
    else if (clock_ms () >= quit_at_ms) {
      wipe_for_quit (keymon);
      quit_at_ms = UINT64_MAX; /* once */
    }
  }
}

void
keymon_quit (struct keymon *keymon)
{
  uint64_t one = 1;
  ssize_t n = write (keymon->quit_fd, &one, sizeof one);

  (void)n; /* full: it has been told already */
}

/* The agent that belongs to the file that this code was loaded from. */
static char *
default_agent (void)
{
  Dl_info info;

  return path_agent (dladdr ((void *)(uintptr_t)default_agent, &info) ? info.dli_fname : NULL);
}

static int
first_try (struct keymon *keymon, struct header *header, struct error *err)
{
  struct error why = {0};

  if (try_key (keymon, header, &why) == 0)
    return 0;
  if (keymon->hopeless || keymon->volume->params.require_key) {
    *err = why;
    return -1;
  }
  log_error ("%s: fenced: %s; trying again every %g s", keymon->volume->params.path, why.text,
             (double)keymon->volume->params.check_interval_ms / 1000);
  return 0;
}

static int
start_thread (struct keymon *keymon, struct error *err)
{
  int r;

  keymon->wake_fd = eventfd (0, EFD_CLOEXEC);
  keymon->quit_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (keymon->wake_fd < 0 || keymon->quit_fd < 0)
    return error_set_errno (err, errno, "making an eventfd");
  r = pthread_create (&keymon->thread, NULL, run, keymon);
  if (r != 0)
    return error_set_errno (err, r, "starting a thread");
  keymon->thread_runs = true;
  return 0;
}

int
keymon_start (struct volume *volume, struct header *header, struct keymon **ret_keymon,
              struct error *err)
{
  CLEANUP_HEADER struct header *taken = header;
  CLEANUP_FREE char *agent = NULL;
  struct keymon *keymon = calloc (1, sizeof *keymon);

  if (!keymon)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  keymon->volume = volume;
  keymon->wake_fd = keymon->quit_fd = -1;
  keymon->jitter_seed = (unsigned)clock_ms () ^ (unsigned)getpid ();
  pthread_mutex_init (&keymon->mutex, NULL);
  agent = volume->params.agent ? strdup (volume->params.agent) : default_agent ();
  if (!agent || kms_client_new (agent, &keymon->client, err) < 0
      || first_try (keymon, taken, err) < 0 || start_thread (keymon, err) < 0) {
    keymon_stop (keymon);
    return -1;
  }
  *ret_keymon = keymon;
  return 0;
}

void
keymon_stop (struct keymon *keymon)
{
  uint64_t one = 1;

  if (!keymon)
    return;
  if (keymon->thread_runs && write_full (keymon->wake_fd, &one, sizeof one) == 0) {
    pid_t agent = kms_client_pid (keymon->client);

    /* A try that is under way would keep us for as long as it may take. */
    if (agent > 0 && !is_active (keymon))
      kill (agent, SIGKILL);
    pthread_join (keymon->thread, NULL);
  }
  /* After the join, so that no try that was just ending keys them again. */
  atomic_store (&keymon->volume->serving, false);
  keys_wipe (keymon->volume->keys);
  if (keymon->wake_fd >= 0)
    close (keymon->wake_fd);
  if (keymon->quit_fd >= 0)
    close (keymon->quit_fd);
  kms_client_free (keymon->client);
  pthread_mutex_destroy (&keymon->mutex);
  free (keymon);
}

void
keymon_snapshot (struct keymon *keymon, struct key_snapshot *ret)
{
  pid_t agent_pid = kms_client_pid (keymon->client);
  LOCK_FOR_SCOPE (&keymon->mutex);

  *ret = keymon->told;
  ret->agent_pid = agent_pid;
}
