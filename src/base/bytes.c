/* bytes.c - the growing writer and the bounded reader of bytes.h. */
#include "base/bytes.h"

enum { CAPACITY_MIN = 256 };

/* --- writing --- */

uint8_t *byte_writer_reserve(struct byte_writer *writer, size_t length)
{
    if (writer->failed)
        return NULL;
    if (length > writer->capacity - writer->length) {
        size_t capacity = writer->capacity < CAPACITY_MIN ? CAPACITY_MIN : writer->capacity;
        while (capacity - writer->length < length && capacity <= SIZE_MAX / 2)
            capacity *= 2;
        uint8_t *data =
            capacity - writer->length < length
                ? NULL
                : allocator_resize(writer->allocator, writer->data, writer->capacity, capacity);
        if (data == NULL) {
            writer->failed = true;
            return NULL;
        }
        writer->data = data;
        writer->capacity = capacity;
    }
    uint8_t *at = writer->data + writer->length;
    writer->length += length;
    return at;
}

void byte_writer_put(struct byte_writer *writer, const void *data, size_t length)
{
    if (length == 0)
        return;
    uint8_t *at = byte_writer_reserve(writer, length);
    if (at != NULL)
        memcpy(at, data, length);
}

void byte_writer_u8(struct byte_writer *writer, uint8_t value)
{
    byte_writer_put(writer, &value, 1);
}

void byte_writer_u16(struct byte_writer *writer, uint16_t value)
{
    uint8_t bytes[2];
    bytes_put_u16(bytes, value);
    byte_writer_put(writer, bytes, sizeof bytes);
}

void byte_writer_u32(struct byte_writer *writer, uint32_t value)
{
    uint8_t bytes[4];
    bytes_put_u32(bytes, value);
    byte_writer_put(writer, bytes, sizeof bytes);
}

void byte_writer_u64(struct byte_writer *writer, uint64_t value)
{
    uint8_t bytes[8];
    bytes_put_u64(bytes, value);
    byte_writer_put(writer, bytes, sizeof bytes);
}

void byte_writer_text(struct byte_writer *writer, const void *data, size_t length)
{
    byte_writer_u32(writer, (uint32_t)length);
    byte_writer_put(writer, data, length);
}

void byte_writer_release(struct byte_writer *writer)
{
    allocator_free(writer->allocator, writer->data, writer->capacity);
    *writer = (struct byte_writer){.allocator = writer->allocator};
}

/* --- reading --- */

const uint8_t *byte_reader_take(struct byte_reader *reader, size_t length)
{
    if (reader->failed || length > reader->length) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *at = reader->data;
    reader->data += length;
    reader->length -= length;
    return at;
}

uint8_t byte_reader_u8(struct byte_reader *reader)
{
    const uint8_t *at = byte_reader_take(reader, 1);
    return at == NULL ? 0 : *at;
}

uint16_t byte_reader_u16(struct byte_reader *reader)
{
    const uint8_t *at = byte_reader_take(reader, 2);
    return at == NULL ? 0 : bytes_get_u16(at);
}

uint32_t byte_reader_u32(struct byte_reader *reader)
{
    const uint8_t *at = byte_reader_take(reader, 4);
    return at == NULL ? 0 : bytes_get_u32(at);
}

uint64_t byte_reader_u64(struct byte_reader *reader)
{
    const uint8_t *at = byte_reader_take(reader, 8);
    return at == NULL ? 0 : bytes_get_u64(at);
}

const uint8_t *byte_reader_text(struct byte_reader *reader, size_t *length)
{
    *length = byte_reader_u32(reader);
    const uint8_t *at = byte_reader_take(reader, *length);
    if (at == NULL)
        *length = 0;
    return at;
}
