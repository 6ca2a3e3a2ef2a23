/* render_table.c - a result as a table: names, types, rows, and how many rows there are.
 *
 *        id | name |        score   names
 *    bigint | text | numeric(5,2)   types
 *   --------+------+--------------
 *        42 | Ada  |         9.50   numbers are aligned right, NULL is NULL
 *   (1 row)
 *
 * Rows are kept as text until the columns' widths are chosen. That is at the end where a long
 * result shows head and tail only (rows_max: the tail is a ring), else after KEPT_ROWS_MAX rows or
 * KEPT_BYTES_MAX bytes; later rows are printed as they come. On a terminal the table is fitted to
 * it: long types and text give way first, cells that are too long end with an ellipsis, and where
 * even narrow columns do not fit, those in the middle are left out. Elsewhere nothing is cut.
 */
#include "render_private.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

enum {
    KEPT_ROWS_MAX = 1000,
    KEPT_BYTES_MAX = 8 << 20,
    TEXT_COLUMNS_MIN = 8,   /* what fitting leaves of a text column before columns are left out */
    VALUE_COLUMNS_MIN = 40, /* and of a number or a time, whose beginning alone would mislead */
    GAP_COLUMNS = 3,        /* " | " */
};

#define ELLIPSIS "\xE2\x80\xA6"

struct cell {
    char *text; /* as shown; NULL while empty */
    size_t columns;
};

struct column {
    struct cell name, type;
    bool right;     /* aligned right */
    bool is_text;   /* of any length; its beginning says something */
    size_t content; /* columns of the terminal that its name and values take */
    size_t width;   /* and that it gets */
};

struct table {
    struct rows *rows;
    struct column *columns;
    size_t column_count;
    size_t left, right; /* columns shown at either side; all of them where left = column_count */
    struct cell *cells; /* kept rows, row-major */
    size_t kept;        /* rows in `cells` */
    size_t kept_max;
    size_t kept_bytes;
    struct cell *passing; /* a row that is printed at once */
};

static void clear_cells(struct cell *cells, size_t count)
{
    for (size_t i = 0; cells != NULL && i < count; i++) {
        free(cells[i].text);
        cells[i] = (struct cell){0};
    }
}

static struct cell make_cell(const struct table *table, const char *text, size_t length)
{
    struct cell cell;
    cell.text = show_copy(text, length, table->rows->options->columns, &cell.columns);
    return cell;
}

/* Fills `cells` with the current row. */
static omen_status take_row(struct table *table, struct cell *cells, omen_error *error)
{
    clear_cells(cells, table->column_count);
    for (size_t column = 0; column < table->column_count; column++) {
        struct value_text value;
        omen_status status = rows_text(table->rows, column, &value, error);
        if (status != OMEN_OK)
            return status;
        cells[column] = value.text == NULL ? make_cell(table, "NULL", 4)
                                           : make_cell(table, value.text, value.length);
        if (cells[column].text == NULL)
            return render_out_of_memory(error);
        table->kept_bytes += strlen(cells[column].text);
    }
    return OMEN_OK;
}

/* --- widths ---------------------------------------------------------------------------------- */

static bool is_shown(const struct table *table, size_t column)
{
    return column < table->left || column >= table->column_count - table->right;
}

static bool has_gap(const struct table *table)
{
    return table->left + table->right < table->column_count;
}

static size_t at_least(const struct column *column)
{
    size_t least = column->is_text ? TEXT_COLUMNS_MIN : VALUE_COLUMNS_MIN;
    return column->content < least ? column->content : least;
}

/* Columns of the terminal that a row takes, each column as wide as it is or as it could be. */
static size_t row_columns(const struct table *table, bool narrowest)
{
    size_t total = has_gap(table) ? 1 + GAP_COLUMNS : 0;
    for (size_t i = 0; i < table->column_count; i++)
        if (is_shown(table, i))
            total +=
                GAP_COLUMNS + (narrowest ? at_least(&table->columns[i]) : table->columns[i].width);
    return total - 1;
}

/* Whether a column can give way in this pass: first where only its type is so long, then long
 * text, then any. */
static bool can_narrow(const struct column *column, int pass)
{
    if (pass == 0)
        return column->width > column->content;
    if (pass == 1)
        return column->is_text && column->width > at_least(column);
    return column->width > 1;
}

