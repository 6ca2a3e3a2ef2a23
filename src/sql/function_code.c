/* function_code.c - text and bytes as something else: code points, hexadecimal, base64, quotes,
 * MD5 (RFC 1321), and values joined into text.
 */
#include "sql/function_text.h"

#include "sql/value_text.h"

/* --- characters --- */

omen_status text_code_point(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes;
    if (text.length == 0)
        return give_integer(context, 0, out, error);
    size_t length = character_bytes(text.data[0]);
    int32_t code = length == 1 ? text.data[0] : text.data[0] & (0xFF >> (length + 1));
    for (size_t i = 1; i < length; i++)
        code = code << 6 | (text.data[i] & 0x3F);
    return give_integer(context, code, out, error);
}

omen_status text_of_code_point(FUNCTION_PARAMETERS)
{
    int32_t code = arguments[0].as.i32;
    uint8_t *result;
    if (code < 0)
        return error_set(error, OMEN_INVALID_ARGUMENT, "character number must be positive");
    if (code == 0)
        return error_set(error, OMEN_LIMIT_EXCEEDED, "null character not permitted");
    if (code > 0x10FFFF)
        return error_set(error, OMEN_LIMIT_EXCEEDED,
                         "requested character too large for encoding: %d", code);
    if (code >= 0xD800 && code <= 0xDFFF)
        return error_set(error, OMEN_LIMIT_EXCEEDED,
                         "requested character not valid for encoding: %d", code);
    OMEN_TRY(text_reserve(context, 4, &result, error));
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; code >>= 6)
        result[i] = (uint8_t)(0x80 | (code & 0x3F));
    static const uint8_t marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    result[0] = (uint8_t)(marks[length] | code);
    return give_bytes(context, result, length, out);
}

/* --- quotes --- */

omen_status text_quote_literal(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes;
    uint8_t *result, *end;
    OMEN_TRY(text_reserve(context, (uint64_t)text.length * 2 + 3, &result, error));
    end = result;
    if (text.length > 0 && memchr(text.data, '\\', text.length) != NULL)
        text_append(&end, "E", 1);
    text_append(&end, "'", 1);
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '\'' || text.data[i] == '\\')
            text_append(&end, &text.data[i], 1);
        text_append(&end, &text.data[i], 1);
    }
    text_append(&end, "'", 1);
    return give_bytes(context, result, (size_t)(end - result), out);
}

/* --- joining values --- */

/* concat and concat_ws: the values' output text, NULLs left out, `separator` between. */
static omen_status join(const struct call_context *context, const omen_value *values,
                        uint32_t count, omen_bytes separator, omen_value *out, omen_error *error)
{
    omen_bytes *parts = arena_alloc(context->arena, count * sizeof *parts);
    uint64_t total = 0;
    uint32_t part_count = 0;
    uint8_t *result, *end;
    if (parts == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (uint32_t i = 0; i < count; i++) {
        const char *text;
        size_t length;
        if (values[i].is_null)
            continue;
        omen_status status = value_to_text_arena(&values[i], context->arena, &text, &length);
        if (status != OMEN_OK)
            return error_set_default(error, status);
        parts[part_count++] = (omen_bytes){(const uint8_t *)text, length};
        total += length + separator.length;
    }
    OMEN_TRY(text_reserve(context, total, &result, error));
    end = result;
    for (uint32_t i = 0; i < part_count; i++) {
        if (i > 0)
            text_append(&end, separator.data, separator.length);
        text_append(&end, parts[i].data, parts[i].length);
    }
    return give_bytes(context, result, (size_t)(end - result), out);
}

omen_status text_concat(FUNCTION_PARAMETERS)
{
    return join(context, arguments, context->argument_count, (omen_bytes){NULL, 0}, out, error);
}

omen_status text_concat_with_separator(FUNCTION_PARAMETERS)
{
    if (arguments[0].is_null)
        return give_null(context, out);
    return join(context, arguments + 1, context->argument_count - 1, arguments[0].as.bytes, out,
                error);
}

/* --- hexadecimal --- */

static const char hex_digits[] = "0123456789abcdef";

static void write_hex(const uint8_t *data, size_t length, uint8_t *out)
{
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = (uint8_t)hex_digits[data[i] >> 4];
        out[2 * i + 1] = (uint8_t)hex_digits[data[i] & 15];
    }
}

