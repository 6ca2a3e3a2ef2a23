/* segment_fixture.h - a table beside its model (tests/unit/table/support.h) whose row groups go to
 * segments on a simulated disk and come back in a new table. */
#ifndef OMEN_TESTS_SEGMENT_FIXTURE_H
#define OMEN_TESTS_SEGMENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crash/sim_disk.h"
#include "store/segment.h"
#include "unit/table/support.h"

enum { FIXTURE_SEGMENTS_MAX = 32 };

struct fixture {
    struct model model;
    struct sim_disk *disk;
    struct segment_codec codec;
    struct segment_options options;
    struct column_cache *cache;       /* counts what is loaded, */
    atomic_uint_fast64_t cache_bytes; /* up to here; unlimited at first */
    uint32_t groups_per_segment;
    struct segment_facts facts[FIXTURE_SEGMENTS_MAX];
    struct segment *segments[FIXTURE_SEGMENTS_MAX]; /* after fixture_open */
    size_t segment_count;
    struct table_counters counters;
};

void fixture_make(struct fixture *fixture, enum key_kind kind);
void fixture_destroy(struct fixture *fixture);

/* Rows of every kind of fate: updated, deleted, inserted again, never begun. */
void fixture_churn(struct fixture *fixture, int32_t kids, uint64_t seed);

/* Writes the table as of now: what a checkpoint does. */
omen_status fixture_write(struct fixture *fixture, omen_error *error);

/* Opens what was written as a new table. */
omen_status fixture_open(struct fixture *fixture, struct table **out, omen_error *error);

/* Writes, opens, and puts the new table in the place of the model's. */
void fixture_reopen(struct fixture *fixture);
void fixture_forget_segments(struct fixture *fixture);

/* The file of a segment, to look at and to damage. */
void fixture_flip(struct fixture *fixture, size_t segment, enum segment_file what, uint64_t byte,
                  uint8_t mask);

#endif
