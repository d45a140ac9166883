/* How fast a backing store is by itself: plain calls in threads, as the server makes them. */
#ifndef TOOLS_BENCH_STORE_H
#define TOOLS_BENCH_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

struct bench_store {
  const char *path;
  bool scratch;             /* a new file without a name, which may be written to */
  uint64_t size_bytes;      /* what is measured: whole MiB */
  uint64_t allocated_bytes; /* less than size_bytes where the file has holes */
  int cached_fd;
  int direct_fd;         /* -1: not here, */
  char direct_note[160]; /* for this reason */
};

/* Requests of 4 KiB go to random places, larger ones one after the other. */
struct bench_store_case {
  bool write;  /* a scratch file only; what was written is durable within the time */
  bool direct; /* O_DIRECT; otherwise through the page cache, empty of this file for reads */
  size_t request_bytes;
  unsigned depth; /* threads, with one request each */
};

struct bench_store_figures {
  double bytes_per_s, requests_per_s;
  double latency_us; /* of one request, the average, without what makes writes durable at the end */
};

extern const struct bench_store_case bench_store_cases[];
extern const size_t bench_store_case_count;

/* A file or block device, to read from it; or a folder, in which a scratch file is made that has no
 * name, so that nothing is left of it however this process ends.  `path` must stay.
 */
int
bench_store_open (const char *path, struct bench_store *ret_store, struct error *err) MUST_CHECK;

/* Half a second. */
int bench_store_run (const struct bench_store *store, const struct bench_store_case *which,
                     struct bench_store_figures *ret_figures, struct error *err) MUST_CHECK;

void bench_store_clear (struct bench_store *store);
#define CLEANUP_BENCH_STORE CLEANUP (bench_store_clear)

#endif
