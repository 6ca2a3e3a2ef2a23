/* parse.c - libpg_query behind a check of depth.
 *
 * libpg_query gives its tree as protocol-buffer bytes. Before protobuf-c unpacks them, recursing
 * once per level, one flat pass over the bytes measures the depth and notes what the rest needs
 * to know of the whole tree: parameters, row locks, INTO, data-modifying parts.
 *
 * Text that could nest deeply is parsed on a thread with a large stack, so callers may have small
 * ones.
 *
 * PostgreSQL's grammar knows no FROM 'file.csv'. Where it stops at a string constant after FROM,
 * JOIN or a comma, the text is parsed again with an identifier of the same length in that place, so
 * that positions stay; what then is no RangeVar of a FROM clause was an error indeed.
 *
 * Memory: libpg_query uses its own; the unpacked tree lies in the caller's arena, so it is never
 * freed piece by piece. Thread-safe: libpg_query keeps its state per thread.
 */
#include "sql/parse.h"

#include <pg_query.h>
#include <string.h>
#include <strings.h>

#include "os/os.h"
#include "sql/lexer.h"

enum {
    PARSE_NESTING_OWN_STACK = 500, /* up to here the caller's stack will do */
    PARSE_STACK_BYTES = 64 << 20,  /* for more; pages are taken as they are used */
};

/* --- the flat pass --- */

struct frame {
    const ProtobufCMessageDescriptor *message;
    size_t end;
};

struct survey {
    const uint8_t *bytes;
    size_t length;
    size_t position;
    struct parsed *parsed;
    struct frame frames[PARSE_DEPTH_MAX];
    size_t depth;
};

