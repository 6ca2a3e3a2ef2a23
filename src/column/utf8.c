/* utf8.c - a checker that takes eight ASCII bytes a step and everything else by the table of
 * well-formed sequences (The Unicode Standard, table 3-7).
 */
#include "column/utf8.h"

#include <string.h>

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Length of the well-formed sequence at `data`, 0 where there is none. */
static size_t sequence_length(const uint8_t *data, size_t available)
{
    uint8_t first = data[0];
    if (first < 0x80)
        return 1;
    if (first < 0xC2)
        return 0;
    if (first < 0xE0)
        return available >= 2 && is_continuation(data[1]) ? 2 : 0;
    if (first < 0xF0) {
        if (available < 3 || !is_continuation(data[1]) || !is_continuation(data[2]))
            return 0;
        bool overlong = first == 0xE0 && data[1] < 0xA0;
        bool surrogate = first == 0xED && data[1] >= 0xA0;
        return overlong || surrogate ? 0 : 3;
    }
    if (first > 0xF4 || available < 4 || !is_continuation(data[1]) || !is_continuation(data[2]) ||
        !is_continuation(data[3]))
        return 0;
    bool overlong = first == 0xF0 && data[1] < 0x90;
    bool too_large = first == 0xF4 && data[1] >= 0x90;
    return overlong || too_large ? 0 : 4;
}

/* Whether all bytes are below 0x80: most text is, and most of it is short. */
static bool is_ascii(const uint8_t *data, size_t length)
{
    uint64_t seen = 0, word;
    if (length < sizeof word) {
        for (size_t i = 0; i < length; i++)
            seen |= data[i];
        return seen < 0x80;
    }
    for (size_t at = 0; at + sizeof word < length; at += sizeof word) {
        memcpy(&word, data + at, sizeof word);
        seen |= word;
    }
    memcpy(&word, data + length - sizeof word, sizeof word);
    return ((seen | word) & UINT64_C(0x8080808080808080)) == 0;
}

bool utf8_is_valid(const uint8_t *data, size_t length)
{
    if (is_ascii(data, length))
        return true;
    size_t at = 0;
    while (at < length) {
        uint64_t word;
        while (length - at >= sizeof word) {
            memcpy(&word, data + at, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) != 0)
                break;
            at += sizeof word;
        }
        if (at == length)
            break;
        size_t step = sequence_length(data + at, length - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

size_t utf8_character_count(const uint8_t *data, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += !is_continuation(data[i]);
    return count;
}
