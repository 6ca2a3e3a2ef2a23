/* render_json.c - a result as one array of objects, a line a row:
 *
 *   [{"id":42,"name":"Ada"},
 *    {"id":43,"name":null}]
 *
 * Integers and decimals are numbers with all their digits, so are finite floats; NaN, Infinity and
 * -Infinity are strings, and so is everything that is neither number, boolean nor NULL. Strings
 * escape control characters and what could reorder a terminal's line. A name that an earlier
 * column has gets a suffix: id, id_2. The array of a statement that fails half-way stays open, so
 * that nobody takes it for whole.
 */
#include "render_private.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

static void write_escaped(FILE *out, uint32_t code)
{
    static const char letters[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    for (const char *letter = letters; *letter != '\0'; letter += 2) {
        if ((uint32_t)*letter == code) {
            putc_unlocked('\\', out);
            putc_unlocked(letter[1], out);
            return;
        }
    }
    fprintf(out, "\\u%04x", (unsigned)code);
}

static void write_string(FILE *out, const char *text, size_t length)
{
    putc_unlocked('"', out);
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t bytes = text_decode(text + i, length - i, &code);
        if (code == UINT32_MAX)
            fputs("\\ufffd", out);
        else if (code == '"' || code == '\\' || text_is_harmful(code))
            write_escaped(out, code);
        else
            fwrite(text + i, 1, bytes, out);
        i += bytes;
    }
    putc_unlocked('"', out);
}

static bool is_finite(const struct value_text *value)
{
    /* NaN, Infinity and -Infinity are the only numbers with one of these letters */
    return memchr(value->text, 'N', value->length) == NULL &&
           memchr(value->text, 'I', value->length) == NULL;
}

static void write_value(FILE *out, const struct value_text *value)
{
    if (value->text == NULL)
        fputs("null", out);
    else if (value->value.type.id == OMEN_TYPE_BOOLEAN)
        fputs(value->value.as.boolean ? "true" : "false", out);
    else if (type_is_number(value->value.type) && is_finite(value))
        fwrite(value->text, 1, value->length, out);
    else
        write_string(out, value->text, value->length);
}

static bool is_taken(char *const *names, size_t count, const struct rows *rows, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    for (size_t i = count + 1; i < rows->column_count; i++)
        if (strcmp(omen_statement_column_name(rows->statement, i), name) == 0)
            return true;
    return false;
}

/* Gives column `count` a name that the `count` before it do not have. */
static char *unique_name(char *const *names, size_t count, const struct rows *rows)
{
    const char *name = omen_statement_column_name(rows->statement, count);
    size_t room = strlen(name) + 16;
    char *unique = malloc(room);
    if (unique == NULL)
        return NULL;
    snprintf(unique, room, "%s", name);
    bool taken = false;
    for (size_t i = 0; i < count && !taken; i++)
        taken = strcmp(names[i], name) == 0;
    for (unsigned suffix = 2; taken; suffix++) {
        snprintf(unique, room, "%s_%u", name, suffix);
        taken = is_taken(names, count, rows, unique);
    }
    return unique;
}

static omen_status write_row(struct rows *rows, char *const *names, omen_error *error)
{
    putc_unlocked('{', rows->out);
    for (size_t column = 0; column < rows->column_count; column++) {
        struct value_text value;
        omen_status status = rows_text(rows, column, &value, error);
        if (status != OMEN_OK)
            return status;
        if (column > 0)
            putc_unlocked(',', rows->out);
        write_string(rows->out, names[column], strlen(names[column]));
        putc_unlocked(':', rows->out);
        write_value(rows->out, &value);
    }
    putc_unlocked('}', rows->out);
    return OMEN_OK;
}

static omen_status write_rows(struct rows *rows, omen_status first, char *const *names,
                              omen_error *error)
{
    putc_unlocked('[', rows->out);
    omen_status status = first;
    for (bool more = false; status == OMEN_OK; more = true) {
        if (more)
            fputs(",\n ", rows->out);
        if ((status = write_row(rows, names, error)) == OMEN_OK)
            status = rows_next(rows, error);
    }
    fputs(status == OMEN_END_OF_DATA ? "]\n" : "\n", rows->out);
    return status;
}

omen_status render_json(struct rows *rows, omen_status first, omen_error *error)
{
    omen_status status = OMEN_OUT_OF_MEMORY;
    size_t named = 0;
    char **names = calloc(rows->column_count + 1, sizeof *names);
    while (names != NULL && named < rows->column_count &&
           (names[named] = unique_name(names, named, rows)) != NULL)
        named++;
    if (names != NULL && named == rows->column_count)
        status = write_rows(rows, first, names, error);
    else
        status = render_out_of_memory(error);
    while (named > 0)
        free(names[--named]);
    free(names);
    return status;
}
