/* nearest.c - Levenshtein's distance, cut off, and the names that it finds. */
#include "base/nearest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { TOO_FAR = NEAREST_DISTANCE_MAX + 1 };

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned smaller = a < b ? a : b;
    return smaller < c ? smaller : c;
}

unsigned nearest_distance(const char *left, size_t left_length, const char *right,
                          size_t right_length)
{
    unsigned
        row[NEAREST_NAME_BYTES_MAX + 1]; /* distances of a part of `left` to parts of `right` */
    size_t longer = left_length > right_length ? left_length : right_length;
    size_t shorter = left_length + right_length - longer;
    if (longer > NEAREST_NAME_BYTES_MAX || longer - shorter > NEAREST_DISTANCE_MAX)
        return TOO_FAR;
    for (unsigned j = 0; j <= right_length; j++)
        row[j] = j;
    for (unsigned i = 1; i <= left_length; i++) {
        unsigned diagonal = row[0], smallest = row[0] = i;
        for (unsigned j = 1; j <= right_length; j++) {
            unsigned replaced = diagonal + (fold(left[i - 1]) != fold(right[j - 1]));
            diagonal = row[j];
            row[j] = least(replaced, row[j] + 1, row[j - 1] + 1);
            if (row[j] < smallest)
                smallest = row[j];
        }
        if (smallest > NEAREST_DISTANCE_MAX)
            return TOO_FAR;
    }
    return row[right_length] <= NEAREST_DISTANCE_MAX ? row[right_length] : TOO_FAR;
}

void nearest_begin(struct nearest *nearest, const char *sought, size_t length)
{
    *nearest = (struct nearest){.sought = sought, .length = length, .distance = TOO_FAR};
}

static bool is_same(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

void nearest_offer(struct nearest *nearest, const char *qualifier, const char *name,
                   unsigned penalty)
{
    size_t length = strlen(name);
    if (penalty > nearest->distance)
        return;
    unsigned distance = nearest_distance(nearest->sought, nearest->length, name, length);
    if (distance > length / 2)
        return;
    distance += penalty;
    if (distance > NEAREST_DISTANCE_MAX || distance > nearest->distance)
        return;
    if (distance < nearest->distance)
        nearest->count = 0;
    nearest->distance = distance;
    for (unsigned i = 0; i < nearest->count && i < 2; i++)
        if (is_same(nearest->found[i].name, name) &&
            is_same(nearest->found[i].qualifier, qualifier))
            return;
    if (nearest->count < 2) {
        nearest->found[nearest->count].qualifier = qualifier;
        nearest->found[nearest->count].name = name;
    }
    nearest->count += nearest->count < 3;
}

/* Whether SQL text means another name by it unless it stands in double quotes. */
static bool has_capitals(const char *name)
{
    while (*name != '\0' && fold(*name) == *name)
        name++;
    return *name != '\0';
}

void nearest_hint(const struct nearest *nearest, const char *kind, omen_error *error)
{
    char names[2][2 * NEAREST_NAME_BYTES_MAX + 2];
    bool capitals = false;
    if (nearest->count == 0 || nearest->count > 2)
        return;
    for (unsigned i = 0; i < nearest->count; i++) {
        const char *qualifier = nearest->found[i].qualifier, *name = nearest->found[i].name;
        snprintf(names[i], sizeof names[i], "%s%s%s", qualifier == NULL ? "" : qualifier,
                 qualifier == NULL ? "" : ".", name);
        capitals = capitals || has_capitals(name);
    }
    bool two = nearest->count == 2;
    error_hint(error, "Perhaps you meant to reference the %s \"%s\"%s%s%s%s%s.%s", kind, names[0],
               two ? " or the " : "", two ? kind : "", two ? " \"" : "", two ? names[1] : "",
               two ? "\"" : "",
               capitals ? " Names with capital letters stand in double quotes." : "");
}
