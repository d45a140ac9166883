/* What every fuzz target is: one function, called by libFuzzer or by standalone.c. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Always 0; a finding is a crash, a sanitizer's report or an abort. */
__attribute__ ((visibility ("default"))) int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#endif
