/* output_file.h - a file that is written whole or not at all.
 *
 * It grows under another name beside its own, is synced, and then takes its name, with the file
 * that had it gone: that one's mode, and its owner where that may be, are the new one's. A symbolic
 * link stays and leads to the new file; of a file with several names only this one does. One
 * thread.
 */
#ifndef OMEN_QUERY_OUTPUT_FILE_H
#define OMEN_QUERY_OUTPUT_FILE_H

#include "base/allocator.h"
#include "os/os.h"

struct output_file;

/* Begins a file that will be called `path` (copied). Errors: WRONG_OBJECT_TYPE where that is no
 * regular file now; INSUFFICIENT_PRIVILEGE where it may not be written; those of file_open and
 * path_follow; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status output_open(const struct os *os, struct allocator *allocator,
                                        const char *path, struct output_file **out,
                                        omen_error *error);

/* Adds bytes. Errors: DISK_FULL, IO_ERROR. */
OMEN_MUST_CHECK omen_status output_write(struct output_file *file, const void *data, size_t length,
                                         omen_error *error);

/* Makes what was written durable under its name. Errors: DISK_FULL, IO_ERROR, ...; then the name
 * leads to what it led to before, unless only the last sync failed. The file is closed by
 * output_close all the same. */
OMEN_MUST_CHECK omen_status output_finish(struct output_file *file, omen_error *error);

/* Ends it; what was not finished is removed. NULL does nothing. */
void output_close(struct output_file *file);

#endif
