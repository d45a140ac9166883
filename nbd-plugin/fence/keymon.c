/* keymon.c owns the thread that watches over the access to the key. */
#include "nbd-plugin/fence/keymon.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "kms/client.h"
#include "nbd-plugin/fence/keymon-state.h"

/* What requests that run get to end after the server was told to: then the keys go, whoever still
 * holds a connection.
 */
#define QUIT_MS 5000

/* The highest that a thread with an ordinary priority can't preempt, and the lowest such. */
#define REALTIME_PRIORITY 1

/* Called by the asker's thread.  Once all is closed for good no key is taken any more: nobody would
 * wipe it before the last client has gone.
 */
static void
answered (void *opaque, struct asker_answer *answer)
{
  struct keymon *keymon = opaque;

  {
    LOCK_FOR_SCOPE (&keymon->mutex);
    if (keymon->quitted)
      return;
    secret_clear (&keymon->answer.volume_key);
    keymon->answer = *answer;
    memset (&keymon->answer.volume_key, 0, sizeof keymon->answer.volume_key);
    secret_take (&keymon->answer.volume_key, &answer->volume_key);
    keymon->has_answer = true;
  }
  eventfd_signal (keymon->wake_fd);
}

/* Called by the settler's thread. */
static void
settled (void *opaque, int result, uint64_t took_ms)
{
  struct keymon *keymon = opaque;
  struct tell_event event = {.time_unix_ms = wall_clock_ms (), .event = "flushed"};

  if (result < 0)
    snprintf (event.detail, sizeof event.detail,
              "after the fence, making acknowledged writes durable failed: %s",
              strerrordesc_np (-result));
  else
    snprintf (event.detail, sizeof event.detail,
              "all acknowledged writes are durable (%llu ms after the fence)",
              (unsigned long long)took_ms);
  tell_event (keymon->teller, &event);
}

/* ---- the thread ---- */

static void
drain (int fd)
{
  uint64_t count;
  ssize_t n = read (fd, &count, sizeof count);

  (void)n;
}

