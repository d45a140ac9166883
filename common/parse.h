/* Sizes, times, numbers and switches as people type them.  Each function takes the whole text. */
#ifndef COMMON_PARSE_H
#define COMMON_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

/* "4096", "10G", "1.5T", "512MiB": suffixes K M G T P E are powers of 1024 (as nbdkit's and
 * qemu-img's are), with or without "iB" or "B".  -1 with an ERROR_USAGE text otherwise.
 */
int parse_size (const char *text, uint64_t *ret_bytes, struct error *err) MUST_CHECK;

/* "30s", "500ms", "5m", "1h", "7d", "30" (seconds), "0". */
int parse_duration (const char *text, uint64_t *ret_ms, struct error *err) MUST_CHECK;

/* yes, no, on, off, true, false, 1, 0. */
int parse_bool (const char *text, bool *ret, struct error *err) MUST_CHECK;

/* A decimal number from min to max. */
int parse_uint (const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct error *err)
    MUST_CHECK;

/* 36 characters, as 01234567-89ab-cdef-0123-456789abcdef. */
bool is_uuid (const char *text);

/* One in small letters, as headers have them. */
#define UUID_TEXT_MAX 37
void uuid_lower (const char *uuid, char ret[UUID_TEXT_MAX]);

/* "10 GiB" or "1.5 MiB" (one decimal, where it is not whole), or "512 B", into `ret`. */
#define FORMAT_SIZE_MAX 32
void format_size (uint64_t bytes, char ret[FORMAT_SIZE_MAX]);

/* The time as "2026-01-31T23:59:59Z". */
#define FORMAT_TIME_MAX 32
void format_time (int64_t unix_s, char ret[FORMAT_TIME_MAX]);

#endif
