/* sim.c owns opening and closing the simulator's state. */
#include "tools/sim/sim.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/sim/demo-env.h"
#include "tools/sim/log.h"
#include "tools/sim/store.h"

int
sim_init (struct sim *sim, const char *dir, struct error *err)
{
  pthread_condattr_t monotonic;

  memset (sim, 0, sizeof *sim);
  sim->log_fd = -1;
  pthread_condattr_init (&monotonic);
  pthread_condattr_setclock (&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init (&sim->wake, &monotonic);
  pthread_condattr_destroy (&monotonic);
  pthread_mutex_init (&sim->lock, NULL);
  if (store_open (dir, &sim->dir_fd, err) < 0)
    return -1;
  if (log_open (sim, err) < 0) {
    close (sim->dir_fd);
    return -1;
  }
  demo_fill (sim);
  return 0;
}

void
sim_stop (struct sim *sim)
{
  LOCK_FOR_SCOPE (&sim->lock);
  sim->stopping = true;
  pthread_cond_broadcast (&sim->wake);
}

/* The lock stays taken: a command's thread may still come for it. */
void
sim_clear (struct sim *sim)
{
  pthread_mutex_lock (&sim->lock);
  close (sim->log_fd);
  close (sim->dir_fd);
}