/* to_hex: negative numbers in two's complement. */
omen_status integer_to_hex(FUNCTION_PARAMETERS)
{
    uint64_t bits = arguments[0].type.id == OMEN_TYPE_BIGINT ? (uint64_t)arguments[0].as.i64
                                                             : (uint32_t)arguments[0].as.i32;
    uint8_t *result;
    OMEN_TRY(text_reserve(context, 16, &result, error));
    size_t at = 16;
    do
        result[--at] = (uint8_t)hex_digits[bits & 15];
    while ((bits >>= 4) != 0);
    return give_bytes(context, result + at, 16 - at, out);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static omen_status decode_hex(omen_bytes text, uint8_t *result, size_t *length, omen_error *error)
{
    int high = -1;
    *length = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (high < 0 && is_space(text.data[i]))
            continue;
        int digit = hex_value(text.data[i]);
        if (digit < 0)
            return error_set(error, OMEN_INVALID_ARGUMENT, "invalid hexadecimal digit: \"%.*s\"",
                             (int)character_bytes(text.data[i]), (const char *)text.data + i);
        if (high >= 0)
            result[(*length)++] = (uint8_t)(high << 4 | digit);
        high = high >= 0 ? -1 : digit;
    }
    if (high >= 0)
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "invalid hexadecimal data: odd number of digits");
    return OMEN_OK;
}

/* --- base64 --- */

enum { BASE64_LINE = 76 };

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t encode_base64(omen_bytes bytes, uint8_t *result)
{
    size_t count = 0;
    for (size_t at = 0; at < bytes.length; at += 3) {
        size_t rest = bytes.length - at < 3 ? bytes.length - at : 3;
        uint32_t group = (uint32_t)bytes.data[at] << 16;
        group |= rest > 1 ? (uint32_t)bytes.data[at + 1] << 8 : 0;
        group |= rest > 2 ? bytes.data[at + 2] : 0;
        for (size_t i = 0; i < 4; i++)
            result[count++] =
                i <= rest ? (uint8_t)base64_digits[group >> (18 - 6 * i) & 63] : (uint8_t)'=';
        if (count % (BASE64_LINE + 1) == BASE64_LINE && rest == 3)
            result[count++] = '\n';
    }
    return count;
}

static omen_status decode_base64(omen_bytes text, uint8_t *result, size_t *length,
                                 omen_error *error)
{
    uint32_t group = 0, digits = 0, kept = 3; /* bytes of each group, from the first "=" on */
    *length = 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t c = text.data[i];
        if (is_space(c))
            continue;
        const char *digit = c == 0 ? NULL : strchr(base64_digits, c);
        if (c == '=' && kept == 3 && digits < 2)
            return error_set(error, OMEN_INVALID_ARGUMENT,
                             "unexpected \"=\" while decoding base64 sequence");
        if (digit == NULL && c != '=')
            return error_set(error, OMEN_INVALID_ARGUMENT,
                             "invalid symbol \"%.*s\" found while decoding base64 sequence",
                             (int)character_bytes(c), (const char *)text.data + i);
        if (c == '=' && kept == 3)
            kept = digits - 1;
        group = group << 6 | (uint32_t)(c == '=' ? 0 : digit - base64_digits);
        if (++digits < 4)
            continue;
        result[(*length)++] = (uint8_t)(group >> 16);
        if (kept > 1)
            result[(*length)++] = (uint8_t)(group >> 8);
        if (kept > 2)
            result[(*length)++] = (uint8_t)group;
        group = digits = 0;
    }
    if (digits != 0)
        return error_set(error, OMEN_INVALID_ARGUMENT, "invalid base64 end sequence");
    return OMEN_OK;
}