static bool read_varint(struct survey *survey, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (survey->position == survey->length)
            return false;
        uint8_t byte = survey->bytes[survey->position++];
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

/* The message type of a field, NULL where it is no message. Fields are sorted by number. */
static const ProtobufCMessageDescriptor *field_message(const ProtobufCMessageDescriptor *message,
                                                       uint64_t number)
{
    size_t low = 0, high = message->n_fields;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const ProtobufCFieldDescriptor *field = &message->fields[middle];
        if (field->id == number)
            return field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
        if (field->id < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

enum {
    TOP_STATEMENT_DEPTH = 4, /* ParseResult, RawStmt, Node, and the statement itself */
    RANGE_VAR_LOCATION = 7,  /* the field's number */
};

static void note_message(struct survey *survey, const ProtobufCMessageDescriptor *message)
{
    const char *name = message->short_name;
    struct parsed *parsed = survey->parsed;
    if (strcmp(name, "LockingClause") == 0)
        parsed->has_locking = true;
    else if (strcmp(name, "IntoClause") == 0)
        parsed->has_into = true;
    else if (survey->depth > TOP_STATEMENT_DEPTH &&
             (strcmp(name, "InsertStmt") == 0 || strcmp(name, "UpdateStmt") == 0 ||
              strcmp(name, "DeleteStmt") == 0 || strcmp(name, "MergeStmt") == 0))
        parsed->has_writing = true;
}

/* A RangeVar's place, where one stands in a list of nodes, as in FROM. */
static void note_range_variable(struct survey *survey, uint64_t location)
{
    struct parsed *parsed = survey->parsed;
    if (survey->depth < 2 ||
        strcmp(survey->frames[survey->depth - 2].message->short_name, "Node") != 0)
        return;
    for (uint32_t i = 0; i < parsed->file_count; i++)
        if ((uint64_t)parsed->files[i].location == location)
            parsed->files[i].in_from = true;
}

static void note_number(struct survey *survey, uint64_t field, uint64_t value)
{
    struct parsed *parsed = survey->parsed;
    const char *name = survey->frames[survey->depth - 1].message->short_name;
    if (field == RANGE_VAR_LOCATION && strcmp(name, "RangeVar") == 0)
        note_range_variable(survey, value);
    if (field == 1 && value > parsed->parameter_count && strcmp(name, "ParamRef") == 0)
        parsed->parameter_count = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* Reads one field; false where the bytes are no message. `*deep` where the tree is too deep. */
static bool survey_field(struct survey *survey, bool *deep)
{
    uint64_t tag, value;
    if (!read_varint(survey, &tag))
        return false;
    switch (tag & 7) {
    case 0:
        if (!read_varint(survey, &value))
            return false;
        note_number(survey, tag >> 3, value);
        return true;
    case 1:
    case 5:
        survey->position += (tag & 7) == 1 ? 8 : 4;
        return survey->position <= survey->length;
    case 2:
        break;
    default:
        return false;
    }
    if (!read_varint(survey, &value) || value > survey->length - survey->position)
        return false;
    const ProtobufCMessageDescriptor *message =
        field_message(survey->frames[survey->depth - 1].message, tag >> 3);
    if (message == NULL) {
        survey->position += value;
        return true;
    }
    *deep = survey->depth == PARSE_DEPTH_MAX;
    if (*deep)
        return false;
    survey->frames[survey->depth++] =
        (struct frame){.message = message, .end = survey->position + value};
    note_message(survey, message);
    return true;
}

static omen_status survey_tree(const PgQueryProtobuf *packed, struct arena *arena,
                               struct parsed *parsed, omen_error *error)
{
    struct survey *survey = arena_alloc(arena, sizeof *survey);
    if (survey == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    survey->bytes = (const uint8_t *)packed->data;
    survey->length = packed->len;
    survey->position = 0;
    survey->parsed = parsed;
    survey->depth = 1;
    survey->frames[0] = (struct frame){&pg_query__parse_result__descriptor, packed->len};
    bool deep = false;
    while (survey->depth > 0) {
        if (survey->position == survey->frames[survey->depth - 1].end) {
            survey->depth--;
        } else if (!survey_field(survey, &deep)) {
            if (deep)
                return error_set(error, OMEN_STATEMENT_TOO_COMPLEX,
                                 "the statement nests too deeply");
            return error_set(error, OMEN_INTERNAL, "the parser gave a malformed tree");
        }
    }
    if (parsed->parameter_count > PARSE_PARAMETERS_MAX)
        return error_set(error, OMEN_LIMIT_EXCEEDED, "there is no parameter $%u",
                         parsed->parameter_count);
    return OMEN_OK;
}

/* --- parsing --- */

static void *unpack_alloc(void *arena, size_t bytes)
{
    return arena_alloc(arena, bytes);
}

static void unpack_free(void *arena, void *pointer)
{
}

static omen_status parse_failed(const PgQueryError *failure, omen_error *error)
{
    omen_status status = OMEN_SYNTAX_ERROR;
    if (strstr(failure->message, "memory exhausted") != NULL ||
        strstr(failure->message, "stack depth") != NULL)
        status = OMEN_STATEMENT_TOO_COMPLEX;
    else if (strncmp(failure->message, "frame ", 6) == 0) /* the grammar checks window frames */
        status = OMEN_WINDOWING_ERROR;
    else if (strcmp(failure->message, "invalid Unicode escape") == 0) /* the scanner's own */
        status = OMEN_INVALID_ESCAPE;
    error_set(error, status, "%s", failure->message);
    if (error != NULL)
        error->position = failure->cursorpos > 0 ? failure->cursorpos : 0;
    return status;
}

static omen_status unpack_tree(const PgQueryProtobuf *packed, struct arena *arena,
                               struct parsed *parsed, omen_error *error)
{
    ProtobufCAllocator allocator = {
        .alloc = unpack_alloc, .free = unpack_free, .allocator_data = arena};
    PgQuery__ParseResult *tree =
        pg_query__parse_result__unpack(&allocator, packed->len, (const uint8_t *)packed->data);
    if (tree == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    if (tree->n_stmts > 1)
        return error_set(error, OMEN_SYNTAX_ERROR,
                         "cannot run more than one statement in one call");
    if (tree->n_stmts == 1)
        parsed->statement = tree->stmts[0]->stmt;
    return OMEN_OK;
}

/* One call of the parser, perhaps on another thread's stack. */
struct parse_call {
    struct arena *arena;
    struct parsed *parsed;
    const char *text; /* the statement's, or the same with other names for files */
    omen_error *error;
    omen_status status;
};

static void parse_text(void *argument)
{
    struct parse_call *call = argument;
    PgQueryProtobufParseResult result = pg_query_parse_protobuf(call->text);
    if (result.error != NULL)
        call->status = parse_failed(result.error, call->error);
    else
        call->status = survey_tree(&result.parse_tree, call->arena, call->parsed, call->error);
    if (call->status == OMEN_OK)
        call->status = unpack_tree(&result.parse_tree, call->arena, call->parsed, call->error);
    pg_query_free_protobuf_parse_result(result);
}

/* The text's length without a final semicolon, so that the engine sees the query alone. */
static size_t statement_length(const char *sql, size_t length)
{
    size_t rest;
    bool complete;
    size_t kept = lexer_split(sql, length, &rest, &complete);
    struct lexer behind = {.text = sql, .length = length, .position = rest};
    struct token next = lexer_next(&behind);
    while (next.kind == TOKEN_PUNCTUATION && sql[next.start] == ';')
        next = lexer_next(&behind);
    return complete && next.kind == TOKEN_END ? kept : length;
}

/* --- files --- */

/* The byte that the 1-based character `position` of valid UTF-8 begins at. */
static size_t byte_of_character(const char *text, size_t length, int position)
{
    size_t at = 0;
    while (at < length && --position > 0)
        for (at++; at < length && ((unsigned char)text[at] & 0xC0) == 0x80;)
            at++;
    return at;
}

static bool is_word(const char *text, const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && token->length == strlen(word) &&
           strncasecmp(text + token->start, word, token->length) == 0;
}

/* Whether a table may be named behind this token. */
static bool precedes_table(const char *text, const struct token *token)
{
    if (token->kind == TOKEN_PUNCTUATION)
        return text[token->start] == ',' || text[token->start] == '(';
    return is_word(text, token, "from") || is_word(text, token, "join") ||
           is_word(text, token, "only") || is_word(text, token, "table");
}

/* The string constant in plain quotes at `position` that stands where a table may be named. */
static bool find_constant(const struct parsed *parsed, int position, struct token *out)
{
    struct lexer lexer = {.text = parsed->text, .length = parsed->length};
    struct token before = {.kind = TOKEN_END};
    size_t start = byte_of_character(parsed->text, parsed->length, position);
    for (;;) {
        *out = lexer_next(&lexer);
        if (out->kind == TOKEN_END || out->start >= start)
            break;
        before = *out;
    }
    return out->kind == TOKEN_STRING && out->start == start && out->length >= 3 &&
           parsed->text[start] == '\'' && parsed->text[start + out->length - 1] == '\'' &&
           precedes_table(parsed->text, &before);
}

/* Notes the constant as a file. Its quotes are halved in `path`; false where it is more than one
 * constant, continued on another line. */
static bool note_file(struct parsed *parsed, const struct token *token, char *path)
{
    const char *text = parsed->text + token->start;
    size_t length = 0;
    for (size_t i = 1; i + 1 < token->length; i++) {
        if (text[i] == '\'' && (text[++i] != '\'' || i + 1 == token->length))
            return false;
        path[length++] = text[i];
    }
    path[length] = '\0';
    parsed->files[parsed->file_count++] =
        (struct parsed_file){.path = path, .location = (int)token->start};
    return true;
}

/* Where the parser stopped at a file, puts a name of the same length there: text to parse again. */
static bool name_file(struct parse_call *call, int position, char **text)
{
    struct parsed *parsed = call->parsed;
    struct token token;
    if (position <= 0 || parsed->file_count == PARSE_FILES_MAX ||
        !find_constant(parsed, position, &token))
        return false;
    for (uint32_t i = 0; i < parsed->file_count; i++)
        if (parsed->files[i].location == (int)token.start)
            return false;
    if (parsed->files == NULL)
        parsed->files = arena_alloc(call->arena, PARSE_FILES_MAX * sizeof *parsed->files);
    if (*text == NULL)
        *text = arena_copy_text(call->arena, parsed->text, parsed->length);
    char *path = arena_alloc(call->arena, token.length);
    if (parsed->files == NULL || *text == NULL || path == NULL || !note_file(parsed, &token, path))
        return false;
    memset(*text + token.start, ' ', token.length);
    memcpy(*text + token.start, "\"f\"", 3);
    call->text = *text;
    return true;
}

/* Parses until no file stops the parser any more. */
static void parse_with_files(void *argument)
{
    struct parse_call *call = argument;
    struct parsed *parsed = call->parsed;
    omen_error *error = call->error, first, failure = {.status = OMEN_OK};
    char *text = NULL;
    call->error = &failure;
    for (;;) {
        parse_text(call);
        if (parsed->file_count == 0)
            first = failure;
        if (call->status != OMEN_SYNTAX_ERROR || !name_file(call, failure.position, &text))
            break;
    }
    for (uint32_t i = 0; i < parsed->file_count && call->status == OMEN_OK; i++)
        if (!parsed->files[i].in_from) {
            call->status = first.status;
            failure = first;
        }
    if (call->status != OMEN_OK && error != NULL)
        *error = failure;
}

const struct parsed_file *parse_file(const struct parsed *parsed, const PgQuery__RangeVar *node)
{
    for (uint32_t i = 0; i < parsed->file_count; i++)
        if (parsed->files[i].location == node->location)
            return &parsed->files[i];
    return NULL;
}

omen_status parse_statement(const char *sql, size_t length, struct arena *arena, struct parsed *out,
                            omen_error *error)
{
    size_t nesting;
    memset(out, 0, sizeof *out);
    OMEN_TRY(lexer_check(sql, length, &nesting, error));
    out->length = statement_length(sql, length);
    out->text = arena_copy_text(arena, sql, out->length);
    if (out->text == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    struct parse_call call = {.arena = arena, .parsed = out, .text = out->text, .error = error};
    if (nesting <= PARSE_NESTING_OWN_STACK)
        parse_with_files(&call);
    else if (os_run_with_stack(PARSE_STACK_BYTES, parse_with_files, &call) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    return call.status;
}

void parse_set_position(const struct parsed *parsed, int location, omen_error *error)
{
    if (error != NULL && location >= 0)
        error->position = lexer_character(parsed->text, parsed->length, (size_t)location);
}

const char *parse_string(const PgQuery__Node *node)
{
    return node != NULL && node->node_case == PG_QUERY__NODE__NODE_STRING ? node->string->sval
                                                                          : NULL;
}
