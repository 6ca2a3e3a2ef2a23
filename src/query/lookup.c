/* lookup.c - see lookup.h.
 *
 * `column = value` fixes a key column where every cast around the column is one-to-one: then at
 * most one value of the column's type equals the other side, and narrowing finds it. BIGINT as
 * DOUBLE PRECISION is so for constants below 2^53 only: beyond, two keys may equal one double.
 */
#include "query/lookup.h"

#include <math.h>
#include <string.h>

#include "column/decimal.h"
#include "column/float_order.h"
#include "column/key.h"
#include "column/utf8.h"

/* --- narrowing --- */

/* Digits before the point that hold every value of an integer type. */
static int integer_digits(omen_type_id type)
{
    switch (type) {
    case OMEN_TYPE_SMALLINT:
        return 5;
    case OMEN_TYPE_INTEGER:
        return 10;
    default:
        return 19;
    }
}

static bool is_integer(omen_type_id type)
{
    return type >= OMEN_TYPE_SMALLINT && type <= OMEN_TYPE_BIGINT;
}

static bool is_text(omen_type_id type)
{
    return type == OMEN_TYPE_TEXT || type == OMEN_TYPE_VARCHAR;
}

static bool is_timestamp(omen_type_id type)
{
    return type == OMEN_TYPE_TIMESTAMP || type == OMEN_TYPE_TIMESTAMPTZ;
}

/* Whether a cast keeps every value apart from every other, and fails for none (BIGINT as DOUBLE
 * PRECISION: see is_narrow_enough). */
static bool is_widening(omen_type from, omen_type to)
{
    if (is_integer(from.id)) {
        if (is_integer(to.id))
            return to.id >= from.id;
        if (to.id == OMEN_TYPE_DECIMAL)
            return to.precision - to.scale >= integer_digits(from.id);
        return to.id == OMEN_TYPE_DOUBLE ||
               (to.id == OMEN_TYPE_REAL && from.id == OMEN_TYPE_SMALLINT);
    }
    if (is_text(from.id) || from.id == OMEN_TYPE_CHAR)
        return (is_text(to.id) && to.length_max == 0) ||
               (to.id == from.id && to.length_max == from.length_max);
    if (from.id == OMEN_TYPE_DECIMAL)
        return to.id == OMEN_TYPE_DECIMAL && to.scale >= from.scale &&
               to.precision - to.scale >= from.precision - from.scale;
    if (from.id == OMEN_TYPE_DATE || is_timestamp(from.id))
        return to.id == from.id || is_timestamp(to.id);
    return to.id == from.id || (from.id == OMEN_TYPE_REAL && to.id == OMEN_TYPE_DOUBLE);
}

static bool narrow_to_integer(const omen_value *value, omen_type_id type, wide_integer *out)
{
    static const double limit = 9223372036854775808.0;
    double number;
    switch (value->type.id) {
    case OMEN_TYPE_SMALLINT:
        *out = value->as.i16;
        break;
    case OMEN_TYPE_INTEGER:
        *out = value->as.i32;
        break;
    case OMEN_TYPE_BIGINT:
        *out = value->as.i64;
        break;
    case OMEN_TYPE_DECIMAL: {
        wide_integer unscaled = decimal_to_integer(value->as.decimal);
        wide_integer factor = decimal_power(value->type.scale);
        if (unscaled % factor != 0)
            return false;
        *out = unscaled / factor;
        break;
    }
    default:
        number = value->type.id == OMEN_TYPE_REAL ? (double)value->as.f32 : value->as.f64;
        if (!(number >= -limit && number < limit) || number != floor(number))
            return false;
        *out = (int64_t)number;
        break;
    }
    int64_t most = type == OMEN_TYPE_SMALLINT  ? INT16_MAX
                   : type == OMEN_TYPE_INTEGER ? INT32_MAX
                                               : INT64_MAX;
    return *out >= -(wide_integer)most - 1 && *out <= most;
}

