/* omendb_status.h - result codes and the caller-owned error record.
 *
 * One table lists every status: its name, its SQLSTATE and its default text. The enum, the
 * SQLSTATE lookup and the documentation all come from it.
 */
#ifndef OMENDB_STATUS_H
#define OMENDB_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define OMEN_EXPORT     __attribute__((visibility("default")))
#define OMEN_MUST_CHECK __attribute__((warn_unused_result))
#define OMEN_PRINTF(format_index, first_index)                                                     \
    __attribute__((format(printf, format_index, first_index)))
#else
#define OMEN_EXPORT
#define OMEN_MUST_CHECK
#define OMEN_PRINTF(format_index, first_index)
#endif

/* X(name, number, SQLSTATE, text). Numbers are part of the ABI: only ever append. */
#define OMEN_STATUS_TABLE(X)                                                                       \
    X(OK, 0, "00000", "success")                                                                   \
    X(NOT_FOUND, 1, "02000", "no row has this key")                                                \
    X(END_OF_DATA, 2, "02000", "no more rows")                                                     \
    X(OUT_OF_MEMORY, 3, "53200", "out of memory")                                                  \
    X(DISK_FULL, 4, "53100", "disk full")                                                          \
    X(TOO_MANY_CONNECTIONS, 5, "53300", "too many connections")                                    \
    X(LIMIT_EXCEEDED, 6, "54000", "program limit exceeded")                                        \
    X(TOO_MANY_COLUMNS, 7, "54011", "too many columns")                                            \
    X(DUPLICATE_KEY, 8, "23505", "duplicate key value violates unique constraint")                 \
    X(NOT_NULL_VIOLATION, 9, "23502", "null value violates not-null constraint")                   \
    X(OUT_OF_RANGE, 10, "22003", "numeric value out of range")                                     \
    X(DIVISION_BY_ZERO, 11, "22012", "division by zero")                                           \
    X(INVALID_TEXT, 12, "22P02", "invalid input syntax")                                           \
    X(STRING_TOO_LONG, 13, "22001", "value too long for type")                                     \
    X(INVALID_ENCODING, 14, "22021", "invalid byte sequence for encoding UTF8")                    \
    X(INVALID_DATETIME, 15, "22007", "invalid date or time format")                                \
    X(DATETIME_OVERFLOW, 16, "22008", "date or time out of range")                                 \
    X(BAD_COPY_FORMAT, 17, "22P04", "bad COPY file format")                                        \
    X(INVALID_ARGUMENT, 18, "22023", "invalid parameter value")                                    \
    X(TYPE_MISMATCH, 19, "42804", "datatype mismatch")                                             \
    X(SYNTAX_ERROR, 20, "42601", "syntax error")                                                   \
    X(NAME_TOO_LONG, 21, "42622", "identifier too long")                                           \
    X(UNDEFINED_TABLE, 22, "42P01", "table does not exist")                                        \
    X(UNDEFINED_COLUMN, 23, "42703", "column does not exist")                                      \
    X(DUPLICATE_TABLE, 24, "42P07", "table already exists")                                        \
    X(DUPLICATE_COLUMN, 25, "42701", "column specified more than once")                            \
    X(UNDEFINED_FUNCTION, 26, "42883", "function or operator does not exist")                      \
    X(AMBIGUOUS_COLUMN, 27, "42702", "column reference is ambiguous")                              \
    X(UNDEFINED_TYPE, 28, "42704", "type or object does not exist")                                \
    X(INVALID_TABLE, 29, "42P16", "invalid table definition")                                      \
    X(GROUPING_ERROR, 30, "42803", "column must appear in GROUP BY or be aggregated")              \
    X(NOT_SUPPORTED, 31, "0A000", "feature not supported")                                         \
    X(CANCELLED, 32, "57014", "statement cancelled")                                               \
    X(OBJECT_IN_USE, 33, "55006", "object in use")                                                 \
    X(NOT_READY, 34, "55000", "object not in the required state")                                  \
    X(ENGINE_MISSING, 35, "58000", "the SQL engine could not be loaded")                           \
    X(FILE_NOT_FOUND, 36, "58P01", "no such file")                                                 \
    X(IO_ERROR, 37, "58030", "input/output error")                                                 \
    X(CORRUPTED, 38, "XX001", "data corrupted")                                                    \
    X(INTERNAL, 39, "XX000", "internal error")                                                     \
    X(INSUFFICIENT_PRIVILEGE, 40, "42501", "insufficient privilege")                               \
    X(STATEMENT_TOO_COMPLEX, 41, "54001", "statement too complex")                                 \
    X(CARDINALITY, 42, "21000", "more than one row returned by a subquery")                        \
    X(AMBIGUOUS_FUNCTION, 43, "42725", "function or operator is ambiguous")                        \
    X(AMBIGUOUS_PARAMETER, 44, "42P08", "parameter is ambiguous")                                  \
    X(INDETERMINATE_TYPE, 45, "42P18", "could not determine the data type")                        \
    X(DUPLICATE_ALIAS, 46, "42712", "table name specified more than once")                         \
    X(INVALID_COLUMN_REFERENCE, 47, "42P10", "invalid column reference")                           \
    X(WINDOWING_ERROR, 48, "42P20", "window function misplaced")                                   \
    X(CANNOT_COERCE, 49, "42846", "cannot cast type")                                              \
    X(WRONG_OBJECT_TYPE, 50, "42809", "wrong object type")                                         \
    X(INVALID_RECURSION, 51, "42P19", "invalid recursion")                                         \
    X(UNDEFINED_PARAMETER, 52, "42P02", "there is no such parameter")                              \
    X(INVALID_LIMIT, 53, "2201W", "LIMIT must not be negative")                                    \
    X(INVALID_OFFSET, 54, "2201X", "OFFSET must not be negative")                                  \
    X(INVALID_REGEX, 55, "2201B", "invalid regular expression")                                    \
    X(INVALID_ESCAPE, 56, "22025", "invalid escape sequence")                                      \
    X(SUBSTRING_ERROR, 57, "22011", "negative substring length not allowed")                       \
    X(INVALID_LOGARITHM, 58, "2201E", "cannot take logarithm")                                     \
    X(INVALID_POWER, 59, "2201F", "invalid argument for power function")                           \
    X(NULL_NOT_ALLOWED, 60, "22004", "null value not allowed")                                     \
    X(CHECK_VIOLATION, 61, "23514", "row violates check constraint")                               \
    X(SERIALIZATION_FAILURE, 62, "40001", "could not serialize access")                            \
    X(INVALID_FRAME_OFFSET, 63, "22013", "invalid preceding or following size")                    \
    X(INTERVAL_OVERFLOW, 64, "22015", "interval field value out of range")                         \
    X(COMMIT_UNKNOWN, 65, "08007", "commit outcome unknown")                                       \
    X(INSUFFICIENT_RESOURCES, 66, "53000", "insufficient resources")                               \
    X(DEADLOCK_DETECTED, 67, "40P01", "deadlock detected")                                         \
    X(LOCK_NOT_AVAILABLE, 68, "55P03", "could not obtain lock")                                    \
    X(ACTIVE_TRANSACTION, 69, "25001", "there is already a transaction in progress")               \
    X(NO_ACTIVE_TRANSACTION, 70, "25P01", "there is no transaction in progress")                   \
    X(IN_FAILED_TRANSACTION, 71, "25P02",                                                          \
      "current transaction is aborted, commands ignored until end of transaction block")           \
    X(READ_ONLY_TRANSACTION, 72, "25006", "cannot write in a read-only transaction")               \
    X(INVALID_SAVEPOINT, 73, "3B001", "savepoint does not exist")                                  \
    X(IDLE_IN_TRANSACTION_TIMEOUT, 74, "25P03",                                                    \
      "terminating connection due to idle-in-transaction timeout")

