/* How fast one core encrypts: the measurement of an XTS back end. */
#ifndef TOOLS_BENCH_XTS_H
#define TOOLS_BENCH_XTS_H

#include <stddef.h>

#include "crypto/xts.h"

/* Requests of `buffer_bytes`, in place, each one call of the back end. */
struct bench_xts_case {
  size_t sector_size, buffer_bytes;
};

/* Bytes a second of processor time, the median of several rounds. */
struct bench_xts_speed {
  double encrypt, decrypt;
};

extern const struct bench_xts_case bench_xts_cases[];
extern const size_t bench_xts_case_count;

/* Measures a back end that xts_select gave, with a random key; takes a tenth of a second. */
int bench_xts (const struct xts_backend *backend, const struct bench_xts_case *which,
               struct bench_xts_speed *ret_speed, struct error *err) MUST_CHECK;

#endif
