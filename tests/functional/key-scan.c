/* key-scan.c owns the search for a volume key in the memory of processes.
 *
 *   key-scan KEY-FILE PID|FILE...
 *
 * looks through every mapping of each process, through /proc/PID/mem (or through a core file, whose
 * name has a slash), for what would give away the
 * 64-byte XTS key in KEY-FILE: the key, either half, any round key of either half's AES-256
 * schedules (encryption: FIPS 197, section 5.2; decryption: the equivalent inverse cipher, section
 * 5.3.5), and the key and its halves as base64 and as hexadecimal digits.  One line for each kind
 * and mapping: "PID KIND MAPPING COUNT", and the exit status is 1 when there was any, 0 when there
 * was none, 2 when it could not look.
 *
 * As root; a process with memory in memfd_secret(2) must have been started without.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/encode.h"

#define PAGE 4096
#define ROUND_KEYS 15
#define PATTERNS_MAX 96
#define PATTERN_MAX 132

struct pattern {
  const char *kind;
  uint8_t bytes[PATTERN_MAX];
  size_t size;
  unsigned long found;
};

static struct pattern patterns[PATTERNS_MAX];
static size_t pattern_count;
static uint8_t starts[65536 / 8]; /* a bit for each pair of bytes that a pattern begins with */

static void
add (const char *kind, const void *bytes, size_t size)
{
  struct pattern *p = &patterns[pattern_count++];
  unsigned start;

  if (pattern_count > PATTERNS_MAX || size > PATTERN_MAX)
    errx (2, "too many patterns, or too long ones");
  p->kind = kind;
  p->size = size;
  memcpy (p->bytes, bytes, size);
  start = (unsigned)p->bytes[0] << 8 | p->bytes[1];
  starts[start / 8] |= (uint8_t)(1 << start % 8);
}

/* ---- AES-256 key expansion ---- */

static uint8_t
times (uint8_t a, uint8_t b)
{
  uint8_t product = 0;

  for (; b; b >>= 1, a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0)))
    if (b & 1)
      product ^= a;
  return product;
}

static uint8_t
substitute (uint8_t x)
{
  uint8_t inverse = 0, y = 0x63;

  for (unsigned i = 1; i < 256 && x; i++)
    if (times (x, (uint8_t)i) == 1)
      inverse = (uint8_t)i;
  for (int i = 0; i < 5; i++)
    y ^= (uint8_t)(inverse << i | inverse >> (8 - i));
  return y;
}

static void
expand (const uint8_t key[32], uint8_t ret[ROUND_KEYS * 16])
{
  uint8_t constant = 1;

  memcpy (ret, key, 32);
  for (size_t i = 8; i < ROUND_KEYS * 4; i++) {
    uint8_t word[4];

    memcpy (word, ret + (i - 1) * 4, 4);
    if (i % 8 == 0) {
      uint8_t first = word[0];

      for (int j = 0; j < 3; j++)
        word[j] = substitute (word[j + 1]);
      word[3] = substitute (first);
      word[0] ^= constant;
      constant = times (constant, 2);
    }
    else if (i % 8 == 4)
      for (int j = 0; j < 4; j++)
        word[j] = substitute (word[j]);
    for (size_t j = 0; j < 4; j++)
      ret[i * 4 + j] = ret[(i - 8) * 4 + j] ^ word[j];
  }
}

static void
inverse_mix (const uint8_t in[16], uint8_t out[16])
{
  static const uint8_t matrix[4] = {14, 11, 13, 9};

  for (size_t column = 0; column < 4; column++)
    for (size_t row = 0; row < 4; row++) {
      uint8_t sum = 0;

      for (size_t i = 0; i < 4; i++)
        sum ^= times (in[column * 4 + i], matrix[(i + 4 - row) % 4]);
      out[column * 4 + row] = sum;
    }
}

/* Words as they are, and each in the other byte order, as some implementations keep them. */
static void
add_round_key (const char *kind, const uint8_t round_key[16])
{
  uint8_t swapped[16];

  for (size_t i = 0; i < 16; i++)
    swapped[i] = round_key[i ^ 3];
  add (kind, round_key, 16);
  add (kind, swapped, 16);
}

static void
add_schedule (const uint8_t half[32])
{
  uint8_t schedule[ROUND_KEYS * 16], mixed[16];

  expand (half, schedule);
  /* The first two are the key itself; every second one is enough to find a schedule. */
  for (size_t i = 2; i < ROUND_KEYS; i += 2)
    add_round_key ("round-key", schedule + i * 16);
  for (size_t i = 2; i < ROUND_KEYS - 1; i += 2) {
    inverse_mix (schedule + i * 16, mixed);
    add_round_key ("inverse-round-key", mixed);
  }
}

/* ---- what to look for ---- */

