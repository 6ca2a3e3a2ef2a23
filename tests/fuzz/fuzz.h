/* fuzz.h - the entry point that each target defines and libFuzzer or replay.c calls. */
#ifndef OMEN_TESTS_FUZZ_H
#define OMEN_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Feeds one input to the target; returns 0. A broken property aborts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
