/* fuzz_csv.c - any bytes as a CSV file: the records are the same whatever pieces it is read in.
 * The first byte chooses the delimiter and the quote. */
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "fuzz.h"
#include "query/csv.h"

struct source {
    const uint8_t *data;
    size_t size, position, piece;
};

static omen_status read_piece(void *context, char *buffer, size_t capacity, size_t *length,
                              omen_error *error)
{
    struct source *source = context;
    *length = source->size - source->position;
    *length = *length < source->piece ? *length : source->piece;
    *length = *length < capacity ? *length : capacity;
    if (*length > 0)
        memcpy(buffer, source->data + source->position, *length);
    source->position += *length;
    return OMEN_OK;
}

static uint64_t mix(uint64_t digest, const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ byte[i]) * UINT64_C(0x100000001B3);
    return digest;
}

/* A digest of everything the reader gives, its closing status too. */
static uint64_t read_all(const struct csv_options *options, struct source source)
{
    struct allocator allocator;
    struct csv_reader *reader;
    allocator_init(&allocator, 0);
    OMEN_ASSERT(csv_create(&allocator, options, read_piece, &source, &reader) == OMEN_OK);
    const struct csv_field *fields;
    size_t count;
    uint64_t digest = UINT64_C(0xCBF29CE484222325), line = 0;
    omen_error error = {.status = OMEN_OK};
    omen_status status;
    while ((status = csv_next(reader, &fields, &count, &error)) == OMEN_OK) {
        OMEN_ASSERT(count > 0 && csv_line(reader) > line);
        line = csv_line(reader);
        for (size_t i = 0; i < count; i++) {
            digest = mix(digest, &fields[i].quoted, sizeof fields[i].quoted);
            digest = mix(digest, &fields[i].length, sizeof fields[i].length);
            digest = mix(digest, fields[i].text, fields[i].length);
        }
        digest = mix(digest, &line, sizeof line);
    }
    OMEN_ASSERT(status == OMEN_END_OF_DATA || error.status == status);
    csv_destroy(reader);
    OMEN_ASSERT(allocator.bytes_used == 0);
    return mix(digest, &status, sizeof status);
}

/* What the bytes look like, as a whole file and as the beginning of one. */
static void sniff(const char *bytes, size_t size, bool whole)
{
    struct allocator allocator;
    struct arena arena;
    struct csv_shape shape;
    omen_error error = {.status = OMEN_OK};
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    omen_status status = csv_sniff(&allocator, &arena, bytes, size, whole, '\0', &shape, &error);
    OMEN_ASSERT(error.status == status);
    OMEN_ASSERT(status != OMEN_OK || (shape.column_count > 0 && shape.row_bytes > 0));
    arena_release(&arena);
    OMEN_ASSERT(allocator.bytes_used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    static const struct csv_options choices[] = {
        {',', '"', '"', false}, {';', '\'', '\\', true}, {'\t', '"', '\\', false}};
    const struct csv_options *options = &choices[data[0] % 3];
    struct source source = {.data = data + 1, .size = size - 1};
    source.piece = size;
    uint64_t whole = read_all(options, source);
    source.piece = 1 + data[0] / 3 % 7;
    OMEN_ASSERT(read_all(options, source) == whole);
    sniff((const char *)data, size, true);
    sniff((const char *)data, size, false);
    return 0;
}
