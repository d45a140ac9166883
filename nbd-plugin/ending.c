/* ending.c owns what signals to end do to a server, with and without clients. */
#include "nbd-plugin/ending.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"

/* What nbdkit gets to end in its own way: it waits also for who has connected and says nothing. */
#define NBDKIT_MS 1000

enum state { SERVES, ENDS, NBDKIT_ENDS };

static atomic_uint clients;
static atomic_bool telling;  /* while the handler has not yet found who is to end it */
static atomic_bool was_told; /* before clients are counted; a new one counts itself, then looks */
static _Atomic (enum state)
    state;            /* set before anything is closed: who fails for that finds it so */
static sem_t ordered; /* told, and then again when the state has changed */
static pthread_t thread;
static bool thread_runs;
static void (*tell_told) (void);
static void (*stop_all) (void);

/* The first to change it does; whether it is so now. */
static bool
become (enum state wanted)
{
  enum state found = SERVES;

  if (atomic_compare_exchange_strong (&state, &found, wanted)) {
    sem_post (&ordered);
    return true;
  }
  return found == wanted;
}

static void *
run (void *opaque)
{
  struct timespec until;

  (void)opaque;
  while (sem_wait (&ordered) < 0 && errno == EINTR)
    ;
  until = monotonic_after (NBDKIT_MS);
  while (atomic_load (&state) == SERVES && sem_clockwait (&ordered, CLOCK_MONOTONIC, &until) < 0
         && errno == EINTR)
    ;
  if (!become (ENDS))
    return NULL;
  stop_all ();
  /* Not exit: requests are under way in other threads. */
  _exit (EXIT_SUCCESS);
}

/* ---- signals ---- */

/* nbdkit has no callback for "the server was told to end": .cleanup comes when the last client has
 * gone.  So its handlers are called after ours, and only where there are no clients.
 */
static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
static struct sigaction nbdkit_actions[ARRAY_SIZE (signals)];

/* Only the first: what the second would tell may be gone.  Requests that fail for what is told wait
 * until it is known whether they are answered.
 */
static void
on_signal (int sig)
{
  static atomic_flag seen = ATOMIC_FLAG_INIT;
  int e = errno;

  if (atomic_flag_test_and_set (&seen))
    return;
  atomic_store (&telling, true);
  tell_told ();
  atomic_store (&was_told, true);
  sem_post (&ordered);
  if (atomic_load (&clients) == 0 || !become (ENDS))
    for (size_t i = 0; i < ARRAY_SIZE (signals); i++)
      if (signals[i] == sig)
        nbdkit_actions[i].sa_handler (sig);
  atomic_store (&telling, false);
  errno = e;
}

static void
watch_signals (void)
{
  for (size_t i = 0; i < ARRAY_SIZE (signals); i++) {
    struct sigaction action;

    if (sigaction (signals[i], NULL, &nbdkit_actions[i]) < 0
        || (nbdkit_actions[i].sa_flags & SA_SIGINFO) || nbdkit_actions[i].sa_handler == SIG_IGN
        || nbdkit_actions[i].sa_handler == SIG_DFL)
      continue;
    action = nbdkit_actions[i];
    action.sa_handler = on_signal;
    sigaction (signals[i], &action, NULL);
  }
}

int
ending_prepare (void (*told) (void), void (*stop) (void), struct error *err)
{
  int r;

  tell_told = told;
  stop_all = stop;
  if (sem_init (&ordered, 0, 0) < 0)
    return error_set_errno (err, errno, "making a semaphore");
  r = pthread_create (&thread, NULL, run, NULL);
  if (r != 0)
    return error_set_errno (err, r, "starting a thread");
  thread_runs = true;
  watch_signals ();
  return 0;
}

/* Where we end the process ourselves, that is what ends the waiting. */
void
ending_leave_to_nbdkit (void)
{
  if (!thread_runs)
    return;
  (void)!become (NBDKIT_ENDS);
  sem_post (&ordered);
  pthread_join (thread, NULL);
  thread_runs = false;
}

/* ---- connections and requests ---- */

void
ending_add_client (void)
{
  atomic_fetch_add (&clients, 1);
  if (atomic_load (&was_told) && become (ENDS))
    ending_hold ();
}

void
ending_remove_client (void)
{
  atomic_fetch_sub (&clients, 1);
}

void
ending_hold (void)
{
  while (atomic_load (&telling))
    nanosleep (&(struct timespec){.tv_nsec = 100000}, NULL);
  while (atomic_load (&state) == ENDS)
    pause ();
}
