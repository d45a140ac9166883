/* asker.c owns the asking: the key client, and the header that says whom to ask for what. */
#include "nbd-plugin/fence/asker.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "kms/client.h"
#include "nbd-plugin/fence/reread.h"

/* How often a new agent is tried for while there is none. */
#define AGENT_CARE_MS 1000

struct asker {
  struct volume *volume;
  struct kms_client *client;
  struct rereader *rereader;
  struct header *header; /* the asker's thread alone, once it runs */
  void (*answered) (void *opaque, struct asker_answer *answer);
  void *opaque;
  int wake_fd;
  pthread_t thread;
  bool thread_runs;

  pthread_mutex_t mutex; /* guards what follows */
  bool has_job, ends;
  struct asker_job job;
};

/* ---- the wraps ---- */

/* Wrap number 0 is the primary; the secondaries follow in the token's order. */
static const struct wrap *
wrap_at (const struct header *header, unsigned number)
{
  const struct token *token = header_token (header);
  const struct wrap *primary = token_primary (token);

  if (number == 0)
    return primary;
  for (size_t i = 0; i < token->wrap_count; i++)
    if (token->wraps[i].role == WRAP_SECONDARY && --number == 0)
      return &token->wraps[i];
  return NULL;
}

static void
describe (const struct header *header, struct asker_wraps *ret)
{
  const struct wrap *wrap;

  memset (ret, 0, sizeof *ret);
  while (ret->count < TOKEN_WRAPS_MAX && (wrap = wrap_at (header, ret->count)) != NULL) {
    if (ret->count == 0)
      snprintf (ret->created, sizeof ret->created, "%s", wrap->created);
    snprintf (ret->keys[ret->count], sizeof ret->keys[0], "%s", wrap->key);
    ret->count++;
  }
}

void
asker_wraps (const struct asker *asker, struct asker_wraps *ret)
{
  describe (asker->header, ret);
}

/* ---- jobs ---- */

/* Something is wrong with this volume's header: what was read can't be served. */
static int
set_header_outcome (struct kms_outcome *outcome, const struct error *err)
{
  bool unreadable = err->class == ERROR_SYSTEM;

  return kms_outcome_set (outcome, unreadable ? KMS_CONFIG : KMS_CORRUPT,
                          unreadable ? "header_unreadable" : "header", "%s", err->text);
}

static int
no_such_wrap (struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_CONFIG, "no_such_wrap",
                          "the header no longer has a wrap in this place");
}

static int
name_wrap (const struct wrap *wrap, struct asker_answer *answer)
{
  if (!wrap)
    return no_such_wrap (&answer->outcome);
  snprintf (answer->key, sizeof answer->key, "%s", wrap->key);
  answer->secondary = wrap->role == WRAP_SECONDARY;
  return 0;
}

static void
check (struct asker *asker, struct asker_answer *answer)
{
  const struct wrap *wrap = wrap_at (asker->header, answer->job.wrap);
  int r = name_wrap (wrap, answer);

  if (r == 0)
    r = kms_client_check (asker->client, wrap, asker->volume->info.uuid, answer->job.fresh,
                          answer->job.timeout_ms, &answer->outcome);
  assert ((r == 0) == (answer->outcome.class == KMS_OK));
}

/* What reading the header has left of the job's time. */
static uint32_t
time_left_ms (uint64_t start_ms, uint32_t timeout_ms)
{
  uint64_t took_ms = clock_ms () - start_ms;

  return took_ms < timeout_ms ? (uint32_t)(timeout_ms - took_ms) : 1;
}

/* A good answer leaves the key in the answer; the header that it fits is the asker's from then on.
 */
static int
unlock (struct asker *asker, struct asker_answer *answer)
{
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_SECRET struct secret volume_key = {0};
  const struct wrap *wrap;
  uint64_t start_ms = clock_ms ();
  struct error err = {0};

  if (reread_header (asker->rereader, answer->job.timeout_ms, &header, &err) < 0)
    return set_header_outcome (&answer->outcome, &err);
  wrap = wrap_at (header, answer->job.wrap);
  if (name_wrap (wrap, answer) < 0
      || kms_client_unwrap (asker->client, wrap, asker->volume->info.uuid, answer->job.fresh,
                            time_left_ms (start_ms, answer->job.timeout_ms), &volume_key,
                            &answer->outcome)
             < 0)
    return -1;
  if (header_verify (header, &volume_key, &err) < 0)
    return set_header_outcome (&answer->outcome, &err);
  describe (header, &answer->wraps);
  answer->has_wraps = true;
  header_free (asker->header);
  asker->header = header;
  header = NULL;
  secret_take (&answer->volume_key, &volume_key);
  return 0;
}

/* The header may have been changed: its primary wrap must give the key that its MAC fits. */
static void
reload (struct asker *asker, struct asker_answer *answer)
{
  if (unlock (asker, answer) == 0)
    secret_clear (&answer->volume_key);
}

