/* A program that is run for its output, which is secret: no shell, a time-out, and nothing left. */
#ifndef KMS_COMMAND_H
#define KMS_COMMAND_H

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/secret.h"

#define COMMAND_WORDS_MAX 64
#define COMMAND_OUTPUT_MAX ((size_t)64 * 1024)

/* Splits a command line as a shell does words, quotes and backslashes, and nothing else of a shell.
 * `buf` gets the words, words[] point into it and end with NULL.  -1: an open quote, no word, or
 * too many.
 */
int command_split (const char *line, char *buf, size_t size, char *words[COMMAND_WORDS_MAX + 1])
    MUST_CHECK;

/* Runs it (found by PATH) with nothing on its stdin and its stderr thrown away, in a process group
 * of its own, which is killed at the time-out.  Its output as a text (kms/secret-text.h).  -1 with
 * *err when it can't be started, takes too long, says too much or ends with another status than 0.
 */
int command_run (char *const words[], uint32_t timeout_ms, struct secret *ret_output,
                 struct error *err) MUST_CHECK;

#endif