static bool narrow_decimal(const omen_value *value, omen_value *out)
{
    wide_integer unscaled = decimal_to_integer(value->as.decimal);
    int more = out->type.scale - value->type.scale;
    if (more < 0) {
        wide_integer factor = decimal_power(-more);
        if (unscaled % factor != 0)
            return false;
        unscaled /= factor;
    } else if (__builtin_mul_overflow(unscaled, decimal_power(more), &unscaled)) {
        return false;
    }
    out->as.decimal = decimal_from_integer(unscaled);
    return decimal_fits(unscaled, out->type.precision);
}

static bool narrow_real(const omen_value *value, omen_value *out)
{
    if (value->type.id == OMEN_TYPE_REAL) {
        out->as.f32 = value->as.f32;
        return true;
    }
    out->as.f32 = (float)value->as.f64;
    return isnan(value->as.f64) || (double)out->as.f32 == value->as.f64;
}

static bool narrow_date(const omen_value *value, omen_value *out)
{
    static const int64_t day = INT64_C(86400000000);
    if (value->type.id == OMEN_TYPE_DATE) {
        out->as.i32 = value->as.i32;
        return true;
    }
    int64_t days = value->as.i64 / day;
    out->as.i32 = (int32_t)days;
    return value->as.i64 % day == 0 && days >= INT32_MIN && days <= INT32_MAX;
}

/* CHAR keys are stored with their blanks. Compared as CHAR trailing blanks do not count; compared
 * as TEXT the column has none. */