static void
ask_expiry (struct asker *asker, struct asker_answer *answer)
{
  const struct wrap *wrap = wrap_at (asker->header, 0);
  int r = name_wrap (wrap, answer);

  if (r == 0)
    r = kms_client_expiry (asker->client, wrap, asker->volume->info.uuid, answer->job.timeout_ms,
                           &answer->expires_unix_s, &answer->outcome);
  assert ((r == 0) == (answer->outcome.class == KMS_OK));
}

static void
do_job (struct asker *asker, struct asker_answer *answer)
{
  switch (answer->job.kind) {
  case ASKER_CHECK:
    check (asker, answer);
    break;
  case ASKER_UNLOCK:
    (void)!unlock (asker, answer); /* the outcome says it */
    break;
  case ASKER_RELOAD:
    reload (asker, answer);
    break;
  case ASKER_EXPIRY:
    ask_expiry (asker, answer);
    break;
  }
}

/* ---- the thread ---- */

static bool
take_job (struct asker *asker, struct asker_job *ret_job, bool *ret_ends)
{
  bool has_job;
  LOCK_FOR_SCOPE (&asker->mutex);

  has_job = asker->has_job;
  *ret_job = asker->job;
  *ret_ends = asker->ends;
  asker->has_job = false;
  return has_job;
}

/* Waits for a job; the agent's end shows as an event on its socket, and it is started again. */
static void
wait_for_job (struct asker *asker)
{
  int agent_fd = kms_client_fd (asker->client);
  struct pollfd pfds[] = {{.fd = asker->wake_fd, .events = POLLIN},
                          {.fd = agent_fd, .events = POLLIN}};
  uint64_t count;
  ssize_t n;

  (void)!poll (pfds, ARRAY_SIZE (pfds), agent_fd < 0 ? AGENT_CARE_MS : -1);
  if (pfds[0].revents) {
    n = read (asker->wake_fd, &count, sizeof count);
    (void)n;
  }
  else
    (void)!kms_client_ensure (asker->client); /* its backoff runs */
}

static void *
run (void *opaque)
{
  struct asker *asker = opaque;

  for (;;) {
    struct asker_answer answer = {0};
    bool ends, has_job = take_job (asker, &answer.job, &ends);

    if (ends)
      return NULL;
    if (!has_job) {
      wait_for_job (asker);
      continue;
    }
    do_job (asker, &answer);
    asker->answered (asker->opaque, &answer);
    secret_clear (&answer.volume_key);
  }
}

void
asker_submit (struct asker *asker, const struct asker_job *job)
{
  {
    LOCK_FOR_SCOPE (&asker->mutex);

    assert (!asker->has_job);
    asker->job = *job;
    asker->has_job = true;
  }
  eventfd_signal (asker->wake_fd);
}

pid_t
asker_agent_pid (const struct asker *asker)
{
  return kms_client_pid (asker->client);
}

/* ---- start and stop ---- */

static int
start_thread (struct asker *asker, struct error *err)
{
  int r;

  asker->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (asker->wake_fd < 0)
    return error_set_errno (err, errno, "making an eventfd");
  r = pthread_create (&asker->thread, NULL, run, asker);
  if (r != 0)
    return error_set_errno (err, r, "starting a thread");
  asker->thread_runs = true;
  return 0;
}

static int
reach_agent (const struct volume *volume, struct kms_client **ret_client, struct error *err)
{
  return volume->params.agent_socket
             ? kms_client_new_at (volume->params.agent_socket, ret_client, err)
             : kms_client_new (volume->agent, ret_client, err);
}

int
asker_start (struct volume *volume, struct header *header,
             void (*answered) (void *opaque, struct asker_answer *answer), void *opaque,
             struct asker **ret_asker, struct error *err)
{
  CLEANUP_HEADER struct header *taken = header;
  struct asker *asker = calloc (1, sizeof *asker);

  if (!asker)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  pthread_mutex_init (&asker->mutex, NULL);
  asker->volume = volume;
  asker->header = taken;
  taken = NULL;
  asker->answered = answered;
  asker->opaque = opaque;
  asker->wake_fd = -1;
  if (reach_agent (volume, &asker->client, err) < 0
      || reread_start (volume, &asker->rereader, err) < 0 || start_thread (asker, err) < 0) {
    asker_stop (asker);
    return -1;
  }
  *ret_asker = asker;
  return 0;
}

void
asker_stop (struct asker *asker)
{
  if (!asker)
    return;
  if (asker->thread_runs) {
    {
      LOCK_FOR_SCOPE (&asker->mutex);
      asker->ends = true;
    }
    eventfd_signal (asker->wake_fd);
    /* A job under way would keep us for as long as it may take. */
    reread_end (asker->rereader);
    kms_client_interrupt (asker->client);
    pthread_join (asker->thread, NULL);
  }
  if (asker->wake_fd >= 0)
    close (asker->wake_fd);
  reread_stop (asker->rereader);
  kms_client_free (asker->client);
  header_free (asker->header);
  pthread_mutex_destroy (&asker->mutex);
  free (asker);
}
