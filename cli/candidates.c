/* candidates.c - a list of texts that may complete a word. */
#define _POSIX_C_SOURCE 200809L
#include "candidates.h"

#include <stdlib.h>
#include <string.h>

void candidates_add(struct candidates *candidates, const char *text, size_t length,
                    const char *after)
{
    if (candidates->count == candidates->capacity) {
        size_t capacity = 2 * candidates->capacity + 16;
        struct candidate *larger = realloc(candidates->items, capacity * sizeof *larger);
        if (larger == NULL)
            return;
        candidates->items = larger;
        candidates->capacity = capacity;
    }
    char *copy = strndup(text, length);
    if (copy != NULL)
        candidates->items[candidates->count++] = (struct candidate){copy, after};
}

static int compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    return strcmp(a->text, b->text);
}

void candidates_sort(struct candidates *candidates)
{
    size_t kept = 0;
    if (candidates->count > 0)
        qsort(candidates->items, candidates->count, sizeof *candidates->items, compare);
    for (size_t i = 0; i < candidates->count; i++) {
        if (kept > 0 && strcmp(candidates->items[kept - 1].text, candidates->items[i].text) == 0)
            free(candidates->items[i].text);
        else
            candidates->items[kept++] = candidates->items[i];
    }
    candidates->count = kept;
}

size_t candidates_common(const struct candidates *candidates)
{
    if (candidates->count == 0)
        return 0;
    const char *first = candidates->items[0].text;
    size_t length = strlen(first);
    for (size_t i = 1; i < candidates->count; i++) {
        const char *text = candidates->items[i].text;
        size_t same = 0;
        while (same < length && text[same] == first[same])
            same++;
        length = same;
    }
    while (length > 0 && ((unsigned char)first[length] & 0xC0) == 0x80)
        length--;
    return length;
}

void candidates_close(struct candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++)
        free(candidates->items[i].text);
    free(candidates->items);
    *candidates = (struct candidates){0};
}