typedef enum omen_status {
#define OMEN_STATUS_ENUM(name, number, sqlstate, text) OMEN_##name = number,
    OMEN_STATUS_TABLE(OMEN_STATUS_ENUM)
#undef OMEN_STATUS_ENUM
} omen_status;

#define OMEN_ERROR_MESSAGE_BYTES 512

/* What went wrong, in the caller's memory.
 *
 * Every fallible function takes an `omen_error *`, which may be NULL. On failure it is filled;
 * on success it is left alone. `position` is the 1-based character of the statement text that
 * the error points at, 0 where unknown. Owns nothing; copy it freely. Some errors come with a hint
 * (omen_error_hint), a sentence about what may have been meant, which lies behind the message.
 */
typedef struct omen_error {
    omen_status status;
    char sqlstate[6];
    uint16_t hint_offset; /* of the hint in `message`, zero-terminated as well; 0: there is none */
    int32_t position;
    char message[OMEN_ERROR_MESSAGE_BYTES];
} omen_error;

/* The hint of an error, e.g. "Perhaps you meant to reference the column "flights.origin"."; ""
 * where it has none. Borrowed from the error. */
OMEN_EXPORT const char *omen_error_hint(const omen_error *error);

/* The five-character SQLSTATE of a status; "XX000" for an unknown number. Static string. */
OMEN_EXPORT const char *omen_status_sqlstate(omen_status status);

/* The default text of a status. Static string. */
OMEN_EXPORT const char *omen_status_text(omen_status status);

#ifdef __cplusplus
}
#endif

#endif
