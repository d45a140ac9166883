/* client.c owns a call to the agent: one at a time, each with its own reply socket and deadline. */
#include "kms/client.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "kms/message.h"
#include "kms/process.h"

#define TIMEOUT_MAX_MS (3600 * 1000)

/* Who has less time left than this, or than a quarter of its time-out, after waiting for its turn
 * does not ask any more: an agent that can't answer in time would be killed for nothing.
 */
#define ASK_MIN_MS 250

/* What the agent keeps of a call's time for its answer. */
#define SAYING_SO_MIN_MS 150
#define SAYING_SO_MAX_MS 500

struct kms_client {
  pthread_mutex_t lock; /* guards busy */
  pthread_cond_t free;  /* busy has become false; waits on CLOCK_MONOTONIC */
  bool busy;            /* a thread has its turn: agent is that thread's, for a whole call */
  struct agent_process agent;
};

/* ---- turns: a mutex whose waiting ends at a time-out that no clock setting moves ---- */

static void
init_turns (struct kms_client *client)
{
  pthread_condattr_t attr;

  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&client->free, &attr);
  pthread_condattr_destroy (&attr);
  pthread_mutex_init (&client->lock, NULL);
}

/* Waits for other threads' calls, as long as time is left for one's own. */
static int
take_turn (struct kms_client *client, uint32_t limit_ms, struct kms_outcome *outcome)
{
  const uint32_t wait_ms = limit_ms - MIN (limit_ms / 4, ASK_MIN_MS);
  const struct timespec until = monotonic_after (wait_ms);
  LOCK_FOR_SCOPE (&client->lock);

  while (client->busy)
    if (pthread_cond_timedwait (&client->free, &client->lock, &until) == ETIMEDOUT && client->busy)
      return kms_outcome_set (outcome, KMS_OUTAGE, "agent_busy",
                              "other calls to the agent took %u of the %u ms of this one",
                              (unsigned)wait_ms, (unsigned)limit_ms);
  client->busy = true;
  return 0;
}

static void
give_turn (struct kms_client *client)
{
  LOCK_FOR_SCOPE (&client->lock);

  client->busy = false;
  pthread_cond_signal (&client->free);
}

/* ---- life ---- */

static int
client_new (const char *path, bool connects, struct kms_client **ret_client, struct error *err)
{
  struct kms_client *client = calloc (1, sizeof *client);

  if (!client || agent_process_init (&client->agent, path, connects) < 0) {
    free (client);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  init_turns (client);
  *ret_client = client;
  return 0;
}

int
kms_client_new (const char *agent_path, struct kms_client **ret_client, struct error *err)
{
  return client_new (agent_path, false, ret_client, err);
}

int
kms_client_new_at (const char *socket_path, struct kms_client **ret_client, struct error *err)
{
  return client_new (socket_path, true, ret_client, err);
}

void
kms_client_free (struct kms_client *client)
{
  if (!client)
    return;
  agent_process_clear (&client->agent);
  pthread_cond_destroy (&client->free);
  pthread_mutex_destroy (&client->lock);
  free (client);
}

void
cleanup_kms_client (struct kms_client **client)
{
  kms_client_free (*client);
}

pid_t
kms_client_pid (struct kms_client *client)
{
  return client->agent.pid;
}

int
kms_client_fd (struct kms_client *client)
{
  return client->agent.fd;
}

void
kms_client_interrupt (struct kms_client *client)
{
  agent_process_interrupt (&client->agent);
}

int
kms_client_ensure (struct kms_client *client)
{
  struct kms_outcome outcome;
  int r;

  if (take_turn (client, TIMEOUT_MAX_MS, &outcome) < 0)
    return -1;
  r = agent_process_ensure (&client->agent, &outcome);
  give_turn (client);
  return r;
}

/* ---- one call ---- */

/* What a call sends and what comes back. */
struct exchange {
  struct kms_call call;
  uint64_t start_ms, deadline_ms; /* of waiting and asking together */
  const struct secret *send; /* a raw packet behind the call: a volume key, or a notification */
  struct secret ret_key;
  struct kms_reply reply;
  char packet[MESSAGE_MAX];
};

#define CLEANUP_EXCHANGE CLEANUP (cleanup_exchange)

static void
cleanup_exchange (struct exchange **exchange)
{
  if (*exchange)
    secret_clear (&(*exchange)->ret_key);
  free (*exchange);
}

/* Why no answer came: `r` is what packet_send or packet_recv returned. */
static int
no_answer (const struct exchange *exchange, int r, struct kms_outcome *outcome)
{
  switch (r) {
  case 0:
  case -EPIPE:
  case -ECONNRESET:
    return kms_outcome_set (outcome, KMS_OUTAGE, "agent_died",
                            "the agent, or its child for this operation, ended without an answer; "
                            "it is started again");
  case -ETIMEDOUT:
    return kms_outcome_set (outcome, KMS_OUTAGE, "agent_timeout",
                            "the agent gave no answer within %u ms and was killed; it is started "
                            "again",
                            (unsigned)exchange->call.timeout_ms);
  case -EMSGSIZE:
    return kms_outcome_set (outcome, KMS_OUTAGE, "agent_reply", "the agent's answer is too long");
  default:
    return kms_outcome_set (outcome, KMS_OUTAGE, "agent_io", "speaking to the agent failed: %s",
                            strerrordesc_np (-r));
  }
}

static int
bad_answer (struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_OUTAGE, "agent_reply",
                          "the agent's answer makes no sense; is it of the same version?");
}

