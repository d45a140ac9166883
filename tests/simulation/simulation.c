/* simulation.c owns the program: seeds in, what was seen and broken out.
 *
 *   fence-simulation [--seeds N] [--from SEED] [--jobs N]    many seeds
 *   fence-simulation --seed SEED [--trace]                   one of them, as it went
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "tests/simulation/world.h"

#define JOBS_MAX 64
#define COVERING 20000 /* so many seeds must have seen everything */

/* What a worker has done; shared with the parent. */
struct work {
  uint64_t seeds, served_permille, counts[WATCH_COUNTS];
};

struct shared {
  atomic_bool stop; /* a seed has failed: no worker starts another */
  struct work work[JOBS_MAX];
};

static void
fail (uint64_t seed, const struct watch *watch)
{
  printf ("seed %" PRIu64 " breaks: %s\n"
          "replay it:  fence-simulation --seed %" PRIu64 " --trace\n",
          seed, watch->broken, seed);
}

static int
run_one (uint64_t seed, bool trace)
{
  struct watch watch;

  world_run (seed, trace, &watch);
  if (watch.broken) {
    fail (seed, &watch);
    return 1;
  }
  printf ("seed %" PRIu64 ": all promises kept\n", seed);
  return 0;
}

/* The seeds from + job, from + job + jobs … */
static int
work (struct shared *shared, unsigned job, unsigned jobs, uint64_t from, uint64_t seeds)
{
  struct work *done = &shared->work[job];

  for (uint64_t i = job; i < seeds && !atomic_load (&shared->stop); i += jobs) {
    struct watch watch;

    world_run (from + i, false, &watch);
    done->seeds++;
    done->served_permille = MAX (done->served_permille, watch.served_permille);
    for (size_t c = 0; c < WATCH_COUNTS; c++)
      done->counts[c] += watch.counts[c];
    if (watch.broken) {
      if (!atomic_exchange (&shared->stop, true)) {
        world_run (from + i, true, &watch);
        fail (from + i, &watch);
      }
      return 1;
    }
  }
  return 0;
}

static int
wait_for (unsigned jobs)
{
  int failed = 0, status;

  for (unsigned i = 0; i < jobs; i++)
    if (wait (&status) < 0 || status != 0)
      failed = 1;
  return failed;
}

/* A simulation that has not seen something can't say anything about it. */
static int
summarize (const struct shared *shared, unsigned jobs, double seconds)
{
  struct work sum = {0};
  int failed = 0;

  for (unsigned i = 0; i < jobs; i++) {
    sum.seeds += shared->work[i].seeds;
    sum.served_permille = MAX (sum.served_permille, shared->work[i].served_permille);
    for (size_t c = 0; c < WATCH_COUNTS; c++)
      sum.counts[c] += shared->work[i].counts[c];
  }
  for (size_t c = 0; c < WATCH_COUNTS; c++) {
    printf ("%12" PRIu64 "  %s\n", sum.counts[c], watch_count_name ((enum watch_count)c));
    if (sum.counts[c] == 0 && sum.seeds >= COVERING)
      failed = 1;
  }
  printf ("%" PRIu64 " seeds in %.1f s, %.0f a second; a revoked volume was served for at most "
          "%.1f %% of its bound\n",
          sum.seeds, seconds, (double)sum.seeds / seconds, (double)sum.served_permille / 10);
  if (sum.seeds >= COVERING && (failed || sum.served_permille < 950)) {
    puts ("not everything was tried: see the counts");
    return 1;
  }
  return 0;
}

static int
run_many (uint64_t from, uint64_t seeds, unsigned jobs)
{
  struct shared *shared =
      mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  struct timespec start, end;

  if (shared == MAP_FAILED)
    return 1;
  clock_gettime (CLOCK_MONOTONIC, &start);
  fflush (stdout);
  for (unsigned i = 0; i < jobs; i++) {
    pid_t pid = fork ();

    if (pid < 0)
      return 1;
    if (pid == 0)
      exit (work (shared, i, jobs, from, seeds));
  }
  if (wait_for (jobs) != 0)
    return 1;
  clock_gettime (CLOCK_MONOTONIC, &end);
  return summarize (shared, jobs,
                    (double)(end.tv_sec - start.tv_sec)
                        + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
}

int
main (int argc, char *argv[])
{
  static const struct option options[] = {
      {"seeds", required_argument, NULL, 'n'}, {"from", required_argument, NULL, 'f'},
      {"seed", required_argument, NULL, 's'},  {"jobs", required_argument, NULL, 'j'},
      {"trace", no_argument, NULL, 't'},       {0}};
  uint64_t seeds = 100000, from = 0, seed = 0;
  unsigned jobs = (unsigned)sysconf (_SC_NPROCESSORS_ONLN);
  bool one = false, trace = false;
  int c;

  while ((c = getopt_long (argc, argv, "", options, NULL)) != -1) {
    switch (c) {
    case 'n':
      seeds = strtoull (optarg, NULL, 10);
      break;
    case 'f':
      from = strtoull (optarg, NULL, 10);
      break;
    case 's':
      seed = strtoull (optarg, NULL, 10);
      one = true;
      break;
    case 'j':
      jobs = (unsigned)strtoul (optarg, NULL, 10);
      break;
    case 't':
      trace = true;
      break;
    default:
      fputs ("usage: fence-simulation [--seeds N] [--from SEED] [--jobs N]\n"
             "       fence-simulation --seed SEED [--trace]\n",
             stderr);
      return 2;
    }
  }
  wire_init ();
  if (one)
    return run_one (seed, trace);
  return run_many (from, seeds, MIN (MAX (jobs, 1), JOBS_MAX));
}
