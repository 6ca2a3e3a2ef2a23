/* semantics.c - finding the line of semantics.def that a call means.
 *
 * PostgreSQL's rules (the manual's chapter "Type Conversion"): a line whose arguments are exactly
 * the given types wins; else those that the arguments cast to implicitly are candidates, and the
 * best of them is the one with the most exact matches, then the most preferred types, then the
 * one that untyped literals fit: as text, as the only category left, or as the known side's type.
 *
 * An index over the table (by name, casts by types) is made at the first use and never changes.
 */
#include "sql/semantics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/nearest.h"
#include "sql/value_text.h"

enum {
    LINES_MAX = 8192,
    NAME_BUCKETS = 1024,
    TYPE_SLOTS = 17, /* column types and INTERVAL */
    CANDIDATES_MAX = 256,
    ARGUMENTS_MAX = 100, /* of one call, as PostgreSQL */
};

/* --- the index --- */

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static uint16_t name_first[NAME_BUCKETS]; /* line number + 1 */
static uint16_t name_next[LINES_MAX];
static uint16_t cast_lines[TYPE_SLOTS][TYPE_SLOTS]; /* [from][to], line number + 1 */

static uint32_t name_bucket(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash % NAME_BUCKETS;
}

static uint32_t type_slot(uint32_t type)
{
    return type == SQL_TYPE_INTERVAL ? TYPE_SLOTS - 1 : type < TYPE_SLOTS - 1 ? type : 0;
}

static void index_build(void)
{
    OMEN_ASSERT(semantics_line_count <= LINES_MAX);
    for (uint32_t i = semantics_line_count; i-- > 0;) {
        const struct semantics_line *line = &semantics_lines[i];
        if (line->kind == SEMANTICS_CAST) {
            cast_lines[type_slot(line->arguments[0])][type_slot(line->result)] = (uint16_t)(i + 1);
            continue;
        }
        uint32_t bucket = name_bucket(line->name);
        name_next[i] = name_first[bucket];
        name_first[bucket] = (uint16_t)(i + 1);
    }
}

/* --- types --- */

const char *semantics_type_name(omen_type_id type)
{
    switch ((int)type) {
    case SQL_TYPE_UNKNOWN:
        return "unknown";
    case OMEN_TYPE_TIMESTAMP:
        return "timestamp without time zone";
    case SQL_TYPE_INTERVAL:
        return "interval";
    case SQL_TYPE_ANY:
        return "any";
    default:
        return type_name_of(type);
    }
}

/* PostgreSQL's pg_type.typcategory. */
static char type_category(uint32_t type)
{
    switch (type) {
    case SQL_TYPE_UNKNOWN:
        return 'X';
    case OMEN_TYPE_BOOLEAN:
        return 'B';
    case OMEN_TYPE_SMALLINT:
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_BIGINT:
    case OMEN_TYPE_REAL:
    case OMEN_TYPE_DOUBLE:
    case OMEN_TYPE_DECIMAL:
        return 'N';
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
        return 'S';
    case OMEN_TYPE_DATE:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ:
        return 'D';
    case SQL_TYPE_INTERVAL:
        return 'T';
    case SQL_TYPE_ANY:
        return 'P';
    default:
        return 'U';
    }
}

static bool type_preferred(uint32_t type)
{
    return type == OMEN_TYPE_BOOLEAN || type == OMEN_TYPE_DOUBLE || type == OMEN_TYPE_TEXT ||
           type == OMEN_TYPE_TIMESTAMPTZ || type == SQL_TYPE_INTERVAL;
}

const struct semantics_line *semantics_find_cast(omen_type_id from, omen_type_id to,
                                                 enum cast_context context)
{
    pthread_once(&index_once, index_build);
    uint32_t number = cast_lines[type_slot(from)][type_slot(to)];
    if (number == 0 || from == OMEN_TYPE_NONE || to == OMEN_TYPE_NONE)
        return NULL;
    const struct semantics_line *line = &semantics_lines[number - 1];
    uint32_t wanted = context == CONTEXT_IMPLICIT ? SEMANTICS_IMPLICIT
                                                  : SEMANTICS_IMPLICIT | SEMANTICS_ASSIGNMENT;
    return context == CONTEXT_EXPLICIT || (line->flags & wanted) != 0 ? line : NULL;
}