static bool is_format(const omen_value *format, const char *name)
{
    omen_bytes text = format->as.bytes;
    if (text.length != strlen(name))
        return false;
    for (size_t i = 0; i < text.length; i++)
        if ((text.data[i] | 0x20) != (name[i] | 0x20))
            return false;
    return true;
}

static omen_status unknown_format(const omen_value *format, omen_error *error)
{
    if (is_format(format, "escape"))
        return error_set(error, OMEN_NOT_SUPPORTED, "encoding \"escape\" is not supported");
    return error_set(error, OMEN_INVALID_ARGUMENT, "unrecognized encoding: \"%.*s\"",
                     (int)(format->as.bytes.length < 100 ? format->as.bytes.length : 100),
                     (const char *)format->as.bytes.data);
}

omen_status bytes_encode(FUNCTION_PARAMETERS)
{
    omen_bytes bytes = arguments[0].as.bytes;
    uint8_t *result;
    OMEN_TRY(text_reserve(context, (uint64_t)bytes.length * 2 + 4, &result, error));
    if (is_format(&arguments[1], "hex")) {
        write_hex(bytes.data, bytes.length, result);
        return give_bytes(context, result, bytes.length * 2, out);
    }
    if (is_format(&arguments[1], "base64"))
        return give_bytes(context, result, encode_base64(bytes, result), out);
    return unknown_format(&arguments[1], error);
}

omen_status bytes_decode(FUNCTION_PARAMETERS)
{
    omen_bytes text = arguments[0].as.bytes;
    uint8_t *result;
    size_t length;
    OMEN_TRY(text_reserve(context, text.length, &result, error));
    if (is_format(&arguments[1], "hex"))
        OMEN_TRY(decode_hex(text, result, &length, error));
    else if (is_format(&arguments[1], "base64"))
        OMEN_TRY(decode_base64(text, result, &length, error));
    else
        return unknown_format(&arguments[1], error);
    return give_bytes(context, result, length, out);
}

/* --- MD5 --- */

static const uint32_t md5_sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

static uint32_t rotate(uint32_t value, uint32_t count)
{
    return value << count | value >> (32 - count);
}

static void md5_block(uint32_t state[4], const uint8_t block[64])
{
    static const uint8_t shifts[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t mixed, word;
        if (i < 16)
            mixed = (b & c) | (~b & d), word = i;
        else if (i < 32)
            mixed = (d & b) | (~d & c), word = 5 * i + 1;
        else if (i < 48)
            mixed = b ^ c ^ d, word = 3 * i + 5;
        else
            mixed = c ^ (b | ~d), word = 7 * i;
        const uint8_t *bytes = block + 4 * (word % 16);
        uint32_t value = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                         (uint32_t)bytes[3] << 24;
        mixed += a + md5_sines[i] + value;
        a = d, d = c, c = b;
        b += rotate(mixed, shifts[i / 16][i % 4]);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

omen_status bytes_md5(FUNCTION_PARAMETERS)
{
    omen_bytes bytes = arguments[0].as.bytes;
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    uint8_t tail[128] = {0}, digest[16], *result;
    size_t whole = bytes.length / 64 * 64, rest = bytes.length - whole;
    for (size_t at = 0; at < whole; at += 64)
        md5_block(state, bytes.data + at);
    if (rest > 0)
        memcpy(tail, bytes.data + whole, rest);
    tail[rest] = 0x80;
    size_t tail_length = rest < 56 ? 64 : 128;
    for (size_t i = 0; i < 8; i++)
        tail[tail_length - 8 + i] = (uint8_t)((uint64_t)bytes.length * 8 >> (8 * i));
    for (size_t at = 0; at < tail_length; at += 64)
        md5_block(state, tail + at);
    for (size_t i = 0; i < 16; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (8 * (i % 4)));
    OMEN_TRY(text_reserve(context, 32, &result, error));
    write_hex(digest, 16, result);
    return give_bytes(context, result, 32, out);
}
