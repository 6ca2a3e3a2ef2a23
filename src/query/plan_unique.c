/* plan_unique.c - the unique constraints of a new table: which of them stay, and their names.
 *
 * As in PostgreSQL (transformIndexConstraints, ChooseIndexName): a constraint that says what the
 * primary key or an earlier one says is left out, and gives the earlier one its name if that has
 * none; the others without names are called table_column_key, or table_a_b_key for several
 * columns, with the longer part cut so that 63 bytes are enough, and with a number behind where
 * that is taken.
 *
 * Names are of this table alone: PostgreSQL's are those of indexes, which no other table may have.
 */
#include <stdio.h>
#include <string.h>

#include "query/plan.h"

enum { NAME_BYTES = SCHEMA_NAME_BYTES_MAX + 1 };

static bool same_columns(const uint32_t *one, uint32_t one_count, const uint32_t *other,
                         uint32_t other_count)
{
    return one_count == other_count && memcmp(one, other, one_count * sizeof *one) == 0;
}

/* Leaves those out that say nothing new. */
static void drop_redundant(struct schema_definition *definition, struct unique_definition *uniques)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < definition->unique_count; i++) {
        const struct unique_definition *unique = &uniques[i];
        bool redundant = same_columns(unique->columns, unique->column_count,
                                      definition->key_columns, definition->key_count);
        for (uint32_t j = 0; j < kept && !redundant; j++) {
            redundant = same_columns(unique->columns, unique->column_count, uniques[j].columns,
                                     uniques[j].column_count);
            if (redundant && uniques[j].name == NULL)
                uniques[j].name = unique->name;
        }
        if (!redundant)
            uniques[kept++] = *unique;
    }
    definition->unique_count = kept;
}

/* The most bytes, up to `length`, that hold whole characters of the name. */
static size_t clip(const char *name, size_t length)
{
    while (length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80)
        length--;
    return length;
}

/* "table_columns_label" in 63 bytes: the longer of the first two is cut. */
static void make_name(const char *table, const char *columns, const char *label,
                      char out[static NAME_BYTES])
{
    size_t first = strlen(table), second = strlen(columns);
    size_t room = SCHEMA_NAME_BYTES_MAX - strlen(label) - 2;
    while (first + second > room)
        --*(first > second ? &first : &second);
    snprintf(out, NAME_BYTES, "%.*s_%.*s_%s", (int)clip(table, first), table,
             (int)clip(columns, second), columns, label);
}

/* Whether the name is the table's, its primary key's, or one of the first `count`. */
static bool is_taken(const char *name, const char *table,
                     const struct schema_definition *definition,
                     const struct unique_definition *uniques, uint32_t count)
{
    char primary[NAME_BYTES];
    snprintf(primary, sizeof primary, "%.*s_pkey",
             (int)clip(table, strlen(table) < 58 ? strlen(table) : 58), table);
    bool taken =
        strcmp(name, table) == 0 || (definition->key_count > 0 && strcmp(name, primary) == 0);
    for (uint32_t i = 0; i < count && !taken; i++)
        taken = strcmp(name, uniques[i].name) == 0;
    return taken;
}

static omen_status choose_name(struct plan *plan, const char *table,
                               const struct schema_definition *definition,
                               struct unique_definition *uniques, uint32_t number,
                               omen_error *error)
{
    char columns[2 * NAME_BYTES], label[16] = "key", name[NAME_BYTES];
    const struct unique_definition *unique = &uniques[number];
    size_t length = 0;
    for (uint32_t i = 0; i < unique->column_count && length < NAME_BYTES; i++)
        length +=
            (size_t)snprintf(columns + length, sizeof columns - length, "%s%.*s", i == 0 ? "" : "_",
                             SCHEMA_NAME_BYTES_MAX, definition->columns[unique->columns[i]].name);
    make_name(table, columns, label, name);
    for (unsigned pass = 1; is_taken(name, table, definition, uniques, number); pass++) {
        snprintf(label, sizeof label, "key%u", pass);
        make_name(table, columns, label, name);
    }
    uniques[number].name = arena_copy_text(&plan->arena, name, strlen(name));
    return uniques[number].name == NULL ? error_set_default(error, OMEN_OUT_OF_MEMORY) : OMEN_OK;
}

omen_status plan_settle_uniques(struct plan *plan, const char *table,
                                struct schema_definition *definition,
                                struct unique_definition *uniques, omen_error *error)
{
    definition->uniques = uniques;
    drop_redundant(definition, uniques);
    for (uint32_t i = 0; i < definition->unique_count; i++) {
        if (uniques[i].name == NULL)
            OMEN_TRY(choose_name(plan, table, definition, uniques, i, error));
        else if (is_taken(uniques[i].name, table, definition, uniques, i))
            return error_set(error, OMEN_DUPLICATE_TABLE, "relation \"%s\" already exists",
                             uniques[i].name);
    }
    return OMEN_OK;
}
