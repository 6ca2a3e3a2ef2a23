/* bytes.h - numbers and texts in little-endian bytes, for everything that is stored.
 *
 *   byte_writer   appends to a block that grows; the first failure sticks, so it is asked for once
 *   byte_reader   takes from bytes of somebody else; never reads past their end, whatever a length
 *                 in them says; the first failure sticks, and everything after reads as zero
 *
 * One thread at a time.
 */
#ifndef OMEN_BASE_BYTES_H
#define OMEN_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/allocator.h"

/* --- fixed places --- */

static inline void bytes_put_u16(void *at, uint16_t value)
{
    uint8_t *to = (uint8_t *)at;
    to[0] = (uint8_t)value, to[1] = (uint8_t)(value >> 8);
}

static inline void bytes_put_u32(void *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        ((uint8_t *)at)[i] = (uint8_t)(value >> 8 * i);
}

static inline void bytes_put_u64(void *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        ((uint8_t *)at)[i] = (uint8_t)(value >> 8 * i);
}

static inline uint16_t bytes_get_u16(const void *at)
{
    const uint8_t *from = (const uint8_t *)at;
    return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t bytes_get_u32(const void *at)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)((const uint8_t *)at)[i] << 8 * i;
    return value;
}

static inline uint64_t bytes_get_u64(const void *at)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)((const uint8_t *)at)[i] << 8 * i;
    return value;
}

/* --- writing --- */

struct byte_writer {
    struct allocator *allocator;
    uint8_t *data;
    size_t length, capacity;
    bool failed; /* memory ran out: what was written is incomplete */
};

/* Room for `length` bytes at the end, which count as written. NULL where memory is out. */
uint8_t *byte_writer_reserve(struct byte_writer *writer, size_t length);

void byte_writer_put(struct byte_writer *writer, const void *data, size_t length);
void byte_writer_u8(struct byte_writer *writer, uint8_t value);
void byte_writer_u16(struct byte_writer *writer, uint16_t value);
void byte_writer_u32(struct byte_writer *writer, uint32_t value);
void byte_writer_u64(struct byte_writer *writer, uint64_t value);

/* A u32 of the length, then the bytes. */
void byte_writer_text(struct byte_writer *writer, const void *data, size_t length);

/* Gives the block back; the writer is empty and usable again. */
void byte_writer_release(struct byte_writer *writer);

/* --- reading --- */

struct byte_reader {
    const uint8_t *data; /* borrowed */
    size_t length;       /* left */
    bool failed;         /* something went past the end */
};

/* The next `length` bytes, borrowed; NULL (and failed) where there are fewer. */
const uint8_t *byte_reader_take(struct byte_reader *reader, size_t length);
uint8_t byte_reader_u8(struct byte_reader *reader);
uint16_t byte_reader_u16(struct byte_reader *reader);
uint32_t byte_reader_u32(struct byte_reader *reader);
uint64_t byte_reader_u64(struct byte_reader *reader);

/* What byte_writer_text wrote: its bytes, borrowed and without a terminating zero, and their
 * number. Nothing and 0 where it goes past the end. */
const uint8_t *byte_reader_text(struct byte_reader *reader, size_t *length);

#endif