/* A tenth, but enough for a child's start and end, and for a busy machine. */
static uint32_t
saying_so_ms (uint32_t timeout_ms)
{
  return MIN (MAX (timeout_ms / 10, MIN (timeout_ms / 2, SAYING_SO_MIN_MS)), SAYING_SO_MAX_MS);
}

static int
send_call (int agent_fd, int reply_fd, int their_fd, const struct exchange *exchange,
           struct kms_outcome *outcome)
{
  const uint64_t deadline_ms = exchange->deadline_ms, now_ms = clock_ms ();
  struct kms_call call = exchange->call;
  CLEANUP_FREE char *text = NULL;
  int r;

  /* A provider that runs out of time should be the one to say so: it knows on what, and the agent
   * that does not is killed.
   */
  call.timeout_ms = now_ms < deadline_ms ? (uint32_t)(deadline_ms - now_ms) : 1;
  call.timeout_ms -= saying_so_ms (call.timeout_ms);
  text = message_print_call (&call);
  if (!text)
    return no_answer (exchange, -ENOMEM, outcome);
  r = packet_send (agent_fd, text, strlen (text), their_fd, deadline_ms);
  if (r == 0 && exchange->send)
    r = packet_send (reply_fd, exchange->send->bytes, exchange->send->size, -1, deadline_ms);
  return r < 0 ? no_answer (exchange, r, outcome) : 0;
}

/* The raw key behind an ok, straight into secret memory. */
static int
receive_key (int reply_fd, struct exchange *exchange, struct kms_outcome *outcome)
{
  struct error err;
  ssize_t n;

  if (secret_init (&exchange->ret_key, VOLUME_KEY_SIZE, &err) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "%s", err.text);
  n = packet_recv (reply_fd, exchange->ret_key.bytes, exchange->ret_key.size, NULL,
                   exchange->deadline_ms);
  if (n <= 0)
    return no_answer (exchange, (int)n, outcome);
  return (size_t)n == exchange->ret_key.size ? 0 : bad_answer (outcome);
}

static int
receive_reply (int reply_fd, struct exchange *exchange, struct kms_outcome *outcome)
{
  const struct operation_traits *op = operation_traits (exchange->call.operation);
  ssize_t n = packet_recv (reply_fd, exchange->packet, sizeof exchange->packet, NULL,
                           exchange->deadline_ms);

  if (n <= 0)
    return no_answer (exchange, (int)n, outcome);
  if (message_parse_reply (exchange->call.operation, exchange->packet, (size_t)n, &exchange->reply)
      < 0)
    return bad_answer (outcome);
  if (op->reply_sends_key && exchange->reply.outcome.class == KMS_OK)
    return receive_key (reply_fd, exchange, outcome);
  return 0;
}

