/* Arithmetic that says when it would overflow, and rounding to powers of two.
 *
 * The *_overflows functions return true, and leave *ret untouched, when the result does not fit.
 */
#ifndef COMMON_CHECKED_H
#define COMMON_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof (a) / sizeof ((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

static inline bool
add_overflows (uint64_t a, uint64_t b, uint64_t *ret)
{
  uint64_t sum;

  if (__builtin_add_overflow (a, b, &sum))
    return true;
  *ret = sum;
  return false;
}

static inline bool
mul_overflows (uint64_t a, uint64_t b, uint64_t *ret)
{
  uint64_t product;

  if (__builtin_mul_overflow (a, b, &product))
    return true;
  *ret = product;
  return false;
}

static inline bool
is_power_of_2 (uint64_t n)
{
  return n != 0 && (n & (n - 1)) == 0;
}

/* `unit` is a power of two. */
static inline uint64_t
round_down (uint64_t n, uint64_t unit)
{
  return n & ~(unit - 1);
}

/* The caller knows that n + unit does not overflow. */
static inline uint64_t
round_up (uint64_t n, uint64_t unit)
{
  return (n + unit - 1) & ~(unit - 1);
}

static inline bool
is_aligned (uint64_t n, uint64_t unit)
{
  return (n & (unit - 1)) == 0;
}

#endif
