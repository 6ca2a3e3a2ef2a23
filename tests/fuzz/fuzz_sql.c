/* fuzz_sql.c - any bytes as SQL text: splitting and parsing must answer, never crash. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "fuzz.h"
#include "sql/lexer.h"
#include "sql/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    const char *text = (const char *)data;
    while (size > 0) {
        size_t rest = 0;
        bool complete = false;
        size_t length = lexer_split(text, size, &rest, &complete);
        OMEN_ASSERT(length <= rest && rest <= size && rest > 0);
        OMEN_ASSERT(complete || rest == size);
        struct arena arena;
        arena_init(&arena, &allocator);
        struct parsed parsed;
        omen_error error = {.status = OMEN_OK};
        omen_status status = parse_statement(text, length, &arena, &parsed, &error);
        OMEN_ASSERT(status == OMEN_OK || error.status == status);
        OMEN_ASSERT(error.position >= 0 && (size_t)error.position <= length + 1);
        arena_release(&arena);
        text += rest;
        size -= rest;
    }
    OMEN_ASSERT(allocator.bytes_used == 0);
    return 0;
}