/* 0 when there is an answer, whatever it is; -1 with *outcome when there is none. */
static int
ask (int agent_fd, struct exchange *exchange, struct kms_outcome *outcome)
{
  CLEANUP_CLOSE int ours = -1;
  int fds[2], r;

  r = packet_pair (fds);
  if (r < 0)
    return no_answer (exchange, r, outcome);
  ours = fds[0];
  r = send_call (agent_fd, ours, fds[1], exchange, outcome);
  /* Ours would keep the socket open when the agent's copies are gone. */
  close (fds[1]);
  return r < 0 ? r : receive_reply (ours, exchange, outcome);
}

static int
call_in_turn (struct kms_client *client, struct exchange *exchange, struct kms_outcome *outcome)
{
  if (agent_process_ensure (&client->agent, outcome) < 0)
    return -1;
  if (ask (client->agent.fd, exchange, outcome) < 0) {
    /* Nothing that it would say from now on could be trusted to belong to a question. */
    agent_process_kill (&client->agent);
    outcome->duration_ms = (uint32_t)(clock_ms () - exchange->start_ms);
    return -1;
  }
  *outcome = exchange->reply.outcome;
  return outcome->class == KMS_OK ? 0 : -1;
}

/* The whole call, from a filled-in exchange to *outcome. */
static int
call (struct kms_client *client, struct exchange *exchange, uint32_t timeout_ms,
      struct kms_outcome *outcome)
{
  int r;

  *outcome = (struct kms_outcome){0};
  exchange->call.timeout_ms = MIN (MAX (timeout_ms, 1), TIMEOUT_MAX_MS);
  exchange->start_ms = clock_ms ();
  exchange->deadline_ms = exchange->start_ms + exchange->call.timeout_ms;
  if (take_turn (client, exchange->call.timeout_ms, outcome) < 0)
    return -1;
  r = call_in_turn (client, exchange, outcome);
  give_turn (client);
  return r;
}

/* ---- the calls ---- */

/* `ret` has `max` bytes; what does not fit is the caller's mistake. */
static int
set_text (const char *what, const char *value, char *ret, size_t max, struct kms_outcome *outcome)
{
  if (snprintf (ret, max, "%s", value ? value : "") < (int)max && kms_text_clean (ret))
    return 0;
  return kms_outcome_set (outcome, KMS_CONFIG, "bad_request",
                          "the %s is longer than %zu bytes, or not printable text: %.100s", what,
                          max - 1, value);
}

/* NULL with *outcome when that can't be asked. */
static struct exchange *
exchange_new (enum kms_operation operation, const char *key, const char *volume, const char *region,
              struct kms_outcome *outcome)
{
  CLEANUP_EXCHANGE struct exchange *exchange = calloc (1, sizeof *exchange);
  struct exchange *made;

  *outcome = (struct kms_outcome){0};
  if (!exchange) {
    kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
    return NULL;
  }
  exchange->call.operation = operation;
  if (set_text ("key's name", key, exchange->call.key, sizeof exchange->call.key, outcome) < 0
      || set_text ("volume's uuid", volume, exchange->call.volume, sizeof exchange->call.volume,
                   outcome)
             < 0
      || set_text ("region", region, exchange->call.region, sizeof exchange->call.region, outcome)
             < 0)
    return NULL;
  made = exchange;
  exchange = NULL;
  return made;
}

/* One about a wrap that is there. */
static struct exchange *
exchange_about (enum kms_operation operation, const struct wrap *wrap, const char *volume,
                bool fresh, struct kms_outcome *outcome)
{
  struct exchange *exchange = exchange_new (operation, wrap->key, volume, NULL, outcome);

  if (exchange) {
    exchange->call.wrap = *wrap;
    exchange->call.fresh = fresh;
  }
  return exchange;
}