static void
add_texts (const uint8_t *bytes, size_t size)
{
  char text[2 * 64 + 1];
  char *base64 = base64_encode (bytes, size);

  for (size_t i = 0; i < size; i++)
    sprintf (text + 2 * i, "%02x", bytes[i]);
  add ("hex", text, 2 * size);
  for (size_t i = 0; i < size; i++)
    sprintf (text + 2 * i, "%02X", bytes[i]);
  add ("hex", text, 2 * size);
  /* Without the last group, which depends on what follows. */
  add ("base64", base64, size / 3 * 4);
  free (base64);
}

static void
read_key (const char *path)
{
  uint8_t key[64];
  FILE *f = fopen (path, "re");

  if (!f || fread (key, 1, sizeof key, f) != sizeof key)
    errx (2, "%s holds no 64 bytes", path);
  fclose (f);
  add ("half", key, 16);
  add ("half", key + 16, 16);
  add ("half", key + 32, 16);
  add ("half", key + 48, 16);
  add_texts (key, 64);
  add_texts (key + 32, 32);
  add_schedule (key);
  add_schedule (key + 32);
}

/* ---- looking ---- */

static void
look (const uint8_t *bytes, size_t size, size_t last_start)
{
  for (size_t at = 0; at + 1 < size && at <= last_start; at++) {
    unsigned start = (unsigned)bytes[at] << 8 | bytes[at + 1];

    if (!(starts[start / 8] >> start % 8 & 1))
      continue;
    for (size_t i = 0; i < pattern_count; i++)
      if (at + patterns[i].size <= size
          && memcmp (bytes + at, patterns[i].bytes, patterns[i].size)
                 == 0) /* lint: public, a test's */
        patterns[i].found++;
  }
}

/* Whether the page has contents: present, or swapped out. */
static bool
has_contents (int pagemap, uint64_t address)
{
  uint64_t entry = 0;

  return pread (pagemap, &entry, sizeof entry, (off_t)(address / PAGE * sizeof entry))
             == sizeof entry
         && entry >> 62 != 0;
}

/* Runs of pages with contents, each with the start of the page behind it. */
static void
look_at_mapping (int mem, int pagemap, uint64_t start, uint64_t end)
{
  static uint8_t buf[257 * PAGE];
  uint64_t at = start;

  while (at < end) {
    uint64_t stop = at;
    ssize_t n;

    while (stop < end && stop - at < 256 * PAGE && has_contents (pagemap, stop))
      stop += PAGE;
    if (stop == at) {
      at += PAGE;
      continue;
    }
    n = pread (mem, buf, MIN (stop + PAGE, end) - at, (off_t)at);
    if (n < 0)
      n = pread (mem, buf, stop - at, (off_t)at);
    if (n > 0)
      look (buf, (size_t)n, stop - at - 1);
    at = stop;
  }
}

static bool
report (const char *pid, const char *name)
{
  bool any = false;

  for (size_t i = 0; i < pattern_count; i++) {
    if (patterns[i].found == 0)
      continue;
    any = true;
    printf ("%s %s %s %lu\n", pid, patterns[i].kind, name, patterns[i].found);
    patterns[i].found = 0;
  }
  return any;
}

static bool
look_at_process (const char *pid)
{
  char path[64], line[4352];
  int mem, pagemap;
  FILE *maps;
  bool any = false;

  snprintf (path, sizeof path, "/proc/%s/mem", pid);
  mem = open (path, O_RDONLY | O_CLOEXEC);
  snprintf (path, sizeof path, "/proc/%s/pagemap", pid);
  pagemap = open (path, O_RDONLY | O_CLOEXEC);
  snprintf (path, sizeof path, "/proc/%s/maps", pid);
  maps = fopen (path, "re");
  if (mem < 0 || pagemap < 0 || !maps)
    err (2, "process %s", pid);
  while (fgets (line, sizeof line, maps)) {
    uint64_t start, end;
    char rights[8], name[4096] = "anonymous";

    if (sscanf (line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %*s %4095s", &start, &end, rights, name)
        < 3)
      errx (2, "process %s: %s", pid, line);
    if (strcmp (name, "[vsyscall]") != 0)
      look_at_mapping (mem, pagemap, start, end);
    any |= report (pid, name);
  }
  fclose (maps);
  close (mem);
  close (pagemap);
  return any;
}

static bool
look_at_file (const char *path)
{
  static uint8_t buf[256 * PAGE + PATTERN_MAX];
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  off_t at = 0;
  ssize_t n;

  if (fd < 0)
    err (2, "%s", path);
  while ((n = pread (fd, buf, sizeof buf, at)) > 0) {
    look (buf, (size_t)n, 256 * PAGE - 1);
    at += 256 * PAGE;
  }
  close (fd);
  return report (path, "file");
}

int
main (int argc, char **argv)
{
  bool any = false;

  if (argc < 3)
    errx (2, "usage: key-scan KEY-FILE PID|FILE...");
  read_key (argv[1]);
  for (int i = 2; i < argc; i++)
    any |= strchr (argv[i], '/') ? look_at_file (argv[i]) : look_at_process (argv[i]);
  return any;
}
