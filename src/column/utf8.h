/* utf8.h - checking and measuring UTF-8 text. */
#ifndef OMEN_COLUMN_UTF8_H
#define OMEN_COLUMN_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether `length` bytes are UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing
 * above U+10FFFF. U+0000 is allowed. data may be NULL where length is 0. */
bool utf8_is_valid(const uint8_t *data, size_t length);

/* How many characters `length` bytes of valid UTF-8 hold. */
size_t utf8_character_count(const uint8_t *data, size_t length);

#endif
