/* render.c - the walk over the rows of a result that all formats share. */
#define _POSIX_C_SOURCE 200809L
#include "render_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "interrupt.h"
#include "output.h"
#include "progress.h"

enum { VALUE_BYTES_FIRST = 256 };

static const struct {
    const char *name;
    omen_status (*render)(struct rows *rows, omen_status first, omen_error *error);
    bool for_people;
} formats[] = {
    [RENDER_TABLE] = {"table", render_table, true},
    [RENDER_CSV] = {"csv", render_csv, false},
    [RENDER_JSON] = {"json", render_json, false},
    [RENDER_MARKDOWN] = {"markdown", render_markdown, false},
    [RENDER_LINE] = {"line", render_line, true},
};

const char render_format_list[] = "table, csv, json, markdown, line";

const char *render_format_name(enum render_format format)
{
    return formats[format].name;
}

bool render_format_find(const char *name, enum render_format *format)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            *format = (enum render_format)i;
            return true;
        }
    }
    return false;
}

bool render_format_is_for_people(enum render_format format)
{
    return formats[format].for_people;
}

double render_now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static omen_status fail(omen_error *error, omen_status status, const char *message)
{
    *error = (omen_error){.status = status};
    snprintf(error->message, sizeof error->message, "%s", message);
    memcpy(error->sqlstate, omen_status_sqlstate(status), sizeof error->sqlstate);
    return status;
}

omen_status render_out_of_memory(omen_error *error)
{
    return fail(error, OMEN_OUT_OF_MEMORY, "out of memory printing the result");
}

omen_status rows_next(struct rows *rows, omen_error *error)
{
    if (output_failed())
        return fail(error, OMEN_IO_ERROR, "could not write the result");
    if (interrupt_pending())
        return fail(error, OMEN_CANCELLED, "statement cancelled");
    double start = render_now_seconds();
    omen_status status = omen_step(rows->statement, error);
    rows->totals->seconds += render_now_seconds() - start;
    rows->totals->row_count += status == OMEN_OK;
    return status;
}

omen_status rows_text(struct rows *rows, size_t column, struct value_text *out, omen_error *error)
{
    *out = (struct value_text){.value = omen_statement_value(rows->statement, column)};
    if (out->value.is_null)
        return OMEN_OK;
    omen_status status =
        omen_value_to_text(&out->value, rows->buffer, rows->capacity, &out->length);
    if (status == OMEN_LIMIT_EXCEEDED) {
        char *larger = realloc(rows->buffer, out->length);
        if (larger == NULL)
            return render_out_of_memory(error);
        rows->buffer = larger;
        rows->capacity = out->length;
        status = omen_value_to_text(&out->value, rows->buffer, rows->capacity, &out->length);
    }
    out->text = rows->buffer;
    return status == OMEN_OK ? status : fail(error, status, omen_status_text(status));
}

bool type_is_number(omen_type type)
{
    return type.id >= OMEN_TYPE_SMALLINT && type.id <= OMEN_TYPE_DECIMAL;
}

void type_name(omen_type type, char name[TYPE_NAME_BYTES])
{
    static const char *const names[] = {
        [OMEN_TYPE_NONE] = "unknown",      [OMEN_TYPE_BOOLEAN] = "boolean",
        [OMEN_TYPE_SMALLINT] = "smallint", [OMEN_TYPE_INTEGER] = "integer",
        [OMEN_TYPE_BIGINT] = "bigint",     [OMEN_TYPE_REAL] = "real",
        [OMEN_TYPE_DOUBLE] = "double",     [OMEN_TYPE_DECIMAL] = "numeric",
        [OMEN_TYPE_TEXT] = "text",         [OMEN_TYPE_VARCHAR] = "varchar",
        [OMEN_TYPE_CHAR] = "char",         [OMEN_TYPE_BYTEA] = "bytea",
        [OMEN_TYPE_DATE] = "date",         [OMEN_TYPE_TIMESTAMP] = "timestamp",
        [OMEN_TYPE_UUID] = "uuid",         [OMEN_TYPE_TIMESTAMPTZ] = "timestamptz",
    };
    size_t id = (size_t)type.id;
    const char *base = id < sizeof names / sizeof *names ? names[id] : "unknown";
    if (type.id == OMEN_TYPE_DECIMAL)
        snprintf(name, TYPE_NAME_BYTES, "%s(%u,%d)", base, type.precision, type.scale);
    else if (type.length_max > 0)
        snprintf(name, TYPE_NAME_BYTES, "%s(%u)", base, type.length_max);
    else
        snprintf(name, TYPE_NAME_BYTES, "%s", base);
}

omen_status render_result(omen_statement *statement, const struct render_options *options,
                          FILE *out, struct render_totals *totals, omen_error *error)
{
    *totals = (struct render_totals){0};
    struct rows rows = {
        .statement = statement,
        .options = options,
        .out = out,
        .column_count = omen_statement_column_count(statement),
        .totals = totals,
        .buffer = malloc(VALUE_BYTES_FIRST),
        .capacity = VALUE_BYTES_FIRST,
    };
    if (rows.buffer == NULL)
        return render_out_of_memory(error);
    omen_status status = rows_next(&rows, error);
    progress_end();
    if (status == OMEN_OK || status == OMEN_END_OF_DATA)
        status = formats[options->format].render(&rows, status, error);
    free(rows.buffer);
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}
