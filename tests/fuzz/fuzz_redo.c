/* fuzz_redo.c - any bytes as a commit of the log: rows and ends of a table, applied or CORRUPTED, and
 * the table is whole after it. The first byte chooses the table's key, the second how the bytes are
 * cut into pieces; then come two commits, as long as the two bytes behind say and the rest.
 */
#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "fuzz.h"
#include "table/redo.h"

enum { COLUMNS = 15, TABLE_ID = 7 };

static const struct column_definition columns[COLUMNS] = {
    {.name = "a", .type.id = OMEN_TYPE_INTEGER, .nullable = true},
    {.name = "b", .type.id = OMEN_TYPE_TEXT, .nullable = true},
    {.name = "c", .type.id = OMEN_TYPE_BOOLEAN, .nullable = true},
    {.name = "d", .type.id = OMEN_TYPE_SMALLINT, .nullable = true},
    {.name = "e", .type.id = OMEN_TYPE_BIGINT, .nullable = true},
    {.name = "f", .type.id = OMEN_TYPE_REAL, .nullable = true},
    {.name = "g", .type.id = OMEN_TYPE_DOUBLE, .nullable = true},
    {.name = "h", .type = {.id = OMEN_TYPE_DECIMAL, .precision = 8, .scale = 2}, .nullable = true},
    {.name = "i", .type = {.id = OMEN_TYPE_DECIMAL, .precision = 30}, .nullable = true},
    {.name = "j", .type = {.id = OMEN_TYPE_VARCHAR, .length_max = 5}, .nullable = true},
    {.name = "k", .type = {.id = OMEN_TYPE_CHAR, .length_max = 3}, .nullable = true},
    {.name = "l", .type.id = OMEN_TYPE_BYTEA, .nullable = true},
    {.name = "m", .type.id = OMEN_TYPE_DATE, .nullable = true},
    {.name = "n", .type.id = OMEN_TYPE_TIMESTAMP, .nullable = true},
    {.name = "o", .type.id = OMEN_TYPE_UUID, .nullable = true},
};

/* Keys: one word, bytes, a composite word, a composite of bytes, hidden. */
static const struct {
    uint32_t count, columns[3];
} keys[] = {{1, {4}}, {1, {1}}, {2, {0, 3}}, {3, {10, 7, 14}}, {0, {0}}};

static omen_status find(void *context, uint64_t table_id, struct table **out, omen_error *error)
{
    *out = table_id == TABLE_ID ? context : NULL;
    return OMEN_OK;
}

static omen_status other(void *context, uint64_t timestamp, uint8_t kind, const void *body,
                         size_t length, omen_error *error)
{
    OMEN_ASSERT(kind >= REDO_OTHER);
    return OMEN_OK;
}

static omen_status replay_one(struct replay *replay, const uint8_t *data, size_t size, size_t piece,
                              omen_error *error)
{
    while (size > 0) {
        size_t length = piece < size ? piece : size;
        OMEN_TRY(replay_data(replay, data, length, error));
        data += length;
        size -= length;
    }
    return replay_commit(replay, error);
}

static void replay_both(struct replay *replay, const uint8_t *data, size_t size, size_t first,
                        size_t piece)
{
    omen_error error = {.status = OMEN_OK};
    first = first < size ? first : size;
    omen_status status = replay_one(replay, data, first, piece, &error);
    if (status == OMEN_OK && first < size)
        status = replay_one(replay, data + first, size - first, piece, &error);
    if (status == OMEN_OK)
        status = replay_finish(replay, &error);
    OMEN_ASSERT(status == OMEN_OK || status == OMEN_CORRUPTED);
    OMEN_ASSERT(error.status == status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    struct allocator allocator;
    struct txn_manager *manager;
    struct schema *schema;
    struct table *table;
    struct replay *replay;
    allocator_init(&allocator, 0);
    size_t key = data[0] % (sizeof keys / sizeof *keys);
    OMEN_ASSERT(schema_create(&allocator, columns, COLUMNS, keys[key].columns, keys[key].count,
                              &schema, NULL) == OMEN_OK);
    OMEN_ASSERT(txn_manager_create(&allocator, &manager) == OMEN_OK);
    OMEN_ASSERT(table_create(&allocator, manager, "t", schema, &table) == OMEN_OK);
    table_set_id(table, TABLE_ID);
    const struct replay_hooks hooks = {.context = table, .find = find, .other = other};
    OMEN_ASSERT(replay_create(&allocator, manager, &hooks, &replay) == OMEN_OK);
    replay_both(replay, data + 4, size - 4, data[2] | (size_t)data[3] << 8, 1 + data[1]);
    replay_destroy(replay);
    omen_error error = {.status = OMEN_OK};
    if (table_validate(table, &error) != OMEN_OK) {
        fprintf(stderr, "%s\n", error.message);
        OMEN_ASSERT(false);
    }
    table_release(table);
    txn_manager_destroy(manager);
    schema_release(schema);
    OMEN_ASSERT(allocator.bytes_used == 0);
    return 0;
}
