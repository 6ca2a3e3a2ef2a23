/* view_table.c - see view_table.h: groups of up to ROW_GROUP_ROWS rows, hidden keys from 1 on. */
#include "store/view_table.h"

#include <string.h>

#include "table/table_adopt.h"

void view_put_text(omen_value *value, const char *text)
{
    value->is_null = text == NULL || text[0] == '\0';
    if (!value->is_null)
        value->as.bytes = (omen_bytes){(const uint8_t *)text, strlen(text)};
}

/* What becomes a table. */
struct making {
    struct database *database;
    struct schema *schema;
    const struct view_rows *rows;
    struct arena arena;
    struct adopted_group *groups;
    size_t group_count;
};

static omen_status append_rows(struct making *making, struct row_group *group, size_t first,
                               uint32_t count)
{
    const struct schema *schema = making->schema;
    omen_value *values = arena_alloc(&making->arena, schema->stored_count * sizeof *values);
    if (values == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < schema->stored_count; j++)
            values[j] = (omen_value){.type = schema->columns[j].type, .is_null = true};
        view_put_number(&values[schema->column_count], first + i + 1); /* the hidden key */
        OMEN_TRY(making->rows->fill(making->rows->context, first + i, values));
        OMEN_TRY(row_group_append_values(group, values));
    }
    return OMEN_OK;
}

static omen_status freeze_rows(struct making *making, size_t first, uint32_t count,
                               struct row_group **out)
{
    struct row_group *group;
    OMEN_TRY(row_group_create(making->database->allocator, making->schema,
                              first / ROW_GROUP_ROWS + 1, count, &group));
    omen_status status = append_rows(making, group, first, count);
    if (status == OMEN_OK) {
        row_group_stamp_begin(group, 0, count, 1);
        row_group_seal(group);
        status = row_group_freeze(group, 1, out);
    }
    row_group_release(group);
    return status;
}

static omen_status make_group(struct making *making, size_t first, uint32_t count)
{
    uint64_t *words = arena_alloc(&making->arena, count * sizeof *words);
    uint16_t *slots = arena_alloc(&making->arena, count * sizeof *slots);
    struct row_group *group;
    if (words == NULL || slots == NULL)
        return OMEN_OUT_OF_MEMORY;
    OMEN_TRY(freeze_rows(making, first, count, &group));
    making->groups[making->group_count++] = (struct adopted_group){
        .group = group, .keys = {.count = count, .words = words, .slots = slots}};
    for (uint32_t i = 0; i < count; i++) {
        struct index_key key;
        OMEN_TRY(row_group_key(group, i, NULL, &key)); /* a word: it needs no memory */
        words[i] = key.word;
        slots[i] = (uint16_t)i;
    }
    return OMEN_OK;
}

static omen_status make_groups(struct making *making)
{
    size_t count = making->rows->count;
    size_t groups = (count + ROW_GROUP_ROWS - 1) / ROW_GROUP_ROWS;
    making->groups = arena_alloc(&making->arena, (groups + 1) * sizeof *making->groups);
    if (making->groups == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (size_t first = 0; first < count; first += ROW_GROUP_ROWS) {
        size_t left = count - first;
        OMEN_TRY(
            make_group(making, first, left < ROW_GROUP_ROWS ? (uint32_t)left : ROW_GROUP_ROWS));
    }
    return OMEN_OK;
}

static omen_status make_table(struct making *making, const char *name, struct table **out,
                              omen_error *error)
{
    struct database *database = making->database;
    const struct table_counters counters = {.group_number_next = making->group_count + 1,
                                            .hidden_key_next = (int64_t)making->rows->count + 1};
    OMEN_TRY(table_create(database->allocator, database->manager, name, making->schema, out));
    omen_status status =
        table_adopt_groups(*out, making->groups, making->group_count, counters, 1, error);
    if (status == OMEN_OK) {
        table_protect(*out);
        return OMEN_OK;
    }
    table_release(*out);
    *out = NULL;
    return status;
}

omen_status view_table_make(struct database *database, const struct view_definition *definition,
                            const struct view_rows *rows, struct table **out, omen_error *error)
{
    struct making making = {.database = database, .rows = rows};
    *out = NULL;
    OMEN_TRY(schema_create(database->allocator, definition->columns, definition->column_count, NULL,
                           0, &making.schema, error));
    arena_init(&making.arena, database->allocator);
    omen_status status = make_groups(&making);
    if (status == OMEN_OK)
        status = make_table(&making, definition->name, out, error);
    for (size_t i = 0; i < making.group_count; i++)
        row_group_release(making.groups[i].group);
    arena_release(&making.arena);
    schema_release(making.schema);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}
