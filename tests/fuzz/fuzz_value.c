/* fuzz_value.c - any bytes as the text of a value: what is accepted prints, and what it prints
 * reads back as the same value. The first byte chooses the type, the second its precision. */
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "column/schema.h"
#include "fuzz.h"
#include "sql/value_text.h"

static omen_type chosen_type(uint8_t which, uint8_t detail)
{
    omen_type type = {.id = (omen_type_id)(1 + which % OMEN_TYPE_UUID)};
    if (type.id == OMEN_TYPE_DECIMAL) {
        type.precision = 1 + detail % 38;
        type.scale = (int8_t)(detail / 38 % (type.precision + 1));
    } else if (type.id == OMEN_TYPE_VARCHAR || type.id == OMEN_TYPE_CHAR) {
        type.length_max = 1 + detail;
    }
    return type;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct arena arena;
    arena_init(&arena, &allocator);
    omen_type type = chosen_type(data[0], data[1]);
    omen_error error = {.status = OMEN_OK};
    omen_value value, again;
    omen_status status =
        value_from_text(type, (const char *)data + 2, size - 2, &arena, &value, &error);
    if (status == OMEN_OK) {
        const char *text = NULL;
        size_t length = 0;
        OMEN_ASSERT(value_to_text_arena(&value, &arena, &text, &length) == OMEN_OK);
        OMEN_ASSERT(value_from_text(type, text, length, &arena, &again, &error) == OMEN_OK);
        OMEN_ASSERT(value_compare(&value, &again) == 0);
    } else {
        OMEN_ASSERT(error.status == status && error.message[0] != '\0');
    }
    arena_release(&arena);
    OMEN_ASSERT(allocator.bytes_used == 0);
    return 0;
}
