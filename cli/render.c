/* render.c - results as a table or as CSV.
 *
 * A table's widths come from its header and its first ROWS_MEASURED rows, which are kept as text
 * until then; later rows are printed as they come, wider than their column where need be. CSV is
 * RFC 4180 with NULL as an empty field and an empty text as "".
 */
#define _POSIX_C_SOURCE 200809L
#include "render.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS_MEASURED = 1000, CELL_BYTES_FIRST = 256 };

struct cell {
    char *text; /* zero-terminated; NULL for an SQL NULL */
};

struct table {
    omen_statement *statement;
    FILE *out;
    size_t column_count;
    char **names;       /* printable */
    size_t *widths;     /* characters */
    struct cell *cells; /* the measured rows, row-major */
    size_t row_count;   /* rows in `cells` */
    double seconds;     /* spent in omen_step */
    char *buffer;       /* scratch for one value */
    size_t capacity;
};

double render_now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static omen_status next_row(struct table *table, omen_error *error)
{
    double start = render_now_seconds();
    omen_status status = omen_step(table->statement, error);
    table->seconds += render_now_seconds() - start;
    return status;
}

/* Writes `value` as text into the scratch buffer and gives its length. */
static omen_status value_text(struct table *table, const omen_value *value, size_t *length,
                              omen_error *error)
{
    omen_status status = omen_value_to_text(value, table->buffer, table->capacity, length);
    if (status == OMEN_LIMIT_EXCEEDED) {
        char *larger = realloc(table->buffer, *length);
        if (larger == NULL) {
            snprintf(error->message, sizeof error->message, "out of memory printing a value");
            memcpy(error->sqlstate, "53200", 6);
            return error->status = OMEN_OUT_OF_MEMORY;
        }
        table->buffer = larger;
        table->capacity = *length;
        status = omen_value_to_text(value, table->buffer, table->capacity, length);
    }
    return status;
}

static bool is_number(omen_type type)
{
    return type.id >= OMEN_TYPE_SMALLINT && type.id <= OMEN_TYPE_DECIMAL;
}

/* --- CSV --- */

static void csv_field(FILE *out, const char *text, size_t length)
{
    bool quote = length == 0;
    for (size_t i = 0; i < length && !quote; i++)
        quote = strchr(",\"\r\n", text[i]) != NULL && text[i] != '\0';
    if (!quote) {
        fwrite(text, 1, length, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            fputc('"', out);
        fputc(text[i], out);
    }
    fputc('"', out);
}

static omen_status csv_rows(struct table *table, uint64_t *row_count, omen_error *error)
{
    for (size_t column = 0; column < table->column_count; column++) {
        const char *name = omen_statement_column_name(table->statement, column);
        fputs(column > 0 ? "," : "", table->out);
        csv_field(table->out, name, strlen(name));
    }
    fputc('\n', table->out);
    omen_status status;
    while ((status = next_row(table, error)) == OMEN_OK) {
        for (size_t column = 0; column < table->column_count; column++) {
            omen_value value = omen_statement_value(table->statement, column);
            size_t length = 0;
            fputs(column > 0 ? "," : "", table->out);
            if (value.is_null)
                continue;
            if ((status = value_text(table, &value, &length, error)) != OMEN_OK)
                return status;
            csv_field(table->out, table->buffer, length);
        }
        fputc('\n', table->out);
        ++*row_count;
    }
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}

/* --- table --- */

static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

/* Whether a control character begins here: of ASCII, or one of U+0080..U+009F, which some
 * terminals obey too. */
static bool is_control(const char *text, size_t left)
{
    unsigned char byte = (unsigned char)text[0];
    unsigned char next = left > 1 ? (unsigned char)text[1] : 0;
    return byte < 0x20 || byte == 0x7F || (byte == 0xC2 && next >= 0x80 && next <= 0x9F);
}

/* A printable copy: control characters, which could rearrange the terminal, as \xNN. */
static char *printable(const char *text, size_t length)
{
    static const char hex[] = "0123456789ABCDEF";
    char *copy = malloc(length * 4 + 1);
    if (copy == NULL)
        return NULL;
    char *end = copy;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (!is_control(text + i, length - i)) {
            *end++ = text[i];
            continue;
        }
        *end++ = '\\';
        if (byte == '\n') {
            *end++ = 'n';
            continue;
        }
        if (byte == 0xC2)
            byte = (unsigned char)text[++i]; /* the number of the character */
        *end++ = 'x';
        *end++ = hex[byte >> 4];
        *end++ = hex[byte & 15];
    }
    *end = '\0';
    return copy;
}

void render_text(FILE *out, const char *text)
{
    char *copy = printable(text, strlen(text));
    fputs(copy == NULL ? "(out of memory)" : copy, out);
    free(copy);
}

/* Fills `cells` with the current row's texts. */
static omen_status take_row(struct table *table, struct cell *cells, omen_error *error)
{
    for (size_t column = 0; column < table->column_count; column++) {
        omen_value value = omen_statement_value(table->statement, column);
        size_t length = 0;
        if (value.is_null)
            continue;
        omen_status status = value_text(table, &value, &length, error);
        if (status != OMEN_OK)
            return status;
        cells[column].text = printable(table->buffer, length);
        if (cells[column].text == NULL)
            return error->status = OMEN_OUT_OF_MEMORY;
    }
    return OMEN_OK;
}