static omen_status narrow_char(const omen_value *value, struct arena *arena, omen_value *out,
                               bool *matches)
{
    const uint8_t *data = value->as.bytes.data;
    size_t length = value->as.bytes.length;
    if (value->type.id == OMEN_TYPE_CHAR)
        while (length > 0 && data[length - 1] == ' ')
            length--;
    size_t characters = utf8_character_count(data, length), wanted = out->type.length_max;
    *matches = characters <= wanted && (length == 0 || data[length - 1] != ' ');
    if (!*matches)
        return OMEN_OK;
    uint8_t *padded = arena_alloc(arena, length + wanted - characters);
    if (padded == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (length > 0)
        memcpy(padded, data, length);
    memset(padded + length, ' ', wanted - characters);
    out->as.bytes = (omen_bytes){padded, length + wanted - characters};
    return OMEN_OK;
}

/* The one value of the column's type (in out->type) that equals `value`, of a type the column
 * widens to; `*matches` is false where there is none. */
static omen_status narrow(const omen_value *value, struct arena *arena, omen_value *out,
                          bool *matches)
{
    wide_integer integer = 0;
    *matches = true;
    out->is_null = false;
    switch (out->type.id) {
    case OMEN_TYPE_SMALLINT:
        *matches = narrow_to_integer(value, out->type.id, &integer);
        out->as.i16 = (int16_t)integer;
        return OMEN_OK;
    case OMEN_TYPE_INTEGER:
        *matches = narrow_to_integer(value, out->type.id, &integer);
        out->as.i32 = (int32_t)integer;
        return OMEN_OK;
    case OMEN_TYPE_BIGINT:
        *matches = narrow_to_integer(value, out->type.id, &integer);
        out->as.i64 = (int64_t)integer;
        return OMEN_OK;
    case OMEN_TYPE_REAL:
        *matches = narrow_real(value, out);
        return OMEN_OK;
    case OMEN_TYPE_DECIMAL:
        *matches = narrow_decimal(value, out);
        return OMEN_OK;
    case OMEN_TYPE_CHAR:
        return narrow_char(value, arena, out, matches);
    case OMEN_TYPE_DATE:
        *matches = narrow_date(value, out);
        return OMEN_OK;
    default:
        out->as = value->as;
        return OMEN_OK;
    }
}

/* --- reading a condition --- */

struct builder {
    struct arena *arena;
    const struct relation *relation;
    const struct schema *schema;
    struct lookup *lookup;
    const char *reason; /* why there is no lookup; NULL so far */
    bool out_of_memory;
};

static uint32_t count_conjuncts(const struct expression *expression)
{
    if (expression->kind != EXPRESSION_AND)
        return 1;
    uint32_t count = 0;
    for (uint32_t i = 0; i < expression->argument_count; i++)
        count += count_conjuncts(expression->arguments[i]);
    return count;
}

static bool has_no_column(struct expression **part, void *state)
{
    return (*part)->kind != EXPRESSION_COLUMN &&
           expression_visit_parts(*part, has_no_column, state);
}

static bool is_equality(const struct expression *expression)
{
    return (expression->kind == EXPRESSION_CALL || expression->kind == EXPRESSION_IN) &&
           !expression->negated && expression->argument_count == 2 && expression->line != NULL &&
           expression->line->kind == SEMANTICS_OPERATOR && strcmp(expression->line->name, "=") == 0;
}

/* The position in the key of the column behind any widening casts, else -1. */
static int32_t key_position(const struct builder *builder, const struct expression *expression)
{
    const struct expression *inner = expression;
    while (inner->kind == EXPRESSION_CALL && inner->line->kind == SEMANTICS_CAST &&
           inner->argument_count >= 1)
        inner = inner->arguments[0];
    if (inner->kind != EXPRESSION_COLUMN || inner->column.relation != builder->relation ||
        inner->column.levels_up != 0)
        return -1;
    for (; expression != inner; expression = expression->arguments[0])
        if (!is_widening(expression->arguments[0]->type, expression->type))
            return -1;
    for (uint32_t i = 0; i < builder->schema->key.count; i++)
        if (builder->schema->key.columns[i] == inner->column.column)
            return (int32_t)i;
    return -1;
}

static omen_status add_conjunct(struct builder *builder, uint32_t position,
                                struct expression *value, omen_error *error)
{
    struct lookup *lookup = builder->lookup;
    struct key_conjunct *conjunct = &lookup->conjuncts[lookup->conjunct_count++];
    *conjunct = (struct key_conjunct){
        .key_position = position,
        .type = builder->schema->columns[builder->schema->key.columns[position]].type,
    };
    conjunct->value = value;
    conjunct->direct = value->kind == EXPRESSION_PARAMETER &&
                       semantics_same_type(value->type, conjunct->type) &&
                       value->type.id != OMEN_TYPE_CHAR;
    if (value->kind != EXPRESSION_CONSTANT)
        return OMEN_OK;
    bool matches = false;
    conjunct->fixed = true;
    conjunct->constant.type = conjunct->type;
    if (!value->value.is_null &&
        narrow(&value->value, builder->arena, &conjunct->constant, &matches) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    lookup->never = lookup->never || !matches;
    return OMEN_OK;
}

/* Whether at most one value of the column's type equals `value` in the type of comparison. */
static bool is_narrow_enough(const struct builder *builder, uint32_t position,
                             const struct expression *value)
{
    static const double limit = 9007199254740992.0; /* 2^53 */
    omen_type type = builder->schema->columns[builder->schema->key.columns[position]].type;
    if (type.id != OMEN_TYPE_BIGINT || value->type.id != OMEN_TYPE_DOUBLE)
        return true;
    return value->kind == EXPRESSION_CONSTANT &&
           (value->value.is_null || !(fabs(value->value.as.f64) >= limit));
}

static omen_status add_conjuncts(struct builder *builder, struct expression *expression,
                                 omen_error *error)
{
    if (expression->kind == EXPRESSION_AND) {
        for (uint32_t i = 0; i < expression->argument_count; i++)
            OMEN_TRY(add_conjuncts(builder, expression->arguments[i], error));
        return OMEN_OK;
    }
    if (!expression_is_evaluable(expression)) {
        builder->reason = "a part of the condition is the engine's to compute";
        return OMEN_OK;
    }
    for (uint32_t side = 0; side < 2 && is_equality(expression); side++) {
        int32_t position = key_position(builder, expression->arguments[side]);
        struct expression **other = &expression->arguments[1 - side];
        if (position < 0 || !has_no_column(other, NULL))
            continue;
        OMEN_TRY(evaluate_constants(other, builder->arena, error));
        if (is_narrow_enough(builder, (uint32_t)position, *other))
            return add_conjunct(builder, (uint32_t)position, *other, error);
    }
    builder->lookup->filters[builder->lookup->filter_count++] = expression;
    return OMEN_OK;
}

static bool covers_key(const struct builder *builder)
{
    const struct lookup *lookup = builder->lookup;
    for (uint32_t key = 0; key < builder->schema->key.count; key++) {
        bool covered = false;
        for (uint32_t i = 0; i < lookup->conjunct_count; i++)
            covered = covered || lookup->conjuncts[i].key_position == key;
        if (!covered)
            return false;
    }
    return true;
}

omen_status lookup_create(struct arena *arena, const struct relation *relation,
                          struct expression *where, struct lookup **out, const char **reason,
                          omen_error *error)
{
    struct builder builder = {
        .arena = arena, .relation = relation, .schema = table_schema(relation->table)};
    *out = NULL;
    *reason = "there is no condition on the key";
    if (where == NULL)
        return OMEN_OK;
    *reason = "the table has no primary key";
    if (builder.schema->key_hidden)
        return OMEN_OK;
    uint32_t count = count_conjuncts(where);
    struct lookup *lookup = arena_alloc(arena, sizeof *lookup);
    if (lookup == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    *lookup = (struct lookup){
        .table = relation->table,
        .conjuncts = arena_alloc(arena, count * sizeof *lookup->conjuncts),
        .filters = arena_alloc(arena, count * sizeof *lookup->filters),
        .key = arena_alloc(arena, builder.schema->key.count * sizeof *lookup->key),
        .key_set = arena_alloc(arena, builder.schema->key.count * sizeof *lookup->key_set),
    };
    if (lookup->conjuncts == NULL || lookup->filters == NULL || lookup->key == NULL ||
        lookup->key_set == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    builder.lookup = lookup;
    OMEN_TRY(add_conjuncts(&builder, where, error));
    *reason = builder.reason;
    if (builder.reason != NULL)
        return OMEN_OK;
    *reason = "the condition leaves a key column open";
    if (!covers_key(&builder))
        return OMEN_OK;
    *reason = lookup->never ? "the condition on the key can match no row"
                            : "the condition fixes the whole primary key";
    *out = lookup;
    return OMEN_OK;
}

/* --- running --- */

omen_status lookup_read_column(void *row, const struct expression *column, omen_value *out,
                               omen_error *error)
{
    const struct row_ref *reference = row;
    OMEN_TRY(row_group_ensure(reference->group, &column->column.column, 1, error));
    row_group_read(reference->group, reference->slot, column->column.column, out);
    return OMEN_OK;
}

omen_status lookup_passes(const struct expression *condition, struct evaluation *evaluation,
                          bool *passes, omen_error *error)
{
    omen_value value;
    *passes = false;
    OMEN_TRY(evaluate(condition, evaluation, &value, error));
    *passes = !value.is_null && value.as.boolean;
    return OMEN_OK;
}

/* Keys are compared in canonical form: one zero, one NaN. */
static void canonicalise(omen_value *value)
{
    if (value->type.id == OMEN_TYPE_REAL)
        value->as.f32 = float_canonical(value->as.f32);
    else if (value->type.id == OMEN_TYPE_DOUBLE)
        value->as.f64 = double_canonical(value->as.f64);
}

/* Gathers the key. `*found` is false where a conjunct excludes every row or two of them contradict
 * each other. All values are computed, so that a bad one is always an error. */
static omen_status gather_key(struct lookup *lookup, struct evaluation *evaluation, bool *found,
                              omen_error *error)
{
    *found = !lookup->never;
    memset(lookup->key_set, 0, table_schema(lookup->table)->key.count * sizeof *lookup->key_set);
    for (uint32_t i = 0; i < lookup->conjunct_count; i++) {
        const struct key_conjunct *conjunct = &lookup->conjuncts[i];
        omen_value value = conjunct->constant;
        if (conjunct->direct) {
            value = evaluation->parameters[conjunct->value->parameter];
            *found = *found && !value.is_null;
        } else if (!conjunct->fixed) {
            omen_value wide;
            bool matches = false;
            value.type = conjunct->type;
            OMEN_TRY(evaluate(conjunct->value, evaluation, &wide, error));
            if (!wide.is_null && narrow(&wide, evaluation->arena, &value, &matches) != OMEN_OK)
                return error_set_default(error, OMEN_OUT_OF_MEMORY);
            *found = *found && matches;
        }
        if (!*found)
            continue;
        canonicalise(&value);
        omen_value *key = &lookup->key[conjunct->key_position];
        bool *set = &lookup->key_set[conjunct->key_position];
        if (*set && value_compare(key, &value) != 0)
            *found = false;
        *key = value;
        *set = true;
    }
    return OMEN_OK;
}

/* Lets the row go where a filter is not true of it. */
static omen_status apply_filters(const struct lookup *lookup, struct evaluation *evaluation,
                                 struct row_ref *row, omen_error *error)
{
    omen_status status = OMEN_OK;
    bool passes = true;
    evaluation->read_column = lookup_read_column;
    evaluation->row = row;
    for (uint32_t i = 0; i < lookup->filter_count && passes && status == OMEN_OK; i++)
        status = lookup_passes(lookup->filters[i], evaluation, &passes, error);
    if (passes && status == OMEN_OK)
        return OMEN_OK;
    row_ref_release(row);
    *row = (struct row_ref){0};
    return status;
}

omen_status lookup_find_key(struct lookup *lookup, struct evaluation *evaluation,
                            struct index_key *key, bool *found, omen_error *error)
{
    const struct schema *schema = table_schema(lookup->table);
    OMEN_TRY(gather_key(lookup, evaluation, found, error));
    if (!*found)
        return OMEN_OK;
    if (schema->key.kind == INDEX_WORD && schema->key.count == 1) {
        *key = index_key_word(key_word(lookup->key));
        return OMEN_OK;
    }
    omen_status status = key_encode(schema, lookup->key, evaluation->arena, key, error);
    if (status != OMEN_LIMIT_EXCEEDED)
        return status;
    *found = false; /* longer than any stored key */
    return OMEN_OK;
}

omen_status lookup_filter(const struct lookup *lookup, struct evaluation *evaluation,
                          struct row_ref *row, omen_error *error)
{
    return row->group == NULL || lookup->filter_count == 0
               ? OMEN_OK
               : apply_filters(lookup, evaluation, row, error);
}

omen_status lookup_run(struct lookup *lookup, struct session *session,
                       struct evaluation *evaluation, struct row_ref *row, omen_error *error)
{
    struct index_key key;
    struct snapshot snapshot;
    bool found;
    *row = (struct row_ref){0};
    OMEN_TRY(lookup_find_key(lookup, evaluation, &key, &found, error));
    if (!found)
        return OMEN_OK;
    OMEN_TRY(transaction_snapshot(session, &snapshot, error));
    omen_status status = transaction_get(session, lookup->table, snapshot.timestamp, key, row);
    /* The row is pinned and never changes: its snapshot is no longer needed. */
    snapshot_release(&snapshot);
    if (status == OMEN_NOT_FOUND)
        return OMEN_OK;
    return status == OMEN_OK ? lookup_filter(lookup, evaluation, row, error)
                             : error_set_default(error, status);
}
