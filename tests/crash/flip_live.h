/* flip_live.h - which bytes of a closed database's files say something.
 *
 *   manifest                   all
 *   files it names in data/    all
 *   log files                  batches from where the manifest says on, up to the one that only
 *                              says that the log was closed; headers of files that have any, or
 *                              in the midst of which the log begins
 *   everything else            none
 *
 * What damages one of these must be reported; what does not may be noticed or not.
 */
#ifndef OMEN_TESTS_FLIP_LIVE_H
#define OMEN_TESTS_FLIP_LIVE_H

#include "crash/sim_disk.h"

enum { FLIP_FILES_MAX = 256, FLIP_PATH_BYTES = 256, FLIP_RANGES_MAX = 2 };

struct flip_range {
    uint64_t from, to; /* bytes of the file */
};

struct flip_file {
    char path[FLIP_PATH_BYTES];
    uint64_t bytes;
    struct flip_range live[FLIP_RANGES_MAX];
    uint32_t live_count;
};

struct flip_files {
    struct flip_file files[FLIP_FILES_MAX];
    size_t count;
};

/* All files of the disk, whose database "db" is closed and whole. Aborts where it is not. */
void flip_files_find(struct sim_disk *disk, struct flip_files *files);

bool flip_file_counts(const struct flip_file *file, uint64_t at);

/* Whether the file, now `length` bytes at `data` (NULL: it is gone), lacks anything that counts of
 * what it was, `before`. The length counts where any byte does. */
bool flip_file_harmed(const struct flip_file *file, const uint8_t *before, const uint8_t *data,
                      size_t length);

#endif