static bool coerces(uint32_t from, uint32_t to)
{
    return from == to || to == SQL_TYPE_ANY || from == SQL_TYPE_UNKNOWN ||
           semantics_find_cast((omen_type_id)from, (omen_type_id)to, CONTEXT_IMPLICIT) != NULL;
}

/* --- candidates --- */

struct call {
    uint32_t types[ARGUMENTS_MAX];
    uint32_t count;
    const struct semantics_line *candidates[CANDIDATES_MAX];
    uint32_t candidate_count;
};

static uint32_t argument_of(const struct semantics_line *line, uint32_t position)
{
    uint32_t last = line->argument_count - 1u;
    return line->arguments[position < last ? position : last];
}

static bool takes_count(const struct semantics_line *line, uint32_t count)
{
    if (line->flags & SEMANTICS_VARIADIC)
        return count >= line->argument_count;
    return count == line->argument_count;
}

/* Collects the lines of this name and number of arguments. */
static void collect(struct call *call, bool is_operator, const char *name)
{
    pthread_once(&index_once, index_build);
    call->candidate_count = 0;
    for (uint32_t number = name_first[name_bucket(name)]; number != 0;
         number = name_next[number - 1]) {
        const struct semantics_line *line = &semantics_lines[number - 1];
        if ((line->kind == SEMANTICS_OPERATOR) == is_operator && takes_count(line, call->count) &&
            strcmp(line->name, name) == 0) {
            OMEN_ASSERT(call->candidate_count < CANDIDATES_MAX);
            call->candidates[call->candidate_count++] = line;
        }
    }
}

static const struct semantics_line *find_exact(const struct call *call, const uint32_t *types)
{
    for (uint32_t i = 0; i < call->candidate_count; i++) {
        uint32_t j = 0;
        while (j < call->count && argument_of(call->candidates[i], j) == types[j])
            j++;
        if (j == call->count)
            return call->candidates[i];
    }
    return NULL;
}

/* Keeps the candidates that all arguments cast to. */
static void keep_matching(struct call *call)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < call->candidate_count; i++) {
        uint32_t j = 0;
        while (j < call->count && coerces(call->types[j], argument_of(call->candidates[i], j)))
            j++;
        if (j == call->count)
            call->candidates[kept++] = call->candidates[i];
    }
    call->candidate_count = kept;
}

/* Keeps the candidates with the most arguments matched exactly, or by the preferred type. */
static void keep_closest(struct call *call, bool or_preferred)
{
    uint32_t best = 0, kept = 0;
    for (uint32_t i = 0; i < call->candidate_count; i++) {
        uint32_t matches = 0;
        for (uint32_t j = 0; j < call->count; j++) {
            uint32_t type = argument_of(call->candidates[i], j);
            if (call->types[j] == SQL_TYPE_UNKNOWN)
                continue;
            matches +=
                type == call->types[j] || (or_preferred && type_preferred(type) &&
                                           type_category(type) == type_category(call->types[j]));
        }
        if (matches > best || i == 0) {
            best = matches;
            kept = 0;
        }
        if (matches == best)
            call->candidates[kept++] = call->candidates[i];
    }
    call->candidate_count = kept;
}

/* The category an untyped argument at this position takes: that of all candidates, or strings.
 * 0 where they conflict. */
static char untyped_category(const struct call *call, uint32_t position, bool *preferred)
{
    char category = 0;
    bool conflict = false;
    *preferred = false;
    for (uint32_t i = 0; i < call->candidate_count; i++) {
        uint32_t type = argument_of(call->candidates[i], position);
        char other = type_category(type);
        if (category == 0 || (other != category && other == 'S')) {
            category = other;
            *preferred = type_preferred(type);
        } else if (other == category) {
            *preferred |= type_preferred(type);
        } else {
            conflict = true;
        }
    }
    return conflict && category != 'S' ? 0 : category;
}

