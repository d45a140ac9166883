/* guest-journal.c owns the journal that tests keep in a guest: records that are durable before
 * their numbers are told to the host, and that must all be there afterwards.
 *
 *   guest-journal write FILE PORT     until SIGTERM; for each record "durable NUMBER MILLISECONDS"
 * to PORT, or "failed WHAT: WHY", which ends it guest-journal check FILE LAST     that records 1 to
 * LAST are there and whole
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Not a multiple of the disk's sectors: most records change one that has others in it. */
#define RECORD_BYTES 1536
#define WORDS (RECORD_BYTES / sizeof (uint64_t))

static volatile sig_atomic_t ended;

static void
end (int sig)
{
  (void)sig;
  ended = 1;
}

/* Different in each word of each record (splitmix64). */
static uint64_t
word_of (uint64_t number, size_t i)
{
  uint64_t z = (number << 20 | i) * UINT64_C (0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void
fill (uint64_t number, uint64_t record[WORDS])
{
  for (size_t i = 0; i < WORDS; i++)
    record[i] = word_of (number, i);
}

static int64_t
now_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int
fail (int port, const char *what)
{
  dprintf (port, "failed %s: %s\n", what, strerror (errno));
  return EXIT_FAILURE;
}

static int
write_journal (const char *path, const char *port_path)
{
  struct sigaction action = {.sa_handler = end};
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  int port = open (port_path, O_WRONLY | O_CLOEXEC);
  uint64_t record[WORDS];

  if (fd < 0 || port < 0) {
    perror ("guest-journal");
    return EXIT_FAILURE;
  }
  sigaction (SIGTERM, &action, NULL);
  for (uint64_t number = 1; !ended; number++) {
    fill (number, record);
    if (pwrite (fd, record, sizeof record, (off_t)((number - 1) * RECORD_BYTES)) != RECORD_BYTES)
      return fail (port, "writing");
    if (fsync (fd) < 0)
      return fail (port, "fsync");
    dprintf (port, "durable %" PRIu64 " %" PRId64 "\n", number, now_ms ());
  }
  return EXIT_SUCCESS;
}

static int
check_journal (const char *path, uint64_t last)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  uint64_t record[WORDS], expected[WORDS];

  if (fd < 0) {
    perror (path);
    return EXIT_FAILURE;
  }
  for (uint64_t number = 1; number <= last; number++) {
    fill (number, expected);
    if (pread (fd, record, sizeof record, (off_t)((number - 1) * RECORD_BYTES)) != RECORD_BYTES
        || memcmp (record, expected, sizeof record) != 0) {
      printf ("record %" PRIu64 " of %" PRIu64 " is not there\n", number, last);
      return EXIT_FAILURE;
    }
  }
  printf ("%" PRIu64 " records\n", last);
  return EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "write") == 0)
    return write_journal (argv[2], argv[3]);
  if (argc == 4 && strcmp (argv[1], "check") == 0)
    return check_journal (argv[2], strtoull (argv[3], NULL, 10));
  fprintf (stderr, "usage: guest-journal write FILE PORT | check FILE LAST\n");
  return 2;
}
