/* mutate_call.c - signatures for libFuzzer: a function of the table with its types and values at
 * the edges, or bytes changed at random. */
#include <stdio.h>
#include <string.h>

#include "sql/semantics.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static const char *const values[] = {
    "", "0", "1", "-1", "2", "32767", "-32768", "2147483647", "-2147483648", "9223372036854775807",
    "-9223372036854775808", "0.5", "-2.5", "99999999999999999999999999999999999999", "1e308",
    "1e-320", "NaN", "infinity", "-infinity", "t", "f", "a", "%a_\\", "\\", "\\%", "abc", "  x ",
    "äöü€😀", "2020-02-29", "0001-01-01 BC", "4713-01-01 BC", "5874897-12-31",
    "294276-12-31 23:59:59.999999", "1999-12-31 23:59:60", "\\x00ff", "hex", "base64", "escape",
    "day", "month", "epoch", "century", "decade", "YWJj", "3 days 04:05:06", "1 mon",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
};

static uint64_t state;

static uint32_t below(uint32_t limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return limit == 0 ? 0 : (uint32_t)((state >> 11) % limit);
}

static void write_type(FILE *file, uint32_t type)
{
    if (type == SQL_TYPE_ANY)
        type = 1 + below(OMEN_TYPE_UUID);
    unsigned precision = type == OMEN_TYPE_DECIMAL ? 1 + below(38) : 0;
    unsigned length = type == OMEN_TYPE_VARCHAR || type == OMEN_TYPE_CHAR ? below(6) : 0;
    fprintf(file, " %u.%u.%u.%u", type, precision, precision > 0 ? below(precision + 1) : 0, length);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    state = (seed + 1) * 0x9E3779B97F4A7C15u;
    (void)below(2);
    if (below(3) == 0 || max_size < 2)
        return LLVMFuzzerMutate(data, size, max_size);
    uint32_t number = below(semantics_line_count);
    const struct semantics_line *line = &semantics_lines[number];
    uint32_t count = line->argument_count;
    if (line->flags & SEMANTICS_VARIADIC)
        count += below(4);
    memset(data, 0, max_size);
    FILE *file = fmemopen(data, max_size, "w");
    if (file == NULL)
        return size;
    fprintf(file, "%s %u %c", line->name != NULL ? line->name : "cast", number,
            below(2) ? 'c' : 'x');
    write_type(file, line->result);
    for (uint32_t i = 0; i < count; i++)
        write_type(file, line->arguments[i < line->argument_count ? i : line->argument_count - 1u]);
    for (uint32_t i = 0; i < count; i++)
        fprintf(file, "\n%s", values[below(sizeof values / sizeof *values)]);
    long length = ftell(file);
    fclose(file);
    return length > 0 && (size_t)length < max_size ? (size_t)length : max_size;
}
