/* fuzz_call.c - any bytes as the signature of a function and its arguments' texts, a line each:
 * what a signature allows can be computed for all values of the types that it names. */
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "column/utf8.h"
#include "fuzz.h"
#include "sql/engine_text.h"
#include "sql/evaluate.h"
#include "sql/value_text.h"

enum { CALL_MEMORY_BYTES = 64 << 20 };

/* The next line of the input; nothing behind its end. */
static omen_bytes next_line(const uint8_t **data, size_t *size)
{
    const uint8_t *start = *data, *end = *size > 0 ? memchr(start, '\n', *size) : NULL;
    size_t length = end != NULL ? (size_t)(end - start) : *size;
    size_t taken = end != NULL ? length + 1 : length;
    *data += taken;
    *size -= taken;
    return (omen_bytes){.data = start, .length = length};
}

static omen_value read_argument(omen_type type, omen_bytes text, struct arena *arena)
{
    omen_value value = {.type = type, .is_null = true}, read;
    if ((int)type.id == SQL_TYPE_INTERVAL) { /* read as text, else any bits */
        omen_value words = {.type.id = OMEN_TYPE_TEXT, .as.bytes = text};
        struct call_context context = {.arena = arena, .result = type, .argument_count = 1};
        const struct semantics_line *cast =
            semantics_find_cast(OMEN_TYPE_TEXT, type.id, CONTEXT_EXPLICIT);
        if (utf8_is_valid(text.data, text.length) &&
            evaluate_call(cast, true, &context, &words, &read, NULL) == OMEN_OK) {
            value = read;
        } else if (text.length >= sizeof value.as.uuid) {
            value.is_null = false;
            memcpy(value.as.uuid, text.data, sizeof value.as.uuid);
        }
    } else if (type.id != OMEN_TYPE_NONE && (int)type.id != SQL_TYPE_INTERVAL &&
               value_from_text(type, (const char *)text.data, text.length, arena, &read, NULL) ==
                   OMEN_OK) {
        value = read;
    }
    return value;
}

static void call(const struct engine_call *call, const uint8_t *data, size_t size,
                 struct arena *arena)
{
    omen_value arguments[ENGINE_CALL_ARGUMENTS_MAX], result;
    omen_error error = {.status = OMEN_OK};
    for (uint32_t i = 0; i < call->argument_count; i++)
        arguments[i] = read_argument(call->arguments[i], next_line(&data, &size), arena);
    struct call_context context = {
        .arena = arena, .result = call->result, .argument_count = call->argument_count};
    omen_status status =
        evaluate_call(call->line, call->explicit_cast, &context, arguments, &result, &error);
    OMEN_ASSERT(status != OMEN_INTERNAL);
    OMEN_ASSERT(status == OMEN_OK || (error.status == status && error.message[0] != '\0'));
    if (status == OMEN_OK)
        OMEN_ASSERT(result.is_null || result.type.id == call->result.id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct allocator allocator;
    struct arena arena;
    struct engine_call read;
    omen_error error = {.status = OMEN_OK};
    allocator_init(&allocator, CALL_MEMORY_BYTES);
    arena_init(&arena, &allocator);
    omen_bytes signature = next_line(&data, &size);
    omen_status status =
        engine_call_read((const char *)signature.data, signature.length, &read, &error);
    if (status == OMEN_OK)
        call(&read, data, size, &arena);
    else
        OMEN_ASSERT(error.status == status && error.message[0] != '\0');
    arena_release(&arena);
    OMEN_ASSERT(allocator.bytes_used == 0);
    return 0;
}