/* Keeps the candidates that fit the untyped arguments' categories, where any do. */
static void keep_categories(struct call *call)
{
    char categories[ARGUMENTS_MAX];
    bool preferred[ARGUMENTS_MAX];
    for (uint32_t j = 0; j < call->count; j++) {
        if (call->types[j] != SQL_TYPE_UNKNOWN)
            continue;
        categories[j] = untyped_category(call, j, &preferred[j]);
        if (categories[j] == 0)
            return;
    }
    const struct semantics_line *kept[CANDIDATES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < call->candidate_count; i++) {
        bool keep = true;
        for (uint32_t j = 0; keep && j < call->count; j++) {
            uint32_t type = argument_of(call->candidates[i], j);
            keep = call->types[j] != SQL_TYPE_UNKNOWN || (type_category(type) == categories[j] &&
                                                          (!preferred[j] || type_preferred(type)));
        }
        if (keep)
            kept[count++] = call->candidates[i];
    }
    if (count > 0) {
        memcpy(call->candidates, kept, count * sizeof *kept);
        call->candidate_count = count;
    }
}

/* Where all known arguments are of one type: the one candidate that takes it everywhere. */
static const struct semantics_line *find_uniform(const struct call *call)
{
    uint32_t known = SQL_TYPE_UNKNOWN;
    for (uint32_t j = 0; j < call->count; j++) {
        if (call->types[j] == SQL_TYPE_UNKNOWN)
            continue;
        if (known != SQL_TYPE_UNKNOWN && known != call->types[j])
            return NULL;
        known = call->types[j];
    }
    const struct semantics_line *found = NULL;
    for (uint32_t i = 0; known != SQL_TYPE_UNKNOWN && i < call->candidate_count; i++) {
        uint32_t j = 0;
        while (j < call->count && coerces(known, argument_of(call->candidates[i], j)))
            j++;
        if (j == call->count && found != NULL)
            return NULL;
        if (j == call->count)
            found = call->candidates[i];
    }
    return found;
}

/* The best candidate; NULL where there is none (*ambiguous false) or no best one. */
static const struct semantics_line *select_candidate(struct call *call, bool *ambiguous)
{
    keep_matching(call);
    *ambiguous = call->candidate_count > 1;
    if (call->candidate_count == 0)
        return NULL;
    keep_closest(call, false);
    if (call->candidate_count > 1)
        keep_closest(call, true);
    bool untyped = false;
    for (uint32_t j = 0; j < call->count; j++)
        untyped |= call->types[j] == SQL_TYPE_UNKNOWN;
    if (call->candidate_count > 1 && untyped)
        keep_categories(call);
    if (call->candidate_count == 1)
        return call->candidates[0];
    return untyped ? find_uniform(call) : NULL;
}

/* --- operators and functions --- */

/* PostgreSQL also has operators between REAL and DOUBLE, which the table does without. They are
 * why a REAL beside an exact number is computed as DOUBLE. */
static void widen_real(struct call *call)
{
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t other = call->types[1 - i];
        if (call->types[i] == OMEN_TYPE_REAL && other != OMEN_TYPE_REAL &&
            type_category(other) == 'N')
            call->types[i] = OMEN_TYPE_DOUBLE;
    }
}

omen_status semantics_find_operator(const char *name, const omen_type *left, const omen_type *right,
                                    const struct semantics_line **out, omen_error *error)
{
    struct call call;
    bool ambiguous;
    call.count = 0;
    if (left != NULL)
        call.types[call.count++] = left->id;
    call.types[call.count++] = right->id;
    if (call.count == 2)
        widen_real(&call);
    collect(&call, true, name);
    /* An untyped side takes the other's type. */
    uint32_t types[2] = {call.types[0], call.types[call.count - 1]};
    if (types[0] == SQL_TYPE_UNKNOWN)
        types[0] = types[1];
    else if (types[1] == SQL_TYPE_UNKNOWN)
        types[1] = types[0];
    *out = find_exact(&call, types);
    if (*out == NULL)
        *out = select_candidate(&call, &ambiguous);
    if (*out != NULL)
        return OMEN_OK;
    omen_status status = ambiguous ? OMEN_AMBIGUOUS_FUNCTION : OMEN_UNDEFINED_FUNCTION;
    error_set(error, status, "operator %s: %s%s%s %s",
              ambiguous ? "is not unique" : "does not exist",
              left != NULL ? semantics_type_name(left->id) : "", left != NULL ? " " : "", name,
              semantics_type_name(right->id));
    error_hint(error, ambiguous ? "Could not choose a best candidate operator. You might need to "
                                  "add explicit type casts."
                                : "No operator matches the given name and argument types. You "
                                  "might need to add explicit type casts.");
    return status;
}