/* The widest shown column that can give way in the first pass that finds one. */
static struct column *widest(const struct table *table)
{
    struct column *found = NULL;
    for (int pass = 0; pass < 3 && found == NULL; pass++)
        for (size_t i = 0; i < table->column_count; i++)
            if (is_shown(table, i) && can_narrow(&table->columns[i], pass) &&
                (found == NULL || table->columns[i].width > found->width))
                found = &table->columns[i];
    return found;
}

static void fit(struct table *table, size_t columns)
{
    size_t shown = table->column_count;
    while (shown > 1 && row_columns(table, true) > columns) {
        shown--;
        table->left = (shown + 1) / 2;
        table->right = shown / 2;
    }
    while (row_columns(table, false) > columns) {
        struct column *column = widest(table);
        if (column == NULL)
            break;
        column->width--;
    }
}

static void widen(size_t *width, const struct cell *cell)
{
    *width = cell->columns > *width ? cell->columns : *width;
}

static void measure(struct table *table)
{
    for (size_t i = 0; i < table->column_count; i++) {
        struct column *column = &table->columns[i];
        widen(&column->content, &column->name);
        for (size_t row = 0; row < table->kept; row++)
            widen(&column->content, &table->cells[row * table->column_count + i]);
        column->width = column->content;
        widen(&column->width, &column->type);
    }
    if (table->rows->options->columns > 0)
        fit(table, table->rows->options->columns);
}

/* --- printing -------------------------------------------------------------------------------- */

static void repeat(FILE *out, char c, size_t count)
{
    while (count-- > 0)
        putc_unlocked(c, out);
}

/* Prints a cell, padded; a row's last one is not padded at its right. */
static void print_cell(const struct table *table, const struct cell *cell, size_t width, bool right,
                       bool last)
{
    FILE *out = table->rows->out;
    size_t columns = cell->columns;
    bool cut = table->rows->options->columns > 0 && columns > width;
    size_t bytes = cut ? shown_prefix(cell->text, width - 1, &columns) : strlen(cell->text);
    columns += cut;
    size_t space = columns < width ? width - columns : 0;
    repeat(out, ' ', right ? space : 0);
    fwrite(cell->text, 1, bytes, out);
    fputs(cut ? ELLIPSIS : "", out);
    repeat(out, ' ', right || last ? 0 : space);
}

enum part { PART_NAME, PART_TYPE, PART_VALUE, PART_GAP };

/* Prints one line of the table: names, types, the values in `cells`, or a gap between rows. */
static void print_line(const struct table *table, enum part part, const struct cell *cells)
{
    static const struct cell gap = {(char *)(uintptr_t)ELLIPSIS, 1};
    FILE *out = table->rows->out;
    putc_unlocked(' ', out);
    for (size_t i = 0; i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        bool last = i + 1 == table->column_count;
        if (is_shown(table, i)) {
            const struct cell *cell = part == PART_NAME   ? &column->name
                                      : part == PART_TYPE ? &column->type
                                      : part == PART_GAP  ? &gap
                                                          : &cells[i];
            print_cell(table, cell, column->width, column->right, last);
        } else if (i == table->left) {
            fputs(ELLIPSIS, out);
            last = last || table->right == 0;
        } else {
            continue;
        }
        fputs(last ? "" : " | ", out);
    }
    putc_unlocked('\n', out);
}

static void print_header(const struct table *table)
{
    print_line(table, PART_NAME, NULL);
    print_line(table, PART_TYPE, NULL);
    for (size_t i = 0; i < table->column_count; i++) {
        if (!is_shown(table, i) && i != table->left)
            continue;
        if (i > 0)
            putc_unlocked('+', table->rows->out);
        repeat(table->rows->out, '-', 2 + (is_shown(table, i) ? table->columns[i].width : 1));
    }
    putc_unlocked('\n', table->rows->out);
}

static void print_kept(struct table *table)
{
    measure(table);
    print_header(table);
    for (size_t row = 0; row < table->kept; row++)
        print_line(table, PART_VALUE, table->cells + row * table->column_count);
}

/* Prints the first half of the kept rows, and the second half, a ring, from its oldest on. */
static void print_head_and_tail(struct table *table)
{
    size_t head = (table->kept_max + 1) / 2, tail = table->kept_max - head;
    uint64_t behind_head = table->rows->totals->row_count - head;
    measure(table);
    print_header(table);
    for (size_t row = 0; row < head; row++)
        print_line(table, PART_VALUE, table->cells + row * table->column_count);
    print_line(table, PART_GAP, NULL);
    for (uint64_t i = 0; i < tail; i++) {
        size_t row = head + (size_t)((behind_head + i) % tail);
        print_line(table, PART_VALUE, table->cells + row * table->column_count);
    }
}

