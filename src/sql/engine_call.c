/* engine_call.c - signatures: what the engine hands back with a function's arguments.
 *
 *   lower 17 c 8.0.0.0 8.0.0.0
 *   |     |  | |       the arguments' types: id.precision.scale.length_max
 *   |     |  | the result's
 *   |     |  c; x: an explicit cast; n: the first column is the statement's now, the rest arguments
 *   |     the line's number in semantics_lines
 *   the name, for EXPLAIN, and to tell a forged signature
 */
#include <stdio.h>
#include <string.h>

#include "sql/engine_text.h"

enum { TYPE_TEXT_BYTES_MAX = 32, NAME_BYTES_MAX = 64 };

static const char *name_of(const struct semantics_line *line)
{
    return line->name != NULL ? line->name : "cast";
}

static size_t write_type(omen_type type, char *text)
{
    return (size_t)snprintf(text, TYPE_TEXT_BYTES_MAX, " %d.%d.%d.%u", (int)type.id,
                            (int)type.precision, (int)type.scale, type.length_max);
}

omen_status engine_call_write(const struct expression *call, struct arena *arena,
                              const char **signature, omen_error *error)
{
    const struct semantics_line *line = call->line;
    if (call->argument_count > ENGINE_CALL_ARGUMENTS_MAX)
        return error_set(error, OMEN_NOT_SUPPORTED, "%s with more than %d arguments", name_of(line),
                         ENGINE_CALL_ARGUMENTS_MAX);
    size_t capacity = NAME_BYTES_MAX + 32 + TYPE_TEXT_BYTES_MAX * (call->argument_count + 1);
    char *text = arena_alloc(arena, capacity);
    if (text == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    char kind = line->flags & SEMANTICS_STABLE ? 'n' : call->explicit_cast ? 'x' : 'c';
    size_t length = (size_t)snprintf(text, NAME_BYTES_MAX + 32, "%.60s %u %c", name_of(line),
                                     (unsigned)(line - semantics_lines), kind);
    length += write_type(call->type, text + length);
    for (uint32_t i = 0; i < call->argument_count; i++)
        length += write_type(call->arguments[i]->type, text + length);
    *signature = text;
    return OMEN_OK;
}

/* --- reading; the text is the engine's copy of ours, but never trusted --- */

struct reader {
    const char *next, *end;
};

/* Digits, with a sign where the number is negative, as written above. */
static bool read_number(struct reader *reader, int64_t minimum, int64_t maximum, int64_t *out)
{
    bool negative = reader->next < reader->end && *reader->next == '-';
    int64_t number = 0;
    reader->next += negative;
    const char *first = reader->next;
    while (reader->next < reader->end && *reader->next >= '0' && *reader->next <= '9' &&
           number <= UINT32_MAX)
        number = number * 10 + (*reader->next++ - '0');
    *out = negative ? -number : number;
    return reader->next > first && *out >= minimum && *out <= maximum;
}

static bool read_character(struct reader *reader, char wanted)
{
    return reader->next < reader->end && *reader->next++ == wanted;
}

static bool read_type(struct reader *reader, omen_type *type)
{
    int64_t id, precision, scale, length_max;
    if (!read_character(reader, ' ') || !read_number(reader, 0, SQL_TYPE_INTERVAL, &id) ||
        !read_character(reader, '.') || !read_number(reader, 0, 38, &precision) ||
        !read_character(reader, '.') || !read_number(reader, 0, 38, &scale) ||
        !read_character(reader, '.') || !read_number(reader, 0, UINT32_MAX, &length_max) ||
        (id > OMEN_TYPE_UUID && id != SQL_TYPE_INTERVAL))
        return false;
    *type = (omen_type){.id = (omen_type_id)id,
                        .precision = (uint8_t)precision,
                        .scale = (int8_t)scale,
                        .length_max = (uint32_t)length_max};
    return true;
}

static bool is_bytes(uint32_t type)
{
    return type >= OMEN_TYPE_TEXT && type <= OMEN_TYPE_BYTEA;
}

/* Whether a value of this type has the place that the line reads for its type. */
static bool suits(omen_type type, uint32_t wanted)
{
    if (type.id == OMEN_TYPE_DECIMAL && (type.precision == 0 || type.scale > type.precision))
        return false;
    return wanted == SQL_TYPE_ANY || wanted == (uint32_t)type.id ||
           (is_bytes(wanted) && is_bytes(type.id));
}

static bool read_arguments(struct reader *reader, struct engine_call *out)
{
    uint32_t known = out->line->argument_count;
    for (; reader->next < reader->end; out->argument_count++) {
        uint32_t i = out->argument_count;
        if (i == ENGINE_CALL_ARGUMENTS_MAX || known == 0 ||
            !read_type(reader, &out->arguments[i]) ||
            !suits(out->arguments[i], out->line->arguments[i < known ? i : known - 1]))
            return false;
    }
    return out->argument_count == known ||
           (out->argument_count > known && (out->line->flags & SEMANTICS_VARIADIC) != 0);
}

/* The type that the line's rule gives for the arguments. */
static bool result_suits(const struct engine_call *call)
{
    switch (call->line->rule) {
    case RESULT_TYPE:
        return suits(call->result, call->line->result);
    case RESULT_SAME:
        return call->argument_count > 0 && suits(call->result, call->arguments[0].id);
    case RESULT_SAME_2:
        return call->argument_count > 1 && suits(call->result, call->arguments[1].id);
    default:
        return suits(call->result, OMEN_TYPE_DECIMAL);
    }
}

static bool read_call(struct reader *reader, struct engine_call *out)
{
    const char *name = reader->next;
    while (reader->next < reader->end && *reader->next != ' ')
        reader->next++;
    size_t name_length = (size_t)(reader->next - name);
    int64_t number;
    if (!read_character(reader, ' ') ||
        !read_number(reader, 0, (int64_t)semantics_line_count - 1, &number) ||
        !read_character(reader, ' ') || reader->next == reader->end)
        return false;
    out->line = &semantics_lines[number];
    const char *wanted = name_of(out->line);
    if (strlen(wanted) != name_length || memcmp(wanted, name, name_length) != 0 ||
        out->line->evaluate == NULL)
        return false;
    char kind = *reader->next++;
    out->explicit_cast = kind == 'x';
    out->takes_now = kind == 'n';
    return read_type(reader, &out->result) && read_arguments(reader, out) && result_suits(out);
}

omen_status engine_call_read(const char *signature, size_t length, struct engine_call *out,
                             omen_error *error)
{
    memset(out, 0, sizeof *out);
    struct reader reader = {.next = signature, .end = signature + length};
    if (!read_call(&reader, out))
        return error_set(error, OMEN_INTERNAL, "\"%.*s\" is no function of the core",
                         (int)(length > 100 ? 100 : length), signature);
    return OMEN_OK;
}