/* At a function of a name near this one, or, where there is one of just this name, at its types. */
static void hint_at_function(const char *name, omen_error *error)
{
    struct nearest nearest;
    nearest_begin(&nearest, name, strlen(name));
    for (uint32_t i = 0; i < semantics_line_count && error != NULL; i++) {
        const struct semantics_line *line = &semantics_lines[i];
        if (line->kind == SEMANTICS_OPERATOR || line->kind == SEMANTICS_CAST ||
            strchr(line->name, '/') != NULL) /* one that only the binder calls */
            continue;
        nearest_offer(&nearest, NULL, line->name, 0);
    }
    if (nearest.count > 0 && nearest.distance > 0)
        nearest_hint(&nearest, "function", error);
    else
        error_hint(error, "No function matches the given name and argument types. You might need "
                          "to add explicit type casts.");
}

static omen_status function_missing(const char *name, const omen_type *arguments, uint32_t count,
                                    bool ambiguous, omen_error *error)
{
    char types[OMEN_ERROR_MESSAGE_BYTES] = "";
    size_t length = 0;
    for (uint32_t i = 0; i < count && length < sizeof types; i++)
        length += (size_t)snprintf(types + length, sizeof types - length, "%s%s", i > 0 ? ", " : "",
                                   semantics_type_name(arguments[i].id));
    error_set(error, ambiguous ? OMEN_AMBIGUOUS_FUNCTION : OMEN_UNDEFINED_FUNCTION,
              "function %s(%s) %s", name, types, ambiguous ? "is not unique" : "does not exist");
    hint_at_function(name, error);
    return ambiguous ? OMEN_AMBIGUOUS_FUNCTION : OMEN_UNDEFINED_FUNCTION;
}

omen_status semantics_no_function(const char *name, const omen_type *arguments,
                                  uint32_t argument_count, omen_error *error)
{
    return function_missing(name, arguments, argument_count, false, error);
}

omen_status semantics_find_function(const char *name, const omen_type *arguments,
                                    uint32_t argument_count, bool star,
                                    const struct semantics_line **out, omen_error *error)
{
    static const char catalog[] = "pg_catalog.";
    struct call call = {.count = star ? 0 : argument_count};
    bool ambiguous = false;
    *out = NULL;
    if (call.count > ARGUMENTS_MAX)
        return error_set(error, OMEN_LIMIT_EXCEEDED,
                         "cannot pass more than %d arguments to a function", ARGUMENTS_MAX);
    for (uint32_t i = 0; i < call.count; i++)
        call.types[i] = arguments[i].id;
    bool prefixed = strncmp(name, catalog, sizeof catalog - 1) == 0;
    collect(&call, false, prefixed ? name + sizeof catalog - 1 : name);
    *out = find_exact(&call, call.types);
    if (*out == NULL)
        *out = select_candidate(&call, &ambiguous);
    return *out != NULL ? OMEN_OK : function_missing(name, arguments, call.count, ambiguous, error);
}

/* --- result types --- */

static uint32_t smaller(uint32_t one, uint32_t other)
{
    return one < other ? one : other;
}

static uint32_t larger(uint32_t one, uint32_t other)
{
    return one > other ? one : other;
}

omen_type semantics_decimal_of(omen_type type)
{
    omen_type decimal = {.id = OMEN_TYPE_DECIMAL};
    switch (type.id) {
    case OMEN_TYPE_DECIMAL:
        return type;
    case OMEN_TYPE_SMALLINT:
        decimal.precision = 5;
        return decimal;
    case OMEN_TYPE_INTEGER:
        decimal.precision = 10;
        return decimal;
    case OMEN_TYPE_BIGINT:
        decimal.precision = 19;
        return decimal;
    default:
        decimal.precision = 38;
        return decimal;
    }
}

