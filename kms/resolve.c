/* resolve.c owns the question why a name does not resolve. */
#include "kms/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/io.h"

/* Shared by the asking and the resolving thread; the last one of them frees it. */
struct question {
  pthread_mutex_t lock; /* guards what is below */
  pthread_cond_t done;
  bool answered, abandoned;
  int answer; /* getaddrinfo's */
  char host[256];
};

static void
question_free (struct question *q)
{
  pthread_cond_destroy (&q->done);
  pthread_mutex_destroy (&q->lock);
  free (q);
}

static void *
ask (void *arg)
{
  struct question *q = arg;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
  int answer = getaddrinfo (q->host, NULL, &hints, &list);
  bool abandoned;

  if (answer == 0)
    freeaddrinfo (list);
  pthread_mutex_lock (&q->lock);
  q->answer = answer;
  q->answered = true;
  abandoned = q->abandoned;
  pthread_cond_signal (&q->done);
  pthread_mutex_unlock (&q->lock);
  if (abandoned)
    question_free (q);
  return NULL;
}

static struct question *
question_new (const char *host)
{
  struct question *q = calloc (1, sizeof *q);
  pthread_condattr_t attr;

  if (!q)
    return NULL;
  strncpy (q->host, host, sizeof q->host - 1);
  pthread_mutex_init (&q->lock, NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&q->done, &attr);
  pthread_condattr_destroy (&attr);
  return q;
}

static int
start (struct question *q)
{
  pthread_attr_t attr;
  pthread_t thread;
  int r;

  pthread_attr_init (&attr);
  pthread_attr_setdetachstate (&attr, PTHREAD_CREATE_DETACHED);
  r = pthread_create (&thread, &attr, ask, q);
  pthread_attr_destroy (&attr);
  return r;
}

/* Whether the answer came in time; if not, the thread frees the question. */
static bool
wait_for_answer (struct question *q, uint32_t timeout_ms, int *ret_answer)
{
  const struct timespec until = monotonic_after (timeout_ms);
  bool answered;

  pthread_mutex_lock (&q->lock);
  while (!q->answered && pthread_cond_timedwait (&q->done, &q->lock, &until) != ETIMEDOUT)
    ;
  answered = q->answered;
  q->abandoned = !answered;
  *ret_answer = q->answer;
  pthread_mutex_unlock (&q->lock);
  if (answered)
    question_free (q);
  return answered;
}

/* glibc: NXDOMAIN is EAI_NONAME, and a name without addresses EAI_NODATA; a resolver that can't be
 * reached, or is not configured, is EAI_AGAIN.
 */
enum resolve_result
resolve_why (const char *host, uint32_t timeout_ms)
{
  struct question *q = question_new (host);
  int answer = 0;

  if (!q)
    return RESOLVE_FAILED;
  if (start (q) != 0) {
    question_free (q);
    return RESOLVE_FAILED;
  }
  if (!wait_for_answer (q, timeout_ms, &answer))
    return RESOLVE_TIMEOUT;
  if (answer == 0)
    return RESOLVE_OK;
  return answer == EAI_NONAME || answer == EAI_NODATA ? RESOLVE_NXDOMAIN : RESOLVE_FAILED;
}
