/* cmd-bench.c owns `keyfence bench`. */
#include <stdint.h>

#include "common/parse.h"
#include "tools/arguments.h"
#include "tools/bench-store.h"
#include "tools/bench-xts.h"
#include "tools/print.h"

enum { STORE, JSON };

static const struct option_spec options[] = {
    [STORE] = {"store", "PATH",
               "measure what volumes lie on instead: reads of this file or block device; or reads "
               "and writes of a scratch file in this folder",
               VALUE_FILE},
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

/* ---- --store ---- */

static void
print_figures (const struct bench_store_case *which, const struct bench_store_figures *figures)
{
  char buffer[FORMAT_SIZE_MAX];

  format_size (which->request_bytes, buffer);
  print_line ("%-9s  %-5s  %8s  %5u  %10.1f  %11.0f  %10.1f", which->direct ? "none" : "writeback",
              which->write ? "write" : "read", buffer, which->depth, figures->bytes_per_s / 1e6,
              figures->requests_per_s, figures->latency_us);
}

static void
add_figures (struct json *array, const struct bench_store_case *which,
             const struct bench_store_figures *figures)
{
  struct json *row = json_append_object (array);

  json_set_string (row, "cache", which->direct ? "none" : "writeback");
  json_set_string (row, "request", which->write ? "write" : "read");
  json_set_number (row, "request_bytes", (double)which->request_bytes);
  json_set_number (row, "depth", which->depth);
  json_set_number (row, "bytes_per_s", (double)(uint64_t)figures->bytes_per_s);
  json_set_number (row, "requests_per_s", (double)(uint64_t)figures->requests_per_s);
  json_set_number (row, "latency_us", figures->latency_us);
}

/* All cases that the store allows, onto stdout or into `json`. */
static int
measure_store (const struct bench_store *store, struct json *json, struct error *err)
{
  for (size_t i = 0; i < bench_store_case_count; i++) {
    const struct bench_store_case *which = &bench_store_cases[i];
    struct bench_store_figures figures;

    if ((which->write && !store->scratch) || (which->direct && store->direct_fd < 0))
      continue;
    if (bench_store_run (store, which, &figures, err) < 0)
      return -1;
    if (json)
      add_figures (json, which, &figures);
    else
      print_figures (which, &figures);
  }
  return 0;
}

static int
run_store_json (const struct bench_store *store, struct error *err)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  struct json *absent;

  if (!json)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  json_set_string (json, "path", store->path);
  json_set_bool (json, "scratch", store->scratch);
  json_set_number (json, "size_bytes", (double)store->size_bytes);
  json_set_number (json, "allocated_bytes", (double)store->allocated_bytes);
  absent = json_set_object (json, "absent");
  if (store->direct_fd < 0)
    json_set_string (absent, "none", store->direct_note);
  if (measure_store (store, json_set_array (json, "store"), err) < 0 || print_json (json, err) < 0)
    return -1;
  return EXIT_DONE;
}

static int
run_store (const char *path, bool as_json, struct error *err)
{
  CLEANUP_BENCH_STORE struct bench_store store = {.cached_fd = -1, .direct_fd = -1};

  if (bench_store_open (path, &store, err) < 0)
    return -1;
  if (store.allocated_bytes < store.size_bytes / 2)
    print_warning ("most of %s are holes, which are read from no disk: name the folder that it is "
                   "in, to measure with a scratch file",
                   path);
  if (as_json)
    return run_store_json (&store, err);
  print_line ("%-9s  %-5s  %8s  %5s  %10s  %11s  %10s", "cache", "", "request", "depth", "MB/s",
              "requests/s", "latency us");
  if (measure_store (&store, NULL, err) < 0)
    return -1;
  if (store.direct_fd < 0)
    print_line ("cache=none: %s.", store.direct_note);
  return EXIT_DONE;
}

static int
run (const struct arguments *args, struct error *err)
{
  const struct xts_backend *chosen;

  if (args->options[STORE])
    return run_store (args->options[STORE], args->options[JSON], err);
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
    .summary = "measure how fast this machine encrypts, or its disk is",
    .details = "Measures each back end of AES-256-XTS that runs here on one core, in memory, for "
               "sectors of "
               "4096 and 512 bytes and requests of 4 KiB, 64 KiB and 1 MiB: the median of several "
               "rounds, in "
               "10^9 bytes a second of processor time. Nothing is read or written, and no key is "
               "needed. It "
               "takes a few seconds; a busy machine shows in the figures all the same.\n\n"
               "With --store it measures the disk alone, without any encryption: requests of 4 KiB "
               "at random places and of 1 MiB one after the other, one at a time and sixteen, past "
               "the page cache (cache=none) and through it (cache=writeback), half a second each. "
               "A file or block device is only read. In a folder it makes a scratch file of up to "
               "256 MiB, which has no name and is gone when it ends, and writes, too; writes are "
               "durable within the time.",
    .options = options,
    .run = run,
};
