/* os_private.h - the real operating system's files, for the table in os.c. Docs: os.h. */
#ifndef OMEN_OS_OS_PRIVATE_H
#define OMEN_OS_OS_PRIVATE_H

#include "os/os.h"

omen_status real_file_open(const struct os *os, const char *path, enum os_open how, int64_t *file,
                           omen_error *error);
omen_status real_file_read(const struct os *os, int64_t file, void *buffer, size_t capacity,
                           size_t *length, omen_error *error);
omen_status real_file_read_at(const struct os *os, int64_t file, void *buffer, size_t length,
                              uint64_t offset, size_t *got, omen_error *error);
omen_status real_file_write_at(const struct os *os, int64_t file, const void *buffer, size_t length,
                               uint64_t offset, omen_error *error);
omen_status real_file_sync(const struct os *os, int64_t file, omen_error *error);
omen_status real_file_reserve(const struct os *os, int64_t file, uint64_t bytes, omen_error *error);
omen_status real_file_truncate(const struct os *os, int64_t file, uint64_t bytes,
                               omen_error *error);
omen_status real_file_size(const struct os *os, int64_t file, uint64_t *bytes, omen_error *error);
omen_status real_file_identity(const struct os *os, const char *path, int64_t file,
                               struct os_identity *out, omen_error *error);
omen_status real_file_take_mode(const struct os *os, int64_t file, const char *path,
                                omen_error *error);
omen_status real_path_follow(const struct os *os, const char *path, char *buffer, size_t capacity,
                             omen_error *error);
void real_file_close(const struct os *os, int64_t file);
omen_status real_file_rename(const struct os *os, const char *from, const char *to,
                             omen_error *error);
omen_status real_file_remove(const struct os *os, const char *path, omen_error *error);
omen_status real_file_lock(const struct os *os, int64_t file, omen_error *error);
omen_status real_directory_create(const struct os *os, const char *path, omen_error *error);
omen_status real_directory_sync(const struct os *os, const char *path, omen_error *error);
omen_status real_directory_open(const struct os *os, const char *path, int64_t *directory,
                                omen_error *error);
omen_status real_directory_sync_open(const struct os *os, int64_t directory, omen_error *error);
omen_status real_directory_list(const struct os *os, const char *path,
                                omen_status (*visit)(void *context, const char *name),
                                void *context, omen_error *error);

#endif
