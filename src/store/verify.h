/* verify.h - checks everything in a database directory, and says where a fault lies. */
#ifndef OMEN_STORE_VERIFY_H
#define OMEN_STORE_VERIFY_H

#include "store/database.h"

struct verify_report {
    void (*line)(void *context, const char *text); /* one finding, without a line's end */
    void *context;
    uint64_t tables, segments, groups, rows, faults;
};

/* Checks the database at options->path, which nobody else may have open, and changes nothing:
 *   manifest    checksums, and that what it says fits together
 *   segments    every checksum; every key of the sidecars against the row it leads to; zone maps
 *   log         every checksum, and that its commits can be applied
 *   tables      as they would be opened: index against rows, rows against lifetimes
 * Each fault is a line that names file or table and says what is wrong. Columns need the SQL
 * engine. Errors: what keeps it from checking at all: as directory_open; FILE_NOT_FOUND where there
 * is nothing; OUT_OF_MEMORY. A fault is none. */
OMEN_MUST_CHECK omen_status database_verify(const struct os *os,
                                            const struct database_options *options,
                                            struct verify_report *report, omen_error *error);

#endif
