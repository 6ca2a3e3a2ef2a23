/* point.c - see point.h. */
#include "query/point.h"

static bool is_integer(omen_type_id type)
{
    return type >= OMEN_TYPE_SMALLINT && type <= OMEN_TYPE_BIGINT;
}

/* Whether the row is found by its first parameter alone, and wanted as it is. */
static bool has_the_shape(const struct query_plan *plan)
{
    const struct lookup *lookup = plan->lookup;
    const struct query *query = plan->query;
    if (plan->route != ROUTE_BY_INDEX || plan->columns == NULL || plan->parameter_count != 1 ||
        query->limit != NULL || query->offset != NULL)
        return false;
    const struct schema *schema = table_schema(lookup->table);
    return lookup->conjunct_count == 1 && lookup->filter_count == 0 && !lookup->never &&
           lookup->conjuncts[0].direct && schema->key.count == 1 &&
           is_integer(lookup->conjuncts[0].type.id);
}

omen_status point_query_create(const struct query_plan *plan, struct point_query **out,
                               omen_error *error)
{
    *out = NULL;
    if (!has_the_shape(plan))
        return OMEN_OK;
    uint32_t count = plan->query->target_count;
    struct point_query *point = arena_alloc(plan->arena, sizeof *point);
    omen_value *values = arena_alloc(plan->arena, count * sizeof *values);
    uint8_t(*texts)[ROW_COPY_TEXT_BYTES] = arena_alloc(plan->arena, count * sizeof *texts);
    if (point == NULL || values == NULL || texts == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    const struct schema *schema = table_schema(plan->lookup->table);
    for (uint32_t i = 0; i < count; i++)
        values[i] = (omen_value){.type = schema->columns[plan->columns[i]].type};
    *point = (struct point_query){
        .table = plan->lookup->table,
        .key_type = plan->lookup->conjuncts[0].type.id,
        .row = {.columns = plan->columns, .column_count = count, .values = values, .texts = texts},
    };
    *out = point;
    return OMEN_OK;
}
