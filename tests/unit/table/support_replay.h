/* support_replay.h - replaying a test's log into a table of its own and comparing that with the
 * model. */
#ifndef OMEN_TESTS_TABLE_SUPPORT_REPLAY_H
#define OMEN_TESTS_TABLE_SUPPORT_REPLAY_H

#include "base/random.h"
#include "table/redo.h"
#include "fake_log.h"
#include "support.h"

enum { TEST_TABLE_ID = 300 }; /* a varint of two bytes */

/* A table that is filled from a log alone. */
struct replica {
    struct model model; /* a copy, with the table and the manager of the replica */
    struct replay *replay;
    uint64_t others; /* sections that were not of tables */
    uint64_t other_rows; /* rows of the table when the last of them came */
};

/* An empty one of the model's schema. With `other` sections are accepted. */
void replica_open(struct replica *replica, const struct model *model);
void replica_close(struct replica *replica);

/* Gives a commit's bytes in pieces of random lengths, up to `piece_max`. */
omen_status replica_data(struct replica *replica, const uint8_t *bytes, size_t length,
                         size_t piece_max, struct random *random, omen_error *error);

/* Replays the first `commits` commits of the log and part of the next, which is then forgotten, into
 * a new table, which must be as the model was after those commits. */
void check_replay(struct model *model, const struct fake_log *log, size_t commits, int32_t kid_max,
                  struct random *random);

#endif