static void free_row(struct table *table, struct cell *cells)
{
    for (size_t column = 0; column < table->column_count; column++) {
        free(cells[column].text);
        cells[column].text = NULL;
    }
}

static void pad(FILE *out, size_t count)
{
    while (count-- > 0)
        fputc(' ', out);
}

static void print_cell(struct table *table, size_t column, const char *text, bool right)
{
    size_t width = characters(text);
    size_t space = table->widths[column] > width ? table->widths[column] - width : 0;
    fputs(column > 0 ? "| " : " ", table->out);
    pad(table->out, right ? space : 0);
    fputs(text, table->out);
    bool last = column + 1 == table->column_count;
    pad(table->out, right || last ? 0 : space);
    if (!last)
        fputc(' ', table->out);
}

static void print_row(struct table *table, const struct cell *cells)
{
    for (size_t column = 0; column < table->column_count; column++)
        print_cell(table, column, cells[column].text == NULL ? "" : cells[column].text,
                   is_number(omen_statement_column_type(table->statement, column)));
    fputc('\n', table->out);
}

static void print_header(struct table *table)
{
    for (size_t column = 0; column < table->column_count; column++)
        print_cell(table, column, table->names[column], false);
    fputc('\n', table->out);
    for (size_t column = 0; column < table->column_count; column++) {
        fputs(column > 0 ? "+" : "", table->out);
        for (size_t dash = 0; dash < table->widths[column] + 2; dash++)
            fputc('-', table->out);
    }
    fputc('\n', table->out);
}

static void measure(struct table *table)
{
    for (size_t column = 0; column < table->column_count; column++) {
        size_t width = characters(table->names[column]);
        for (size_t row = 0; row < table->row_count; row++) {
            const char *text = table->cells[row * table->column_count + column].text;
            size_t wide = text == NULL ? 0 : characters(text);
            width = wide > width ? wide : width;
        }
        table->widths[column] = width;
    }
}

static void print_measured(struct table *table)
{
    measure(table);
    print_header(table);
    for (size_t row = 0; row < table->row_count; row++)
        print_row(table, table->cells + row * table->column_count);
}

static omen_status name_columns(struct table *table)
{
    for (size_t column = 0; column < table->column_count; column++) {
        const char *name = omen_statement_column_name(table->statement, column);
        table->names[column] = printable(name, strlen(name));
        if (table->names[column] == NULL)
            return OMEN_OUT_OF_MEMORY;
    }
    return OMEN_OK;
}

static omen_status table_rows(struct table *table, uint64_t *row_count, omen_error *error)
{
    omen_status status;
    while ((status = next_row(table, error)) == OMEN_OK) {
        bool measured = table->row_count == ROWS_MEASURED;
        struct cell *cells = table->cells + (measured ? 0 : table->row_count * table->column_count);
        if (measured && *row_count == ROWS_MEASURED)
            print_measured(table);
        if (measured)
            free_row(table, cells);
        if ((status = take_row(table, cells, error)) != OMEN_OK)
            return status;
        if (measured)
            print_row(table, cells);
        else
            table->row_count++;
        ++*row_count;
    }
    if (status != OMEN_END_OF_DATA)
        return status;
    if (*row_count <= ROWS_MEASURED)
        print_measured(table);
    fprintf(table->out, "(%llu row%s)\n", (unsigned long long)*row_count,
            *row_count == 1 ? "" : "s");
    return OMEN_OK;
}

omen_status render_result(omen_statement *statement, enum render_format format, FILE *out,
                          uint64_t *row_count, double *seconds, omen_error *error)
{
    struct table table = {
        .statement = statement,
        .out = out,
        .column_count = omen_statement_column_count(statement),
        .capacity = CELL_BYTES_FIRST,
    };
    *row_count = 0;
    size_t columns = table.column_count > 0 ? table.column_count : 1;
    table.buffer = malloc(table.capacity);
    table.names = calloc(columns, sizeof *table.names);
    table.widths = calloc(columns, sizeof *table.widths);
    table.cells = calloc(columns * ROWS_MEASURED, sizeof *table.cells);
    omen_status status = OMEN_OUT_OF_MEMORY;
    if (table.buffer != NULL && table.names != NULL && table.widths != NULL && table.cells != NULL)
        status = name_columns(&table);
    if (status == OMEN_OK)
        status = format == RENDER_CSV ? csv_rows(&table, row_count, error)
                                      : table_rows(&table, row_count, error);
    for (size_t row = 0; table.cells != NULL && row < ROWS_MEASURED; row++)
        free_row(&table, table.cells + row * columns);
    free(table.cells);
    for (size_t column = 0; table.names != NULL && column < columns; column++)
        free(table.names[column]);
    free(table.names);
    free(table.widths);
    free(table.buffer);
    if (status == OMEN_OUT_OF_MEMORY && error->status != status) {
        snprintf(error->message, sizeof error->message, "out of memory printing the result");
        memcpy(error->sqlstate, "53200", 6);
        error->status = status;
    }
    return status;
}
