/* nbd-io.c owns one NBD request at a time, as a test script words it.
 *
 *   nbd-io URI COMMAND...          each COMMAND is one argument:
 *
 *   "write OFFSET SIZE BYTE [fua]"    SIZE times that byte
 *   "read OFFSET SIZE BYTE"           all of them must be that byte
 *   "zero OFFSET SIZE [fua] [no-hole] [fast]"
 *   "trim OFFSET SIZE [fua]"
 *   "cache OFFSET SIZE"
 *   "flush"
 *   "extents OFFSET SIZE"             prints a line "OFFSET SIZE data|hole|zero|hole,zero" for each
 *   "size"                            prints the size of the export
 *
 * "!EIO COMMAND" must fail with that error.  Sizes take suffixes (4k, 1M, 16T).  The exit status is
 * 1 at the first thing that is not as the script says.
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/parse.h"

struct command {
  const char *text;
  const char *name;
  uint64_t offset, size;
  uint8_t byte;
  uint32_t flags;
};

/* The wire knows no more than these. */
static const struct {
  const char *name;
  int errnum;
} errors[] = {
    {"EPERM", EPERM},         {"EIO", EIO},       {"ENOMEM", ENOMEM},
    {"EINVAL", EINVAL},       {"ENOSPC", ENOSPC}, {"ENOTSUP", EOPNOTSUPP},
    {"ESHUTDOWN", ESHUTDOWN},
};

static int
errnum_of (const char *name)
{
  for (size_t i = 0; i < ARRAY_SIZE (errors); i++)
    if (strcmp (name, errors[i].name) == 0)
      return errors[i].errnum;
  errx (2, "unknown error: %s", name);
}

static uint64_t
number (const struct command *c, const char *word)
{
  struct error error;
  uint64_t n;

  if (!word)
    errx (2, "%s: too few words", c->text);
  if (parse_size (word, &n, &error) < 0)
    errx (2, "%s: %s", c->text, error.text);
  return n;
}

static void
add_flag (struct command *c, const char *word)
{
  if (strcmp (word, "fua") == 0)
    c->flags |= LIBNBD_CMD_FLAG_FUA;
  else if (strcmp (word, "no-hole") == 0)
    c->flags |= LIBNBD_CMD_FLAG_NO_HOLE;
  else if (strcmp (word, "fast") == 0)
    c->flags |= LIBNBD_CMD_FLAG_FAST_ZERO;
  else
    errx (2, "%s: unknown word: %s", c->text, word);
}

/* Takes `words` apart, which must live as long as *c. */
static void
parse (char *words, const char *text, struct command *c)
{
  char *save = NULL, *word;

  *c = (struct command){.text = text};
  c->name = strtok_r (words, " ", &save);
  if (!c->name)
    errx (2, "empty command");
  if (strcmp (c->name, "flush") == 0 || strcmp (c->name, "size") == 0)
    return;
  c->offset = number (c, strtok_r (NULL, " ", &save));
  c->size = number (c, strtok_r (NULL, " ", &save));
  if (strcmp (c->name, "write") == 0 || strcmp (c->name, "read") == 0) {
    word = strtok_r (NULL, " ", &save);
    c->byte = (uint8_t)strtoul (word ? word : "", NULL, 0);
  }
  while ((word = strtok_r (NULL, " ", &save)))
    add_flag (c, word);
}

static int
do_write (struct nbd_handle *nbd, const struct command *c)
{
  CLEANUP_FREE uint8_t *buf = malloc (c->size);

  if (!buf)
    err (1, "malloc");
  memset (buf, c->byte, c->size);
  return nbd_pwrite (nbd, buf, c->size, c->offset, c->flags);
}

