/* segment_codec.h - how row groups become a file's bytes and bytes become columns again (R8.5).
 *
 *   parquet   the SQL engine's (omen_engine.segment_write and segment_read)
 *   plain     codec_plain.c: for tests that write thousands of databases a second, and for builds
 *             whose engine has no Parquet
 *
 * Bytes pass through callbacks alone: where they are kept, synced and summed is not the codec's
 * business. Thread-safe.
 */
#ifndef OMEN_STORE_SEGMENT_CODEC_H
#define OMEN_STORE_SEGMENT_CODEC_H

#include <stdint.h>

#include "base/allocator.h"
#include "omendb_engine.h"

/* Numbers are part of the file format: only ever append. */
enum segment_codec_id { SEGMENT_CODEC_PARQUET = 1, SEGMENT_CODEC_PLAIN = 2 };

struct segment_codec {
    enum segment_codec_id id;
    void *context; /* lives as long as any segment that was opened with the codec */

    /* As omen_engine.segment_write. */
    omen_status (*write)(void *context, const struct ArrowSchema *schema,
                         struct ArrowArrayStream *groups, uint32_t group_count,
                         const omen_engine_writer *writer, omen_error *error);
    /* As omen_engine.segment_read. */
    omen_status (*read)(void *context, const struct ArrowSchema *schema,
                        const omen_engine_reader *reader, uint32_t group, const uint32_t *columns,
                        uint32_t column_count, struct ArrowArrayStream *out, omen_error *error);
};

/* The plain codec; `allocator` is its context. */
struct segment_codec codec_plain(struct allocator *allocator);

#endif
