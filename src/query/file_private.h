/* file_private.h - what the formats of files share with file.c. */
#ifndef OMEN_QUERY_FILE_PRIVATE_H
#define OMEN_QUERY_FILE_PRIVATE_H

#include "base/arena.h"
#include "omendb_engine.h"
#include "query/file.h"

struct file_format {
    /* Sets schema, refused, row_count and the format's own part. */
    omen_status (*open)(struct table_file *file, omen_error *error);
    void (*close)(struct table_file *file); /* NULL: nothing to do; also after a failed open */
    omen_status (*cursor_open)(struct table_file *file, const struct file_scan *scan, void **out,
                               omen_error *error);
    omen_status (*cursor_next)(void *cursor, struct ArrowArray *out, omen_error *error);
    void (*cursor_close)(void *cursor);
};

struct table_file {
    atomic_uint references;
    struct database *database; /* retained */
    const struct file_format *format;
    struct arena arena; /* of what is kept from opening */
    const char *path;
    const char *extension; /* of the path, without dot */
    int64_t handle;        /* -1: none */
    struct os_identity identity;
    struct schema *schema;
    const char **refused; /* per column: see relation_column */
    uint64_t row_count;
    bool row_count_exact;
    union {
        struct csv_shape csv;
        struct {
            const omen_engine *engine;
            omen_engine_file *file; /* NULL: not open */
            uint32_t group_count;
        } parquet;
    };
};

extern const struct file_format file_format_csv;
extern const struct file_format file_format_parquet;

/* Makes the schema of columns whose names may be anything: a missing name becomes "column" and its
 * number, a name that is too long is cut, one that is there already gets a number. Errors:
 * INVALID_ENCODING, TOO_MANY_COLUMNS, OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status file_make_schema(struct table_file *file, const omen_bytes *names,
                                             const omen_type *types, uint32_t count,
                                             omen_error *error);

#endif