int
kms_client_unwrap (struct kms_client *client, const struct wrap *wrap, const char *volume,
                   bool fresh, uint32_t timeout_ms, struct secret *ret_volume_key,
                   struct kms_outcome *outcome)
{
  CLEANUP_EXCHANGE struct exchange *exchange =
      exchange_about (KMS_OPERATION_UNWRAP, wrap, volume, fresh, outcome);

  if (!exchange || call (client, exchange, timeout_ms, outcome) < 0)
    return -1;
  secret_take (ret_volume_key, &exchange->ret_key);
  return 0;
}

int
kms_client_check (struct kms_client *client, const struct wrap *wrap, const char *volume,
                  bool fresh, uint32_t timeout_ms, struct kms_outcome *outcome)
{
  CLEANUP_EXCHANGE struct exchange *exchange =
      exchange_about (KMS_OPERATION_CHECK, wrap, volume, fresh, outcome);

  return exchange ? call (client, exchange, timeout_ms, outcome) : -1;
}

int
kms_client_expiry (struct kms_client *client, const struct wrap *wrap, const char *volume,
                   uint32_t timeout_ms, int64_t *ret_expires_unix_s, struct kms_outcome *outcome)
{
  CLEANUP_EXCHANGE struct exchange *exchange =
      exchange_about (KMS_OPERATION_EXPIRY, wrap, volume, false, outcome);

  if (!exchange || call (client, exchange, timeout_ms, outcome) < 0)
    return -1;
  *ret_expires_unix_s = exchange->reply.expires_unix_s;
  return 0;
}

int
kms_client_generate (struct kms_client *client, const char *key, const char *volume,
                     uint32_t timeout_ms, struct secret *ret_volume_key, struct wrap *ret_wrap,
                     struct kms_outcome *outcome)
{
  CLEANUP_EXCHANGE struct exchange *exchange =
      exchange_new (KMS_OPERATION_GENERATE, key, volume, NULL, outcome);

  if (!exchange || call (client, exchange, timeout_ms, outcome) < 0)
    return -1;
  *ret_wrap = exchange->reply.wrap;
  secret_take (ret_volume_key, &exchange->ret_key);
  return 0;
}

int
kms_client_wrap (struct kms_client *client, const char *key, const char *volume,
                 const struct secret *volume_key, uint32_t timeout_ms, struct wrap *ret_wrap,
                 struct kms_outcome *outcome)
{
  CLEANUP_EXCHANGE struct exchange *exchange =
      exchange_new (KMS_OPERATION_WRAP, key, volume, NULL, outcome);

  if (!exchange)
    return -1;
  exchange->send = volume_key;
  if (call (client, exchange, timeout_ms, outcome) < 0)
    return -1;
  *ret_wrap = exchange->reply.wrap;
  return 0;
}

int
kms_client_notify (struct kms_client *client, const struct secret *message, uint32_t timeout_ms,
                   struct kms_outcome *outcome)
{
  CLEANUP_EXCHANGE struct exchange *exchange =
      exchange_new (KMS_OPERATION_NOTIFY, NULL, NULL, NULL, outcome);

  if (!exchange)
    return -1;
  exchange->send = message;
  return call (client, exchange, timeout_ms, outcome);
}

int
kms_client_inspect (struct kms_client *client, const struct kms_inspection *what,
                    uint32_t timeout_ms, struct kms_report *ret_report, struct kms_outcome *outcome)
{
  enum kms_operation operation = what->wrap ? KMS_OPERATION_INSPECT_WRAP : KMS_OPERATION_INSPECT;
  CLEANUP_EXCHANGE struct exchange *exchange =
      exchange_new (operation, what->key, what->volume, what->region, outcome);

  if (!exchange)
    return -1;
  exchange->call.run_only = what->run_only;
  if (what->wrap)
    exchange->call.wrap = *what->wrap;
  if (call (client, exchange, timeout_ms, outcome) < 0)
    return -1;
  *ret_report = exchange->reply.report;
  return 0;
}