static void
arm (struct keymon *keymon, uint64_t at_ms)
{
  struct itimerspec spec = {0};

  if (at_ms != UINT64_MAX) {
    at_ms = MAX (at_ms, 1); /* zeros would disarm it; the past fires at once */
    spec.it_value.tv_sec = (time_t)(at_ms / 1000);
    spec.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000;
  }
  timerfd_settime (keymon->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void
begin_to_quit (struct keymon *keymon)
{
  if (keymon->quit_at_ms == 0)
    keymon->quit_at_ms = clock_ms () + QUIT_MS;
  gate_release (&keymon->volume->gate);
}

/* Whether the first try for the key has come to its end, one way or the other, or nobody waits for
 * it any more.  A second one may follow at once: it shows by asking the primary again.
 */
static bool
is_first_round_over (const struct keymon *keymon)
{
  const struct fence *fence = &keymon->fence;
  const struct fence_ask *asked = &fence->asked;

  if (fence->state != FENCE_FENCED || fence->latch != FENCE_NOT_LATCHED || keymon->quit_at_ms != 0)
    return true;
  if (asked->kind == FENCE_ASK_NOTHING)
    return fence->next_ask_ms > clock_ms ();
  return fence->asked_late || (asked->wrap == 0 && asked->ticket > 1);
}

static void
note_first_round (struct keymon *keymon)
{
  if (keymon->first_round_over || !is_first_round_over (keymon))
    return;
  keymon->first_round_over = true;
  if (keymon->fence.state == FENCE_FENCED)
    keymon_tell_state (keymon, "starting");
  pthread_cond_signal (&keymon->started);
}

/* False when the thread shall end. */
static bool
turn (struct keymon *keymon, bool told_to_quit)
{
  LOCK_FOR_SCOPE (&keymon->mutex);

  if (keymon->ends)
    return false;
  if (told_to_quit)
    begin_to_quit (keymon);
  if (!keymon->quitted) {
    keymon_step (keymon);
    note_first_round (keymon);
    if (keymon->quit_at_ms != 0 && clock_ms () >= keymon->quit_at_ms)
      keymon_close_for_good (keymon);
  }
  arm (keymon, keymon->quitted ? UINT64_MAX : keymon_next_ms (keymon));
  if (desk_find (&keymon->desk, DESK_DONE))
    eventfd_signal (keymon->result_fd);
  return true;
}

static void *
run (void *opaque)
{
  struct keymon *keymon = opaque;
  const struct sched_param priority = {.sched_priority = REALTIME_PRIORITY};
  struct pollfd pfds[] = {{.fd = keymon->wake_fd, .events = POLLIN},
                          {.fd = keymon->timer_fd, .events = POLLIN},
                          {.fd = keymon->quit_fd, .events = POLLIN}};
  bool told_to_quit = false;

  /* Where it may: a fence must not wait for its turn among the threads that it is to stop. */
  pthread_setschedparam (pthread_self (), SCHED_FIFO, &priority);
  while (turn (keymon, told_to_quit)) {
    (void)!poll (pfds, ARRAY_SIZE (pfds), -1);
    for (size_t i = 0; i < ARRAY_SIZE (pfds); i++)
      if (pfds[i].revents)
        drain (pfds[i].fd);
    told_to_quit = pfds[2].revents != 0;
  }
  return NULL;
}

/* ---- start and stop ---- */

static void
init_fence (struct keymon *keymon)
{
  const struct params *params = &keymon->volume->params;
  uint64_t now_ms = clock_ms ();
  struct fence_config config = {.check_interval_ms = params->check_interval_ms,
                                .check_timeout_ms = params->check_timeout_ms,
                                .confirm_delay_ms = params->confirm_delay_ms,
                                .grace_ms = params->grace_ms,
                                .recover_window_ms = params->recover_window_ms,
                                .recover_manual = params->recover_manual,
                                .wrap_count = keymon->wraps.count,
                                .seed = (uint32_t)now_ms ^ (uint32_t)getpid ()};

  fence_init (&keymon->fence, &config, now_ms);
}

static void
init_mutex (pthread_mutex_t *mutex)
{
  pthread_mutexattr_t attributes;

  pthread_mutexattr_init (&attributes);
  pthread_mutexattr_setprotocol (&attributes, PTHREAD_PRIO_INHERIT);
  if (pthread_mutex_init (mutex, &attributes) != 0)
    pthread_mutex_init (mutex, NULL);
  pthread_mutexattr_destroy (&attributes);
}

static struct keymon *
keymon_new (struct volume *volume, struct teller *teller)
{
  struct keymon *keymon = calloc (1, sizeof *keymon);

  if (!keymon)
    return NULL;
  keymon->volume = volume;
  keymon->teller = teller;
  keymon->expires_unix_s = keymon->last_wipe_us = KEYMON_UNKNOWN;
  keymon->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  keymon->quit_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  keymon->result_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  keymon->timer_fd = timerfd_create (CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  init_mutex (&keymon->mutex);
  pthread_cond_init (&keymon->started, NULL);
  return keymon;
}

static int
start_thread (struct keymon *keymon, struct error *err)
{
  int r;

  if (keymon->wake_fd < 0 || keymon->quit_fd < 0 || keymon->result_fd < 0 || keymon->timer_fd < 0)
    return error_set_errno (err, EMFILE, "making an eventfd");
  r = pthread_create (&keymon->thread, NULL, run, keymon);
  if (r != 0)
    return error_set_errno (err, r, "starting a thread");
  keymon->thread_runs = true;
  return 0;
}

int
keymon_start (struct volume *volume, struct header *header, struct teller *teller,
              struct keymon **ret_keymon, struct error *err)
{
  CLEANUP_HEADER struct header *taken = header;
  struct keymon *keymon = keymon_new (volume, teller);

  if (!keymon)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  header = taken;
  taken = NULL;
  if (asker_start (volume, header, answered, keymon, &keymon->asker, err) < 0
      || settle_start (&volume->backing, settled, keymon, &keymon->settler, err) < 0)
    goto err;
  asker_wraps (keymon->asker, &keymon->wraps);
  init_fence (keymon);
  if (start_thread (keymon, err) < 0)
    goto err;
  *ret_keymon = keymon;
  return 0;

err:
  keymon_stop (keymon);
  return -1;
}

int
keymon_await (struct keymon *keymon, struct error *err)
{
  LOCK_FOR_SCOPE (&keymon->mutex);

  while (!keymon->first_round_over)
    pthread_cond_wait (&keymon->started, &keymon->mutex);
  if (keymon->fence.state != FENCE_FENCED
      || (keymon->fence.latch != FENCE_LATCH_CORRUPT && !keymon->volume->params.require_key))
    return 0;
  if (keymon->last.class == KMS_OK)
    return error_set (err, ERROR_UNAVAILABLE, "%s: the start was broken off without the key: %s",
                      keymon->volume->params.path, keymon->fence.detail);
  return kms_outcome_error (&keymon->last, err);
}

void
keymon_quit (struct keymon *keymon)
{
  eventfd_signal (keymon->quit_fd);
}

static void
end_thread (struct keymon *keymon)
{
  {
    LOCK_FOR_SCOPE (&keymon->mutex);
    keymon->ends = true;
  }
  eventfd_signal (keymon->wake_fd);
  pthread_join (keymon->thread, NULL);
}

void
keymon_stop (struct keymon *keymon)
{
  const int fds[] = {keymon ? keymon->wake_fd : -1, keymon ? keymon->quit_fd : -1,
                     keymon ? keymon->result_fd : -1, keymon ? keymon->timer_fd : -1};

  if (!keymon)
    return;
  if (keymon->thread_runs)
    end_thread (keymon);
  /* Once nobody can key them again. */
  gate_close (&keymon->volume->gate);
  gate_release (&keymon->volume->gate);
  keys_wipe (keymon->volume->keys);
  asker_stop (keymon->asker);
  secret_clear (&keymon->answer.volume_key);
  settle_stop (keymon->settler);
  for (size_t i = 0; i < ARRAY_SIZE (fds); i++)
    if (fds[i] >= 0)
      close (fds[i]);
  pthread_cond_destroy (&keymon->started);
  pthread_mutex_destroy (&keymon->mutex);
  free (keymon);
}
