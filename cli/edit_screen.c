/* edit_screen.c - draws the text that is being typed.
 *
 * A row that has as many columns as the terminal leaves its cursor waiting in the last one; each
 * move begins with a carriage return, which ends that.
 */
#define _DEFAULT_SOURCE
#include "edit_screen.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "text.h"

enum { COLUMNS_MIN = 20, COLUMNS_DEFAULT = 80, ROWS_DEFAULT = 24, TAB_COLUMNS = 8 };

void edit_screen_measure(struct edit_screen *screen)
{
    struct winsize size = {0};
    if (ioctl(fileno(screen->out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        size = (struct winsize){.ws_col = COLUMNS_DEFAULT, .ws_row = ROWS_DEFAULT};
    screen->columns = size.ws_col < COLUMNS_MIN ? COLUMNS_MIN : size.ws_col;
    screen->rows = size.ws_row == 0 ? ROWS_DEFAULT : size.ws_row;
}

/* --- rows ------------------------------------------------------------------------------------ */

/* Rows that are being filled. */
struct filling {
    struct screen_rows *rows;
    size_t columns_max, column;
    bool failed; /* memory is exhausted: the rest is left out */
};

static void begin_row(struct filling *filling)
{
    struct screen_rows *rows = filling->rows;
    if (rows->count + 2 > rows->starts_capacity) {
        size_t capacity = 2 * rows->starts_capacity + 16;
        size_t *larger = realloc(rows->starts, capacity * sizeof *larger);
        if (larger == NULL) {
            filling->failed = true;
            return;
        }
        rows->starts = larger;
        rows->starts_capacity = capacity;
    }
    rows->starts[rows->count++] = rows->length;
    rows->starts[rows->count] = rows->length;
    filling->column = 0;
}

static void put(struct filling *filling, const char *text, size_t length, size_t columns)
{
    struct screen_rows *rows = filling->rows;
    if (filling->column + columns > filling->columns_max)
        begin_row(filling);
    if (rows->length + length > rows->capacity) {
        size_t capacity = 2 * (rows->length + length) + 256;
        char *larger = realloc(rows->bytes, capacity);
        if (larger == NULL)
            filling->failed = true;
        rows->bytes = larger == NULL ? rows->bytes : larger;
        rows->capacity = larger == NULL ? rows->capacity : capacity;
    }
    if (filling->failed)
        return;
    memcpy(rows->bytes + rows->length, text, length);
    rows->length += length;
    rows->starts[rows->count] = rows->length;
    filling->column += columns;
}

static void put_character(struct filling *filling, const char *text, size_t left)
{
    if (*text == '\t') {
        size_t columns = TAB_COLUMNS - filling->column % TAB_COLUMNS;
        for (size_t i = 0; i < columns && filling->column < filling->columns_max; i++)
            put(filling, " ", 1, 1);
        return;
    }
    struct shown shown = show_character(text, left);
    put(filling, shown.text, shown.length, shown.columns);
}

static void put_string(struct filling *filling, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        struct shown shown = show_character(text, left);
        put(filling, shown.text, shown.length, shown.columns);
        text += shown.taken;
        left -= shown.taken;
    }
}

/* Columns that the character or, where nothing stands, the cursor needs. */
static size_t columns_at(const struct edit_buffer *buffer, size_t at)
{
    bool is_text = at < buffer->length && buffer->bytes[at] != '\n';
    if (!is_text || buffer->bytes[at] == '\t')
        return is_text || at == buffer->cursor;
    return show_character(buffer->bytes + at, buffer->length - at).columns;
}

/* Fills screen->next and says in last_row and last_byte where the cursor is to be. */
static bool fill(struct edit_screen *screen, const struct picture *picture)
{
    const struct edit_buffer *buffer = picture->buffer;
    struct screen_rows *rows = &screen->next;
    struct filling filling = {.rows = rows, .columns_max = screen->columns};
    rows->length = rows->count = 0;
    begin_row(&filling);
    put_string(&filling, picture->prompt);
    for (size_t at = 0; at <= buffer->length && !filling.failed;) {
        uint32_t code;
        size_t left = buffer->length - at;
        size_t bytes = left == 0 ? 1 : text_decode(buffer->bytes + at, left, &code);
        if (filling.column + columns_at(buffer, at) > screen->columns)
            begin_row(&filling);
        if (at == buffer->cursor && !filling.failed) {
            screen->last_row = rows->count - 1;
            screen->last_byte = rows->length;
        }
        if (left > 0 && buffer->bytes[at] == '\n') {
            begin_row(&filling);
            put_string(&filling, picture->prompt_more);
        } else if (left > 0) {
            put_character(&filling, buffer->bytes + at, left);
        }
        at += bytes;
    }
    if (picture->note != NULL) {
        begin_row(&filling);
        put_string(&filling, picture->note);
    }
    return !filling.failed;
}

static const char *row_of(const struct screen_rows *rows, size_t row, size_t *length)
{
    if (row >= rows->count) {
        *length = 0;
        return "";
    }
    *length = rows->starts[row + 1] - rows->starts[row];
    return rows->bytes + rows->starts[row];
}

/* Columns of text as it stands in a row. */
static size_t columns_of(const char *text, size_t length)
{
    size_t columns = 0;
    while (length > 0) {
        struct shown shown = show_character(text, length);
        columns += shown.columns;
        text += shown.taken;
        length -= shown.taken;
    }
    return columns;
}

/* --- drawing --------------------------------------------------------------------------------- */

static void move(struct edit_screen *screen, size_t row, size_t column)
{
    if (row < screen->at_row)
        fprintf(screen->out, "\x1b[%zuA", screen->at_row - row);
    for (; screen->at_row < row; screen->at_row++)
        fputs("\r\n", screen->out);
    putc('\r', screen->out);
    if (column > 0)
        fprintf(screen->out, "\x1b[%zuC", column);
    screen->at_row = row;
    screen->at_column = column;
}

/* The bytes that two rows begin with alike, whole characters. */
static size_t common(const char *left, size_t left_length, const char *right, size_t right_length)
{
    size_t length = 0, shorter = left_length < right_length ? left_length : right_length;
    while (length < shorter && left[length] == right[length])
        length++;
    while (length > 0 && length < right_length && ((unsigned char)right[length] & 0xC0) == 0x80)
        length--;
    return length;
}

/* Draws one of the rows on the screen; `old` is the row of the picture that stands there. */
static void draw_row(struct edit_screen *screen, size_t place, size_t old, size_t fresh)
{
    size_t old_length, length;
    const char *old_row = row_of(&screen->shown, old, &old_length);
    const char *row = row_of(&screen->next, fresh, &length);
    size_t same = common(old_row, old_length, row, length);
    bool is_new = old >= screen->shown.count;
    if (!is_new && same == old_length && same == length)
        return;
    move(screen, place, columns_of(row, same));
    fwrite(row + same, 1, length - same, screen->out);
    size_t columns = columns_of(row, length);
    if (!is_new && same < old_length && columns < screen->columns)
        fputs("\x1b[K", screen->out);
    screen->at_column = columns;
}

/* The first row that is shown of a picture that may be higher than the terminal. */
static size_t top_of(const struct edit_screen *screen)
{
    size_t count = screen->next.count, top = screen->top;
    if (count <= screen->rows)
        return 0;
    if (screen->last_row < top)
        top = screen->last_row;
    if (screen->last_row >= top + screen->rows)
        top = screen->last_row - screen->rows + 1;
    return top + screen->rows > count ? count - screen->rows : top;
}

static size_t shown_rows(const struct edit_screen *screen, const struct screen_rows *rows,
                         size_t top)
{
    size_t count = rows->count - (rows->count < top ? rows->count : top);
    return count < screen->rows ? count : screen->rows;
}

void edit_screen_draw(struct edit_screen *screen, const struct picture *picture)
{
    if (!fill(screen, picture))
        return; /* as before: a key more may find memory */
    size_t old_top = screen->top, top = top_of(screen);
    size_t old_count = shown_rows(screen, &screen->shown, old_top);
    size_t count = shown_rows(screen, &screen->next, top);
    for (size_t i = 0; i < count; i++)
        draw_row(screen, i, i < old_count ? old_top + i : SIZE_MAX, top + i);
    if (old_count > count) {
        move(screen, count - 1, 0);
        fputs("\r\n\x1b[J", screen->out);
        screen->at_row = count;
    }
    size_t start = screen->next.starts[screen->last_row];
    size_t column = columns_of(screen->next.bytes + start, screen->last_byte - start);
    if (screen->at_row != screen->last_row - top || screen->at_column != column)
        move(screen, screen->last_row - top, column);
    fflush(screen->out);
    struct screen_rows old = screen->shown;
    screen->shown = screen->next;
    screen->next = old;
    screen->top = top;
}

/* Nothing stands there any more. */
static void forget(struct edit_screen *screen)
{
    screen->shown.count = screen->shown.length = 0;
    screen->top = screen->at_row = screen->at_column = 0;
}

void edit_screen_leave(struct edit_screen *screen)
{
    size_t count = shown_rows(screen, &screen->shown, screen->top);
    if (count > 0)
        move(screen, count - 1, 0);
    fputs("\r\n", screen->out);
    fflush(screen->out);
    forget(screen);
}

/* Whether the same rows stand in a window of the new width, none of them wrapped by the terminal.
 */
static bool is_unmoved(const struct edit_screen *screen)
{
    const struct screen_rows *old = &screen->shown, *fresh = &screen->next;
    if (old->count != fresh->count || old->count > screen->rows || old->length != fresh->length ||
        memcmp(old->bytes, fresh->bytes, old->length) != 0 ||
        memcmp(old->starts, fresh->starts, (old->count + 1) * sizeof *old->starts) != 0)
        return false;
    for (size_t i = 0; i < old->count; i++)
        if (columns_of(old->bytes + old->starts[i], old->starts[i + 1] - old->starts[i]) >=
            screen->columns)
            return false;
    return true;
}

void edit_screen_resize(struct edit_screen *screen, const struct picture *picture)
{
    edit_screen_measure(screen);
    if (screen->shown.count > 0 && fill(screen, picture) && is_unmoved(screen))
        return;
    edit_screen_wipe(screen, picture);
    edit_screen_draw(screen, picture);
}

void edit_screen_wipe(struct edit_screen *screen, const struct picture *picture)
{
    edit_screen_measure(screen);
    if (screen->shown.count > 0 && fill(screen, picture)) /* where the terminal has put it */
        screen->at_row = screen->last_row - top_of(screen);
    move(screen, 0, 0);
    fputs("\x1b[J", screen->out);
    forget(screen);
}

void edit_screen_clear(struct edit_screen *screen)
{
    fputs("\x1b[H\x1b[2J", screen->out);
    forget(screen);
}

void edit_screen_close(struct edit_screen *screen)
{
    free(screen->shown.bytes);
    free(screen->shown.starts);
    free(screen->next.bytes);
    free(screen->next.starts);
}