static void print_footer(const struct table *table, bool cut)
{
    FILE *out = table->rows->out;
    uint64_t count = table->rows->totals->row_count;
    fprintf(out, "(%llu row%s", (unsigned long long)count, count == 1 ? "" : "s");
    if (cut)
        fprintf(out, ", %zu shown", table->kept_max);
    if (has_gap(table))
        fprintf(out, "; %zu columns, %zu shown", table->column_count, table->left + table->right);
    fputs(")\n", out);
}

/* --- rows ------------------------------------------------------------------------------------ */

/* All rows: kept while widths are open, then printed as they come. */
static omen_status print_all(struct table *table, omen_status status, omen_error *error)
{
    bool open = true;
    while (status == OMEN_OK) {
        struct cell *cells =
            open ? table->cells + table->kept * table->column_count : table->passing;
        if ((status = take_row(table, cells, error)) != OMEN_OK)
            break;
        if (!open) {
            print_line(table, PART_VALUE, cells);
        } else if (++table->kept == table->kept_max || table->kept_bytes > KEPT_BYTES_MAX) {
            print_kept(table);
            open = false;
        }
        status = rows_next(table->rows, error);
    }
    if (status != OMEN_END_OF_DATA)
        return status;
    if (open)
        print_kept(table);
    print_footer(table, false);
    return status;
}

/* Head and tail: as many rows as are kept. */
static omen_status print_some(struct table *table, omen_status status, omen_error *error)
{
    size_t head = (table->kept_max + 1) / 2, tail = table->kept_max - head;
    while (status == OMEN_OK) {
        uint64_t row = table->rows->totals->row_count - 1;
        if (row >= head && tail > 0)
            row = head + (row - head) % tail;
        if (row < table->kept_max)
            status = take_row(table, table->cells + row * table->column_count, error);
        table->kept += table->kept < table->kept_max;
        if (status == OMEN_OK)
            status = rows_next(table->rows, error);
    }
    if (status != OMEN_END_OF_DATA)
        return status;
    bool cut = table->rows->totals->row_count > table->kept_max;
    if (cut)
        print_head_and_tail(table);
    else
        print_kept(table);
    print_footer(table, cut);
    return status;
}

static omen_status name_columns(struct table *table, omen_error *error)
{
    for (size_t i = 0; i < table->column_count; i++) {
        struct column *column = &table->columns[i];
        const char *name = omen_statement_column_name(table->rows->statement, i);
        omen_type type = omen_statement_column_type(table->rows->statement, i);
        char type_text[TYPE_NAME_BYTES];
        type_name(type, type_text);
        column->right = type_is_number(type);
        column->is_text = type.id >= OMEN_TYPE_TEXT && type.id <= OMEN_TYPE_BYTEA;
        column->name = make_cell(table, name, strlen(name));
        column->type = make_cell(table, type_text, strlen(type_text));
        if (column->name.text == NULL || column->type.text == NULL)
            return render_out_of_memory(error);
    }
    return OMEN_OK;
}

omen_status render_table(struct rows *rows, omen_status first, omen_error *error)
{
    uint64_t rows_max = rows->options->rows_max;
    struct table table = {
        .rows = rows,
        .column_count = rows->column_count,
        .left = rows->column_count,
        .kept_max = rows_max > 0 && rows_max < KEPT_ROWS_MAX ? (size_t)rows_max : KEPT_ROWS_MAX,
    };
    size_t cell_count = table.kept_max * table.column_count;
    table.columns = calloc(table.column_count, sizeof *table.columns);
    table.cells = calloc(cell_count, sizeof *table.cells);
    table.passing = calloc(table.column_count, sizeof *table.passing);
    omen_status status = OMEN_OUT_OF_MEMORY;
    if (table.columns != NULL && table.cells != NULL && table.passing != NULL)
        status = name_columns(&table, error);
    else
        status = render_out_of_memory(error);
    if (status == OMEN_OK)
        status = rows_max > 0 ? print_some(&table, first, error) : print_all(&table, first, error);
    clear_cells(table.cells, cell_count);
    clear_cells(table.passing, table.column_count);
    for (size_t i = 0; table.columns != NULL && i < table.column_count; i++) {
        clear_cells(&table.columns[i].name, 1);
        clear_cells(&table.columns[i].type, 1);
    }
    free(table.passing);
    free(table.cells);
    free(table.columns);
    return status;
}