static int
do_read (struct nbd_handle *nbd, const struct command *c)
{
  CLEANUP_FREE uint8_t *buf = malloc (c->size);

  if (!buf)
    err (1, "malloc");
  memset (buf, (uint8_t)~c->byte, c->size);
  if (nbd_pread (nbd, buf, c->size, c->offset, 0) < 0)
    return -1;
  for (uint64_t i = 0; i < c->size; i++)
    if (buf[i] != c->byte)
      errx (1, "%s: at offset %" PRIu64 " there is 0x%02x", c->text, c->offset + i, buf[i]);
  return 0;
}

static int
print_extents (void *user_data, const char *context, uint64_t offset, uint32_t *entries,
               size_t count, int *error __attribute__ ((unused)))
{
  static const char *const names[] = {"data", "hole", "zero", "hole,zero"};

  for (size_t i = 0; i < count && strcmp (context, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0; i += 2) {
    printf ("%" PRIu64 " %" PRIu32 " %s\n", offset, entries[i], names[entries[i + 1] & 3]);
    offset += entries[i];
  }
  *(uint64_t *)user_data = offset;
  return 0;
}

static int
do_extents (struct nbd_handle *nbd, const struct command *c)
{
  uint64_t at = c->offset, end = c->offset + c->size;

  while (at < end) {
    nbd_extent_callback callback = {.callback = print_extents, .user_data = &at};
    uint64_t before = at;

    /* One request can ask for less than 4 GiB. */
    if (nbd_block_status (nbd, MIN (end - at, UINT64_C (1) << 31), at, callback, 0) < 0)
      return -1;
    if (at <= before)
      errx (1, "%s: no progress at %" PRIu64, c->text, at);
  }
  return 0;
}

static int
run (struct nbd_handle *nbd, const struct command *c)
{
  if (strcmp (c->name, "write") == 0)
    return do_write (nbd, c);
  if (strcmp (c->name, "read") == 0)
    return do_read (nbd, c);
  if (strcmp (c->name, "zero") == 0)
    return nbd_zero (nbd, c->size, c->offset, c->flags);
  if (strcmp (c->name, "trim") == 0)
    return nbd_trim (nbd, c->size, c->offset, c->flags);
  if (strcmp (c->name, "cache") == 0)
    return nbd_cache (nbd, c->size, c->offset, 0);
  if (strcmp (c->name, "flush") == 0)
    return nbd_flush (nbd, 0);
  if (strcmp (c->name, "extents") == 0)
    return do_extents (nbd, c);
  if (strcmp (c->name, "size") == 0)
    return printf ("%" PRIi64 "\n", nbd_get_size (nbd)) < 0 ? -1 : 0;
  errx (2, "%s: unknown command", c->text);
}

static void
run_text (struct nbd_handle *nbd, const char *text)
{
  const char *space = strchr (text, ' '), *rest = text;
  CLEANUP_FREE char *words = NULL, *expected = NULL;
  struct command c;
  int result;

  if (text[0] == '!' && space) {
    expected = strndup (text + 1, (size_t)(space - text) - 1);
    rest = space + 1;
  }
  words = strdup (rest);
  if (!words)
    err (1, "strdup");
  parse (words, text, &c);
  result = run (nbd, &c);
  if (!expected && result < 0)
    errx (1, "%s: %s", text, nbd_get_error ());
  if (expected && result >= 0)
    errx (1, "%s: succeeded", text);
  if (expected && nbd_get_errno () != errnum_of (expected))
    errx (1, "%s: another error: %s", text, nbd_get_error ());
}

int
main (int argc, char **argv)
{
  struct nbd_handle *nbd = nbd_create ();

  if (argc < 3)
    errx (2, "usage: nbd-io URI COMMAND...");
  /* What the server does with requests out of bounds is for the server to say. */
  if (!nbd || nbd_set_strict_mode (nbd, 0) < 0
      || nbd_add_meta_context (nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0
      || nbd_connect_uri (nbd, argv[1]) < 0)
    errx (1, "%s", nbd_get_error ());
  for (int i = 2; i < argc; i++)
    run_text (nbd, argv[i]);
  nbd_shutdown (nbd, 0);
  nbd_close (nbd);
  return 0;
}
