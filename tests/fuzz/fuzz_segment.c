/* fuzz_segment.c - any bytes as the files of a segment. The first byte chooses which: keys of words,
 * keys of bytes, ends, or a plain data file. Checksums are made right first, so that what they
 * would keep out comes in. Whatever is accepted holds together. */
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"
#include "fuzz.h"
#include "store/segment_codec.h"
#include "store/sidecar.h"

enum { FILE_BYTES_MAX = 1 << 16, MEMORY_MAX = 64 << 20, DATA_BYTES = 100 };

static const struct segment_identity identity = {.data_bytes = DATA_BYTES};

static struct schema *make_schema(struct allocator *allocator, bool words)
{
    static const struct column_definition columns[] = {
        {"id", {.id = OMEN_TYPE_BIGINT}, false, NULL},
        {"name", {.id = OMEN_TYPE_TEXT}, true, NULL},
        {"truth", {.id = OMEN_TYPE_BOOLEAN}, true, NULL},
        {"size", {.id = OMEN_TYPE_DOUBLE}, true, NULL},
    };
    struct schema *schema;
    const uint32_t key = words ? 0 : 1;
    OMEN_ASSERT(schema_create(allocator, columns, 4, &key, 1, &schema, NULL) == OMEN_OK);
    return schema;
}

static void check_keys(const struct sidecar_group *group, bool words)
{
    uint32_t begun = group->facts.row_count;
    if (group->facts.begun != NULL)
        begun = (uint32_t)bit_count_set(group->facts.begun, group->facts.row_count);
    OMEN_ASSERT(group->keys.count == begun);
    for (uint32_t i = 0; i < group->keys.count; i++) {
        OMEN_ASSERT(group->keys.slots[i] < group->facts.row_count);
        if (words && i > 0)
            OMEN_ASSERT(group->keys.words[i - 1] <= group->keys.words[i]);
    }
}

static void decode_sidecars(const uint8_t *data, size_t size, bool words, bool ends)
{
    struct allocator allocator;
    struct arena arena;
    struct sidecar sidecar;
    omen_error error = {.status = OMEN_OK};
    allocator_init(&allocator, MEMORY_MAX);
    struct schema *schema = make_schema(&allocator, words);
    arena_init(&arena, &allocator);
    if (ends) {
        static const uint64_t begun[2] = {UINT64_MAX, 0x0F};
        sidecar = (struct sidecar){.group_count = 2};
        sidecar.groups[0].facts = (struct row_group_facts){.number = 1, .row_count = 100};
        sidecar.groups[1].facts =
            (struct row_group_facts){.number = 2, .row_count = 70, .begun = begun};
        if (ends_decode(data, size, &identity, &arena, &sidecar, &error) == OMEN_OK &&
            sidecar.groups[1].facts.ended != NULL)
            OMEN_ASSERT((sidecar.groups[1].facts.ended[1] & ~begun[1]) == 0);
    } else if (sidecar_decode(data, size, &identity, schema, &arena, &sidecar, &error) == OMEN_OK) {
        for (uint32_t i = 0; i < sidecar.group_count; i++)
            check_keys(&sidecar.groups[i], words);
    }
    arena_release(&arena);
    schema_release(schema);
    OMEN_ASSERT(allocator.bytes_used == 0);
}

struct file {
    const uint8_t *data;
    size_t size;
};

static omen_status read_file(void *context, uint64_t offset, void *buffer, size_t length,
                             omen_error *error)
{
    const struct file *file = context;
    OMEN_ASSERT(offset <= file->size && length <= file->size - offset);
    memcpy(buffer, file->data + offset, length);
    return OMEN_OK;
}

static void release_source(struct row_group_source *source)
{
    (void)source;
}

/* A source whose stream is the codec's. */
struct plain_source {
    struct row_group_source source;
    struct segment_codec codec;
    const struct ArrowSchema *schema;
    omen_engine_reader reader;
};

static omen_status read_source(struct row_group_source *self, uint32_t ordinal,
                               const uint32_t *columns, uint32_t column_count,
                               struct ArrowArrayStream *out, omen_error *error)
{
    struct plain_source *source = (struct plain_source *)(void *)self;
    return source->codec.read(source->codec.context, source->schema, &source->reader, ordinal,
                              columns, column_count, out, error);
}

/* The columns of a group of three rows, each loaded or refused. */
static void load_plain(const uint8_t *data, size_t size)
{
    struct allocator allocator;
    struct ArrowSchema arrow;
    struct row_group *group;
    struct zone zones[4] = {{.row_count = 3}, {.row_count = 3}, {.row_count = 3}, {.row_count = 3}};
    struct file file = {data, size};
    allocator_init(&allocator, MEMORY_MAX);
    struct schema *schema = make_schema(&allocator, true);
    OMEN_ASSERT(schema_to_arrow(schema, NULL, 0, &arrow) == OMEN_OK);
    struct plain_source source = {
        .source = {read_source, release_source, release_source},
        .codec = codec_plain(&allocator),
        .schema = &arrow,
        .reader = {.read = read_file, .context = &file, .length = size},
    };
    struct row_group_facts facts = {.number = 1, .row_count = 3, .zones = zones};
    OMEN_ASSERT(row_group_open(&allocator, schema, &facts, &source.source, &group) == OMEN_OK);
    for (uint32_t column = 0; column < 4; column++) {
        omen_error error = {.status = OMEN_OK};
        omen_status status = row_group_ensure(group, &column, 1, &error);
        OMEN_ASSERT(status == OMEN_OK || error.status == status);
        omen_value value;
        for (uint32_t slot = 0; slot < 3 && status == OMEN_OK; slot++)
            row_group_read(group, slot, column, &value);
    }
    OMEN_ASSERT(row_group_validate(group, NULL) == OMEN_OK);
    row_group_release(group);
    arrow.release(&arrow);
    schema_release(schema);
    OMEN_ASSERT(allocator.bytes_used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[FILE_BYTES_MAX + sizeof(uint64_t)];
    if (size == 0 || size > FILE_BYTES_MAX)
        return 0;
    uint8_t kind = data[0] % 4;
    if (kind == 3) {
        load_plain(data + 1, size - 1);
        return 0;
    }
    memcpy(file, data + 1, size - 1);
    bytes_put_u64(file + size - 1, checksum64(file, size - 1, 0));
    decode_sidecars(file, size - 1 + sizeof(uint64_t), kind == 0, kind == 2);
    return 0;
}