static omen_status decimal_result(uint32_t whole_digits, uint32_t scale, omen_type *out,
                                  omen_error *error)
{
    if (scale > 38)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "numeric results with more than 38 digits behind the point are not "
                         "supported");
    *out = (omen_type){.id = OMEN_TYPE_DECIMAL,
                       .precision = (uint8_t)larger(1, smaller(38, whole_digits + scale)),
                       .scale = (int8_t)scale};
    return OMEN_OK;
}

omen_status semantics_result_type(const struct semantics_line *line, const omen_type *arguments,
                                  uint32_t argument_count, int32_t digits, omen_type *out,
                                  omen_error *error)
{
    omen_type one = argument_count > 0 ? semantics_decimal_of(arguments[0]) : (omen_type){0};
    omen_type two = argument_count > 1 ? semantics_decimal_of(arguments[1]) : one;
    uint32_t scale1 = (uint32_t)one.scale, scale2 = (uint32_t)two.scale;
    uint32_t whole1 = one.precision - scale1, whole2 = two.precision - scale2;
    switch (line->rule) {
    case RESULT_TYPE:
        *out = (omen_type){.id = (omen_type_id)line->result};
        if (out->id == OMEN_TYPE_DECIMAL)
            out->precision = 38;
        return OMEN_OK;
    case RESULT_SAME:
        *out = arguments[0];
        return OMEN_OK;
    case RESULT_SAME_2:
        *out = arguments[1];
        return OMEN_OK;
    case RESULT_DECIMAL_ADD:
        return decimal_result(larger(whole1, whole2) + 1, larger(scale1, scale2), out, error);
    case RESULT_DECIMAL_MULTIPLY:
        return decimal_result(whole1 + whole2, scale1 + scale2, out, error);
    case RESULT_DECIMAL_DIVIDE:
        return decimal_result(whole1 + scale2,
                              larger(DECIMAL_QUOTIENT_SCALE, larger(scale1, scale2)), out, error);
    case RESULT_DECIMAL_SUM:
        return decimal_result(38, scale1, out, error);
    case RESULT_DECIMAL_WHOLE:
        return decimal_result(38, 0, out, error);
    case RESULT_DECIMAL_DIGITS:
    case RESULT_DECIMAL_FIELD:
        return decimal_result(38, (uint32_t)(digits > 0 ? digits : 0), out, error);
    }
    return error_set(error, OMEN_INTERNAL, "a line of no result");
}

/* --- common types --- */

/* Of one type's variants that which holds all: digits for every DECIMAL (and integers among
 * them), a length only where all have it. */
static void common_modifiers(const omen_type *types, uint32_t count, omen_type *out)
{
    uint32_t whole = 0, scale = 0;
    bool first = true, same_length = true;
    for (uint32_t i = 0; i < count; i++) {
        if (types[i].id == OMEN_TYPE_NONE) {
            same_length = false;
            continue;
        }
        omen_type decimal = semantics_decimal_of(types[i]);
        whole = larger(whole, decimal.precision - (uint32_t)decimal.scale);
        scale = larger(scale, (uint32_t)decimal.scale);
        same_length &= types[i].id == out->id && (first || types[i].length_max == out->length_max);
        out->length_max = types[i].length_max;
        first = false;
    }
    if (!same_length)
        out->length_max = 0;
    if (out->id == OMEN_TYPE_DECIMAL) {
        out->precision = (uint8_t)larger(1, smaller(38, whole + scale));
        out->scale = (int8_t)scale;
    }
}

omen_status semantics_common_type(const omen_type *types, uint32_t count, const char *what,
                                  omen_type *out, omen_error *error)
{
    uint32_t common = SQL_TYPE_UNKNOWN;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t type = types[i].id;
        if (type == SQL_TYPE_UNKNOWN || type == common)
            continue;
        if (common == SQL_TYPE_UNKNOWN)
            common = type;
        else if (type_category(type) != type_category(common))
            return error_set(error, OMEN_TYPE_MISMATCH, "%s types %s and %s cannot be matched",
                             what, semantics_type_name((omen_type_id)common),
                             semantics_type_name((omen_type_id)type));
        else if (!type_preferred(common) && coerces(common, type) && !coerces(type, common))
            common = type;
    }
    *out = (omen_type){.id = common == SQL_TYPE_UNKNOWN ? OMEN_TYPE_TEXT : (omen_type_id)common};
    common_modifiers(types, count, out);
    return OMEN_OK;
}
