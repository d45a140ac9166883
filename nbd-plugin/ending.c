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
#include <unistd.h>

#include "common/checked.h"

static atomic_uint clients;
static atomic_bool begun; /* set before anything is closed: who fails for that finds it so */
static sem_t ordered;
static void (*tell_told) (void);
static void (*stop_all) (void);

static void *
run (void *opaque)
{
  (void)opaque;
  while (sem_wait (&ordered) < 0 && errno == EINTR)
    ;
  stop_all ();
  /* Not exit: requests are under way in other threads. */
  _exit (EXIT_SUCCESS);
}

/* False when there are no clients. */
static bool
begin (void)
{
  if (atomic_load (&clients) == 0 && !atomic_load (&begun))
    return false;
  atomic_store (&begun, true);
  sem_post (&ordered);
  return true;
}

/* ---- signals ---- */

/* nbdkit has no callback for "the server was told to end": .cleanup comes when the last client has
 * gone.  So its handlers are called after ours, and only where there are no clients.
 */
static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
static struct sigaction nbdkit_actions[ARRAY_SIZE (signals)];

static void
on_signal (int sig)
{
  int e = errno;

  tell_told ();
  for (size_t i = 0; !begin () && i < ARRAY_SIZE (signals); i++)
    if (signals[i] == sig)
      nbdkit_actions[i].sa_handler (sig);
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
  pthread_t thread;
  int r;

  tell_told = told;
  stop_all = stop;
  if (sem_init (&ordered, 0, 0) < 0)
    return error_set_errno (err, errno, "making a semaphore");
  r = pthread_create (&thread, NULL, run, NULL);
  if (r != 0)
    return error_set_errno (err, r, "starting a thread");
  pthread_detach (thread);
  watch_signals ();
  return 0;
}

/* ---- connections and requests ---- */

void
ending_add_client (void)
{
  atomic_fetch_add (&clients, 1);
}

void
ending_remove_client (void)
{
  atomic_fetch_sub (&clients, 1);
}

void
ending_hold (void)
{
  while (atomic_load (&begun))
    pause ();
}
