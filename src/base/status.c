/* status.c - the status table and the error record. */
#include "base/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *omen_status_sqlstate(omen_status status)
{
    switch (status) {
#define SQLSTATE_CASE(name, number, sqlstate, text)                                                \
    case OMEN_##name:                                                                              \
        return sqlstate;
        OMEN_STATUS_TABLE(SQLSTATE_CASE)
#undef SQLSTATE_CASE
    }
    return "XX000";
}

const char *omen_status_text(omen_status status)
{
    switch (status) {
#define TEXT_CASE(name, number, sqlstate, text)                                                    \
    case OMEN_##name:                                                                              \
        return text;
        OMEN_STATUS_TABLE(TEXT_CASE)
#undef TEXT_CASE
    }
    return "unknown status";
}

/* Shortens a message that vsnprintf cut to the last whole UTF-8 character. */
static void cut_at_character(char *message, size_t length)
{
    size_t end = length;
    while (end > 0 && ((unsigned char)message[end - 1] & 0xC0) == 0x80)
        end--;
    if (end > 0 && ((unsigned char)message[end - 1] & 0xC0) == 0xC0)
        end--;
    message[end] = '\0';
}

omen_status error_set(omen_error *error, omen_status status, const char *format, ...)
{
    if (error == NULL)
        return status;
    error->status = status;
    error->position = 0;
    error->hint_offset = 0;
    memcpy(error->sqlstate, omen_status_sqlstate(status), sizeof error->sqlstate);
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    if (wanted >= (int)sizeof error->message)
        cut_at_character(error->message, sizeof error->message - 1);
    return status;
}

void error_hint(omen_error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    size_t start = strlen(error->message) + 1;
    va_list arguments;
    va_start(arguments, format);
    int wanted =
        vsnprintf(error->message + start, sizeof error->message - start, format, arguments);
    va_end(arguments);
    bool fits = wanted > 0 && (size_t)wanted < sizeof error->message - start;
    error->hint_offset = fits ? (uint16_t)start : 0;
}

const char *omen_error_hint(const omen_error *error)
{
    size_t start = error->hint_offset;
    return start > 0 && start < sizeof error->message ? error->message + start : "";
}

omen_status error_set_default(omen_error *error, omen_status status)
{
    return error_set(error, status, "%s", omen_status_text(status));
}
