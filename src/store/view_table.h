/* view_table.h - the rows of a view as a table, made anew for each statement that names it.
 *
 * It is a table of frozen rows, so that every route reads it as it reads any table.
 */
#ifndef OMEN_STORE_VIEW_TABLE_H
#define OMEN_STORE_VIEW_TABLE_H

#include "store/database.h"

struct view_definition {
    const char *name;
    const struct column_definition *columns;
    uint32_t column_count;
};

struct view_rows {
    size_t count;
    /* Puts the row's values, which are NULL of the columns' types before. What they refer to stays
     * until the next call. */
    omen_status (*fill)(void *context, size_t row, omen_value *values);
    void *context;
};

/* Makes a table of its own that nobody can change; the caller has the one reference. Any thread.
 * Errors: OUT_OF_MEMORY; those of `fill`. */
OMEN_MUST_CHECK omen_status view_table_make(struct database *database,
                                            const struct view_definition *definition,
                                            const struct view_rows *rows, struct table **out,
                                            omen_error *error);

/* --- columns: X(name, type) of a list that a view defines --- */

#define VIEW_ENUM(name, type) VIEW_##name,
#define VIEW_DEFINITION(name_, type_)                                                              \
    {.name = #name_, .type.id = OMEN_TYPE_##type_, .nullable = true},

/* --- values of a row --- */

static inline void view_put_number(omen_value *value, uint64_t number)
{
    value->is_null = false;
    value->as.i64 = (int64_t)number;
}

static inline void view_put_boolean(omen_value *value, bool boolean)
{
    value->is_null = false;
    value->as.boolean = boolean;
}

/* Borrowed. NULL where the text is NULL or empty. */
void view_put_text(omen_value *value, const char *text);

#endif
