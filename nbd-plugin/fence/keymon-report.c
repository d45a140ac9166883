/* keymon-report.c owns what others may know of the access to the key, and their commands. */
#include "nbd-plugin/fence/keymon-state.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"

/* The wall clock's time of a moment that is given on the boot clock. */
static int64_t
unix_s_of (uint64_t at_ms)
{
  return (wall_clock_ms () + ((int64_t)at_ms - (int64_t)clock_ms ())) / 1000;
}

static void
snapshot_fence (const struct fence *fence, struct key_snapshot *ret)
{
  uint64_t now_ms = clock_ms ();

  ret->state = fence->state;
  ret->latch = fence->latch;
  snprintf (ret->reason, sizeof ret->reason, "%s", fence->reason);
  snprintf (ret->detail, sizeof ret->detail, "%s", fence->detail);
  snprintf (ret->request_id, sizeof ret->request_id, "%s", fence->request_id);
  ret->by_secondary = fence->state != FENCE_FENCED && fence->held_by != 0;
  ret->since_unix_s = unix_s_of (fence->since_ms);
  if (fence->asked.kind == FENCE_ASK_NOTHING && fence->next_ask_ms != UINT64_MAX)
    ret->next_check_unix_s = unix_s_of (fence->next_ask_ms);
  if (fence->state != FENCE_FENCED && fence->lease_until_ms != 0) {
    ret->lease_until_unix_s = unix_s_of (fence->lease_until_ms);
    ret->lease_left_ms =
        fence->lease_until_ms > now_ms ? (int64_t)(fence->lease_until_ms - now_ms) : 0;
  }
  ret->bound_ms = fence_bound_ms (&fence->config);
}

void
keymon_snapshot (struct keymon *keymon, struct key_snapshot *ret)
{
  pid_t agent_pid = asker_agent_pid (keymon->asker);
  LOCK_FOR_SCOPE (&keymon->mutex);

  memset (ret, 0, sizeof *ret);
  snapshot_fence (&keymon->fence, ret);
  snprintf (ret->key, sizeof ret->key, "%s", keymon->wraps.keys[0]);
  snprintf (ret->key_created, sizeof ret->key_created, "%s", keymon->wraps.created);
  ret->secondaries = keymon->wraps.count - 1;
  ret->key_expires_unix_s = keymon->expires_unix_s;
  ret->last_check_unix_s = keymon->last_check_unix_s;
  ret->fences = keymon->history.fences;
  ret->last_wipe_us = keymon->last_wipe_us;
  memcpy (ret->checks, keymon->history.classes, sizeof ret->checks);
  ret->agent_pid = agent_pid;
  if (keymon->quitted)
    ret->next_check_unix_s = 0;
}

void
keymon_report_history (struct keymon *keymon, struct json *json)
{
  LOCK_FOR_SCOPE (&keymon->mutex);

  history_report (&keymon->history, json);
}

uint64_t
keymon_command (struct keymon *keymon, enum desk_command command, const char *text)
{
  uint64_t ticket;

  {
    LOCK_FOR_SCOPE (&keymon->mutex);
    ticket = keymon->quitted ? 0 : desk_add (&keymon->desk, command, text);
  }
  eventfd_signal (keymon->wake_fd);
  return ticket;
}

bool
keymon_result (struct keymon *keymon, uint64_t ticket, struct desk_result *ret)
{
  LOCK_FOR_SCOPE (&keymon->mutex);

  return desk_collect (&keymon->desk, ticket, ret);
}

void
keymon_forget (struct keymon *keymon, uint64_t ticket)
{
  LOCK_FOR_SCOPE (&keymon->mutex);

  desk_forget (&keymon->desk, ticket);
}

int
keymon_result_fd (const struct keymon *keymon)
{
  return keymon->result_fd;
}
