/* signals.c owns the catching of signals during a drill. */
#include "tools/drill/signals.h"

#include <signal.h>
#include <stddef.h>

#include "common/checked.h"

static volatile sig_atomic_t first, count;

static void
take_note (int sig)
{
  if (first == 0)
    first = sig;
  count = count + 1;
}

void
signals_catch (void)
{
  static const int deadly[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  struct sigaction action = {.sa_handler = take_note}, before;

  for (size_t i = 0; i < ARRAY_SIZE (deadly); i++)
    if (sigaction (deadly[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
      sigaction (deadly[i], &action, NULL);
  signal (SIGPIPE, SIG_IGN);
}

int
signals_first (void)
{
  return first;
}

int
signals_count (void)
{
  return count;
}
