/* cmd-bench.c owns `keyfence bench`. */
#include <stdint.h>

#include "common/parse.h"
#include "tools/arguments.h"
#include "tools/bench-xts.h"
#include "tools/print.h"

enum { JSON };

static const struct option_spec options[] = {
    [JSON] = {"json", NULL, "print the figures as one JSON object"},
    {NULL},
};

static void
print_speed (const struct xts_backend *backend, const struct bench_xts_case *which,
             const struct bench_xts_speed *speed)
{
  char buffer[FORMAT_SIZE_MAX];

  format_size (which->buffer_bytes, buffer);
  print_line ("%-8s  %6zu  %8s  %12.2f  %12.2f", backend->name, which->sector_size, buffer,
              speed->encrypt / 1e9, speed->decrypt / 1e9);
}

static void
add_speed (struct json *array, const struct xts_backend *backend,
           const struct bench_xts_case *which, const struct bench_xts_speed *speed)
{
  struct json *row = json_append_object (array);

  json_set_string (row, "crypto", backend->name);
  json_set_number (row, "sector_size", (double)which->sector_size);
  json_set_number (row, "buffer_bytes", (double)which->buffer_bytes);
  json_set_number (row, "encrypt_bytes_per_s", (double)(uint64_t)speed->encrypt);
  json_set_number (row, "decrypt_bytes_per_s", (double)(uint64_t)speed->decrypt);
}

/* Onto stdout, or into `json`. */
static int
measure (const struct xts_backend *backend, struct json *json, struct error *err)
{
  for (size_t i = 0; i < bench_xts_case_count; i++) {
    struct bench_xts_speed speed;

    if (bench_xts (backend, &bench_xts_cases[i], &speed, err) < 0)
      return -1;
    if (json)
      add_speed (json, backend, &bench_xts_cases[i], &speed);
    else
      print_speed (backend, &bench_xts_cases[i], &speed);
  }
  return 0;
}

/* A back end that can't run here is no error. */
static int
measure_all (struct json *speeds, struct json *absent, struct error *err)
{
  for (size_t i = 0; xts_backends[i]; i++) {
    const struct xts_backend *backend;
    struct error why = {0};

    if (xts_select (xts_backends[i]->name, &backend, &why) == 0) {
      if (measure (backend, speeds, err) < 0)
        return -1;
    }
    else if (absent)
      json_set_string (absent, xts_backends[i]->name, why.text);
    else
      print_line ("%-8s  not here: %s", xts_backends[i]->name, why.text);
  }
  return 0;
}

static int
run_json (const struct xts_backend *chosen, struct error *err)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  struct json *speeds;

  if (!json)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  json_set_string (json, "auto", chosen->name);
  speeds = json_set_array (json, "xts");
  if (measure_all (speeds, json_set_object (json, "absent"), err) < 0 || print_json (json, err) < 0)
    return -1;
  return EXIT_DONE;
}

static int
run (const struct arguments *args, struct error *err)
{
  const struct xts_backend *chosen;

  if (xts_select ("auto", &chosen, err) < 0)
    return -1;
  if (args->options[JSON])
    return run_json (chosen, err);
  print_line ("%-8s  %6s  %8s  %12s  %12s", "crypto", "sector", "request", "encrypt GB/s",
              "decrypt GB/s");
  if (measure_all (NULL, NULL, err) < 0)
    return -1;
  print_line ("crypto=auto takes %s here.", chosen->name);
  return EXIT_DONE;
}

const struct command command_bench = {
    .name = "bench",
    .summary = "measure how fast this machine encrypts",
    .details = "Measures each back end of AES-256-XTS that runs here on one core, in memory, for "
               "sectors of "
               "4096 and 512 bytes and requests of 4 KiB, 64 KiB and 1 MiB: the median of several "
               "rounds, in "
               "10^9 bytes a second of processor time. Nothing is read or written, and no key is "
               "needed. It "
               "takes a few seconds; a busy machine shows in the figures all the same.",
    .options = options,
    .run = run,
};
