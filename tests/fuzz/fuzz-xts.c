/* Feeds one text to every implementation of XTS that runs here: all must agree, sector by sector
 * and in one call, in place and not, at any address.
 *
 * Input: the volume key's 64 bytes, the tweak's 8, one byte of choices, two misalignments; the rest
 * is text, of which whole sectors are taken (short ones if that's all there is).
 */
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/wrap.h"
#include "tests/fuzz/fuzz.h"
#include "tests/xts-variants.h"

#define TEXT_MAX ((size_t)1 << 17)
#define MISALIGNED_MAX 64

static const struct xts_backend *variants[XTS_VARIANTS_MAX];

struct input {
  uint8_t key[VOLUME_KEY_SIZE];
  uint8_t tweak[8];
  uint8_t choices; /* bit 0: 512 or 4096; bit 1: in place */
  uint8_t in_at, out_at;
};

struct run {
  uint64_t tweak;
  size_t sector_size, count;
  bool in_place;
  uint8_t *in, *out;
  const uint8_t *text;
};

static uint8_t in_buffer[TEXT_MAX + MISALIGNED_MAX], out_buffer[TEXT_MAX + MISALIGNED_MAX];
static uint8_t expected[TEXT_MAX];

static struct run
parse (const struct input *input, const uint8_t *text, size_t size)
{
  struct run run = {.sector_size = input->choices & 1 ? 4096 : 512,
                    .in_place = input->choices & 2,
                    .in = in_buffer + input->in_at % MISALIGNED_MAX,
                    .out = out_buffer + input->out_at % MISALIGNED_MAX,
                    .text = text};

  for (size_t i = 0; i < sizeof input->tweak; i++)
    run.tweak |= (uint64_t)input->tweak[i] << 8 * i;
  size = MIN (size, TEXT_MAX);
  if (size < run.sector_size)
    run.sector_size = round_down (size, 16); /* one, as the known answers have */
  run.count = run.sector_size ? size / run.sector_size : 0;
  return run;
}

static struct xts_context *
new_context (const struct xts_backend *backend, const uint8_t *key_bytes)
{
  CLEANUP_SECRET struct secret key = {0};

  if (secret_init (&key, VOLUME_KEY_SIZE, NULL) < 0)
    abort ();
  memcpy (key.bytes, key_bytes, VOLUME_KEY_SIZE);
  return backend->context_new (&key, NULL);
}

/* The reference goes sector by sector, so that only one thing can be wrong. */
static void
expect (const struct run *run, struct xts_context *context)
{
  for (size_t i = 0; i < run->count; i++)
    if (variants[0]->encrypt (context, run->tweak + i * (run->sector_size / XTS_TWEAK_UNIT),
                              run->sector_size, run->text + i * run->sector_size,
                              expected + i * run->sector_size, 1)
        != 0)
      abort ();
}

static void
check (const struct run *run, const struct xts_backend *backend, struct xts_context *context)
{
  size_t size = run->sector_size * run->count;
  uint8_t *in = run->in_place ? run->out : run->in;

  memcpy (in, run->text, size);
  if (backend->encrypt (context, run->tweak, run->sector_size, in, run->out, run->count) != 0
      || memcmp (run->out, expected, size) != 0)
    abort ();
  if (!run->in_place && memcmp (in, run->text, size) != 0)
    abort ();
  memcpy (in, expected, size);
  if (backend->decrypt (context, run->tweak, run->sector_size, in, run->out, run->count) != 0
      || memcmp (run->out, run->text, size) != 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct xts_context *reference;
  struct input input;
  struct run run;

  if (size < sizeof input)
    return 0;
  memcpy (&input, data, sizeof input);
  run = parse (&input, data + sizeof input, size - sizeof input);
  if (!variants[0] && xts_variants (variants) == 0)
    abort ();
  reference = new_context (variants[0], input.key);
  if (reference)
    expect (&run, reference);
  for (size_t i = 0; variants[i]; i++) {
    struct xts_context *context = new_context (variants[i], input.key);

    if (!context != !reference) /* all refuse the same keys */
      abort ();
    if (context)
      check (&run, variants[i], context);
    variants[i]->context_free (context);
  }
  variants[0]->context_free (reference);
  return 0;
}
