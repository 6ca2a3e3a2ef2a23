/* test_evaluate.c - every function of the core against PostgreSQL's answers, and the evaluator's
 * own rules.
 *
 * semantics_cases.txt holds SQL expressions and what PostgreSQL 15 made of them ("!22012": an
 * error). tests/unit/sql/semantics_cases.py asks PostgreSQL again. An expression there is one call
 * over typed literals: `integer '1' + integer '2'`, `lower(text 'A')`, `cast(text '1' as integer)`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sql/evaluate.h"
#include "sql/function.h"
#include "sql/value_text.h"

static const char *cases_path;
static struct allocator allocator;
static struct arena arena;

/* --- reading an expression --- */

enum { ARGUMENTS_MAX = 8 };

struct call {
    const char *at;
    char name[64];
    enum semantics_kind kind;
    omen_value arguments[ARGUMENTS_MAX];
    uint32_t count;
    omen_type cast_type;
};

static const struct {
    const char *name;
    int id;
} type_names[] = {{"boolean", OMEN_TYPE_BOOLEAN},
                  {"smallint", OMEN_TYPE_SMALLINT},
                  {"integer", OMEN_TYPE_INTEGER},
                  {"bigint", OMEN_TYPE_BIGINT},
                  {"real", OMEN_TYPE_REAL},
                  {"double precision", OMEN_TYPE_DOUBLE},
                  {"numeric", OMEN_TYPE_DECIMAL},
                  {"text", OMEN_TYPE_TEXT},
                  {"varchar", OMEN_TYPE_VARCHAR},
                  {"char", OMEN_TYPE_CHAR},
                  {"bytea", OMEN_TYPE_BYTEA},
                  {"date", OMEN_TYPE_DATE},
                  {"timestamptz", OMEN_TYPE_TIMESTAMPTZ},
                  {"timestamp", OMEN_TYPE_TIMESTAMP},
                  {"uuid", OMEN_TYPE_UUID},
                  {"interval", SQL_TYPE_INTERVAL}};

static void skip_blanks(struct call *call)
{
    call->at += strspn(call->at, " ");
}

static bool take(struct call *call, const char *word)
{
    skip_blanks(call);
    if (strncmp(call->at, word, strlen(word)) != 0)
        return false;
    call->at += strlen(word);
    return true;
}

static bool read_type(struct call *call, omen_type *type)
{
    skip_blanks(call);
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        size_t length = strlen(type_names[i].name);
        char next = strncmp(call->at, type_names[i].name, length) == 0 ? call->at[length] : 'x';
        if (next != '\0' && strchr(" (),", next) == NULL)
            continue;
        call->at += length;
        *type = (omen_type){.id = (omen_type_id)type_names[i].id};
        unsigned one = 0, two = 0;
        int read = 0;
        if (next == '(') {
            if (sscanf(call->at, "(%u, %u)%n", &one, &two, &read) < 2 || read == 0)
                assert_int_equal(sscanf(call->at, "(%u)%n", &one, &read), 1);
            call->at += read;
            call->at += *call->at == ')';
        }
        if (type->id == OMEN_TYPE_DECIMAL) {
            type->precision = (uint8_t)(one == 0 ? 38 : one);
            type->scale = (int8_t)two;
        } else {
            type->length_max = one;
        }
        return true;
    }
    return false;
}

/* `type 'text'` or `null::type`. */
static void read_operand(struct call *call)
{
    omen_type type;
    char text[512];
    size_t length = 0;
    omen_error error = {.message = ""};
    omen_value *value = &call->arguments[call->count++];
    assert_true(call->count <= ARGUMENTS_MAX);
    if (take(call, "null::")) {
        assert_true(read_type(call, &type));
        *value = (omen_value){.type = type, .is_null = true};
        return;
    }
    if (!read_type(call, &type) || !take(call, "'"))
        fail_msg("no operand: %s", call->at);
    for (; *call->at != '\0' && (*call->at != '\'' || call->at[1] == '\''); call->at++) {
        call->at += *call->at == '\'';
        text[length++] = *call->at;
    }
    call->at++;
    char *copy = arena_copy_text(&arena, text, length);
    if (value_from_text(type, copy, length, &arena, value, &error) != OMEN_OK)
        fail_msg("operand '%s': %s", copy, error.message);
}

static void read_name(struct call *call, const char *ends)
{
    skip_blanks(call);
    size_t length = strcspn(call->at, ends);
    assert_true(length > 0 && length < sizeof call->name);
    memcpy(call->name, call->at, length);
    call->name[length] = '\0';
    call->at += length;
}

static void read_call(const char *text, struct call *call)
{
    omen_type type;
    *call = (struct call){.at = text};
    struct call ahead = *call;
    if (take(call, "cast(")) {
        call->kind = SEMANTICS_CAST;
        read_operand(call);
        if (!take(call, "as") || !read_type(call, &call->cast_type))
            fail_msg("no type: %s", call->at);
        return;
    }
    bool operand_first = take(&ahead, "null::") || read_type(&ahead, &type);
    if (operand_first || strchr("-+@~|", *ahead.at) != NULL) {
        call->kind = SEMANTICS_OPERATOR;
        if (operand_first)
            read_operand(call);
        read_name(call, " ");
        read_operand(call);
        return;
    }
    call->kind = SEMANTICS_FUNCTION;
    (void)take(call, "pg_catalog.");
    read_name(call, "(");
    call->at++;
    while (!take(call, ")")) {
        if (call->count > 0)
            assert_true(take(call, ","));
        read_operand(call);
    }
}

/* --- finding and computing --- */

static bool line_takes(const struct semantics_line *line, const struct call *call)
{
    bool variadic = line->flags & SEMANTICS_VARIADIC;
    if (line->kind != call->kind ||
        (variadic ? call->count < line->argument_count : call->count != line->argument_count))
        return false;
    if (line->kind == SEMANTICS_CAST ? line->result != call->cast_type.id
                                     : strcmp(line->name, call->name) != 0)
        return false;
    for (uint32_t i = 0; i < call->count; i++) {
        uint32_t place = i < line->argument_count ? i : line->argument_count - 1U;
        if (line->arguments[place] != call->arguments[i].type.id &&
            line->arguments[place] != SQL_TYPE_ANY)
            return false;
    }
    return true;
}

static const struct semantics_line *find_line(const struct call *call)
{
    for (uint32_t i = 0; i < semantics_line_count; i++)
        if (line_takes(&semantics_lines[i], call))
            return &semantics_lines[i];
    return NULL;
}

static int larger(int one, int other)
{
    return one > other ? one : other;
}

static omen_type result_type(const struct semantics_line *line, const struct call *call)
{
    omen_type type = {.id = (omen_type_id)line->result, .precision = 38};
    int one = call->count > 0 ? call->arguments[0].type.scale : 0;
    int two = call->count > 1 ? call->arguments[1].type.scale : 0;
    switch (line->rule) {
    case RESULT_TYPE:
        type.precision = 0;
        return line->kind == SEMANTICS_CAST ? call->cast_type : type;
    case RESULT_SAME:
        return call->arguments[0].type;
    case RESULT_SAME_2:
        return call->arguments[1].type;
    case RESULT_DECIMAL_ADD:
        type.scale = (int8_t)larger(one, two);
        break;
    case RESULT_DECIMAL_MULTIPLY:
        type.scale = (int8_t)(one + two);
        break;
    case RESULT_DECIMAL_DIVIDE:
        type.scale = (int8_t)larger(DECIMAL_QUOTIENT_SCALE, larger(one, two));
        break;
    case RESULT_DECIMAL_DIGITS:
        type.scale = (int8_t)larger(0, call->arguments[1].as.i32);
        break;
    case RESULT_DECIMAL_FIELD:
        type.scale =
            (int8_t)function_extract_scale(&call->arguments[0], call->arguments[1].type.id);
        break;
    case RESULT_DECIMAL_SUM:
    case RESULT_DECIMAL_WHOLE:
        break;
    }
    return type;
}

/* PostgreSQL shows as many digits of a quotient as it likes: brings them to our scale. */
static void fit_quotient(const struct call *call, const struct semantics_line *line, char *expected)
{
    omen_value value;
    size_t length;
    if (line->rule != RESULT_DECIMAL_DIVIDE || expected[0] == '!' || expected[0] == 'N')
        return;
    if (value_from_text(result_type(line, call), expected, strlen(expected), &arena, &value,
                        NULL) != OMEN_OK)
        return;
    assert_int_equal(value_to_text(&value, expected, 64, &length), OMEN_OK);
    expected[length] = '\0';
}

static void compute(const char *expression, char *expected, char *got, size_t capacity,
                    omen_error *error)
{
    struct call call;
    omen_value value;
    size_t length;
    read_call(expression, &call);
    const struct semantics_line *line = find_line(&call);
    if (line == NULL) {
        snprintf(got, capacity, "no line");
        return;
    }
    struct call_context context = {.arena = &arena,
                                   .result = result_type(line, &call),
                                   .argument_count = call.count,
                                   .now = INT64_C(1700000000123456)};
    fit_quotient(&call, line, expected);
    if (evaluate_call(line, true, &context, call.arguments, &value, error) != OMEN_OK) {
        snprintf(got, capacity, "!%s", error->sqlstate);
        return;
    }
    assert_int_equal(value.type.id, context.result.id);
    if (value.is_null) {
        snprintf(got, capacity, "NULL");
        return;
    }
    assert_int_equal(value_to_text(&value, got, capacity - 1, &length), OMEN_OK);
    got[length] = '\0';
}

static void test_cases(void **state)
{
    char line[4096], got[4096];
    unsigned count = 0, wrong = 0;
    FILE *file = fopen(cases_path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char *expected = strstr(line, " => ");
        if (line[0] == '#' || expected == NULL)
            continue;
        line[strcspn(line, "\n")] = '\0';
        *expected = '\0';
        expected += 4;
        omen_error error = {.message = ""};
        compute(line, expected, got, sizeof got, &error);
        count++;
        if (strcmp(got, expected) != 0) {
            printf("%s gave %s (%s), expected %s\n", line, got, error.message, expected);
            wrong++;
        }
        arena_reset(&arena);
    }
    fclose(file);
    printf("%u cases\n", count);
    assert_true(count > 100);
    assert_int_equal(wrong, 0);
}

/* --- the evaluator itself --- */

#define INTEGER_TYPE {.id = OMEN_TYPE_INTEGER}
#define BOOLEAN_TYPE {.id = OMEN_TYPE_BOOLEAN}

static const struct semantics_line *line_of(const char *call_text)
{
    struct call call;
    read_call(call_text, &call);
    const struct semantics_line *line = find_line(&call);
    assert_non_null(line);
    return line;
}

static struct expression *new_node(enum expression_kind kind, omen_type type)
{
    struct expression *node = arena_alloc(&arena, sizeof *node);
    assert_non_null(node);
    *node = (struct expression){.kind = kind, .type = type, .location = -1};
    return node;
}

/* 'i7': an integer, 't', 'f', 'n': truth values, 'x': 1/0, 'p': parameter 1, 'N': integer NULL. */
static struct expression *leaf(const char *text)
{
    struct expression *node;
    switch (*text) {
    case 'i':
        node = new_node(EXPRESSION_CONSTANT, (omen_type)INTEGER_TYPE);
        node->value = (omen_value){.type = node->type, .as.i32 = atoi(text + 1)};
        return node;
    case 'N':
        node = new_node(EXPRESSION_CONSTANT, (omen_type)INTEGER_TYPE);
        node->value = (omen_value){.type = node->type, .is_null = true};
        return node;
    case 'p':
        node = new_node(EXPRESSION_PARAMETER, (omen_type)INTEGER_TYPE);
        return node;
    default:
        node = new_node(EXPRESSION_CONSTANT, (omen_type)BOOLEAN_TYPE);
        node->value = (omen_value){
            .type = node->type, .is_null = *text == 'n', .as.boolean = *text == 't'};
        return node;
    }
}

static struct expression *tree(enum expression_kind kind, omen_type type, unsigned count, ...)
{
    struct expression *node = new_node(kind, type);
    va_list parts;
    node->arguments = arena_alloc(&arena, count * sizeof *node->arguments);
    node->argument_count = count;
    va_start(parts, count);
    for (unsigned i = 0; i < count; i++)
        node->arguments[i] = va_arg(parts, struct expression *);
    va_end(parts);
    return node;
}

static struct expression *with_line(struct expression *node, const char *call_text)
{
    node->line = line_of(call_text);
    return node;
}

#define INTEGER_TREE(kind, ...) tree(kind, (omen_type)INTEGER_TYPE, __VA_ARGS__)
#define BOOLEAN_TREE(kind, ...) tree(kind, (omen_type)BOOLEAN_TYPE, __VA_ARGS__)

static struct expression *divide(const char *one, const char *other)
{
    return with_line(INTEGER_TREE(EXPRESSION_CALL, 2, leaf(one), leaf(other)),
                     "integer '1' / integer '1'");
}

/* 1/0 = 1 */
static struct expression *failing(void)
{
    return with_line(BOOLEAN_TREE(EXPRESSION_CALL, 2, divide("i1", "i0"), leaf("i1")),
                     "integer '1' = integer '1'");
}

static void expect(const struct expression *expression, const char *expected)
{
    omen_value parameter = {.type = INTEGER_TYPE, .as.i32 = 5}, value;
    struct evaluation evaluation = {.arena = &arena, .parameters = &parameter};
    omen_error error = {.message = ""};
    char got[64];
    size_t length = 0;
    if (evaluate(expression, &evaluation, &value, &error) != OMEN_OK) {
        snprintf(got, sizeof got, "!%s", error.sqlstate);
    } else if (value.is_null) {
        snprintf(got, sizeof got, "NULL");
    } else {
        assert_int_equal(value_to_text(&value, got, sizeof got - 1, &length), OMEN_OK);
        got[length] = '\0';
    }
    assert_string_equal(got, expected);
}

static void test_three_valued_logic(void **state)
{
    static const char values[] = "tfn";
    static const char and_table[] = "tfnfffnfn", or_table[] = "ttttfntnn";
    for (int i = 0; i < 9; i++) {
        char one[] = {values[i / 3], '\0'}, other[] = {values[i % 3], '\0'};
        expect(BOOLEAN_TREE(EXPRESSION_AND, 2, leaf(one), leaf(other)),
               and_table[i] == 'n' ? "NULL" : (char[]){and_table[i], '\0'});
        expect(BOOLEAN_TREE(EXPRESSION_OR, 2, leaf(one), leaf(other)),
               or_table[i] == 'n' ? "NULL" : (char[]){or_table[i], '\0'});
    }
    expect(BOOLEAN_TREE(EXPRESSION_NOT, 1, leaf("n")), "NULL");
    expect(BOOLEAN_TREE(EXPRESSION_NOT, 1, leaf("f")), "t");
    expect(BOOLEAN_TREE(EXPRESSION_AND, 2, leaf("f"), failing()), "f");
    expect(BOOLEAN_TREE(EXPRESSION_AND, 2, leaf("n"), failing()), "!22012");
    expect(BOOLEAN_TREE(EXPRESSION_OR, 2, leaf("t"), failing()), "t");
    expect(BOOLEAN_TREE(EXPRESSION_OR, 2, failing(), leaf("t")), "!22012");
}

static void test_tests(void **state)
{
    static const char *const expected[] = {"fft", "ttf", "tff", "ftt", "ftf", "tft", "fft", "ttf"};
    static const char *const values[] = {"t", "f", "n"};
    for (int test = TEST_NULL; test <= TEST_NOT_UNKNOWN; test++)
        for (int i = 0; i < 3; i++) {
            struct expression *node = BOOLEAN_TREE(EXPRESSION_TEST, 1, leaf(values[i]));
            node->test = (enum expression_test)test;
            expect(node, (char[]){expected[test][i], '\0'});
        }
}

static struct expression *in_list(bool negated, const char *one, const char *two, const char *three)
{
    struct expression *node =
        with_line(BOOLEAN_TREE(EXPRESSION_IN, 3, leaf(one), leaf(two), leaf(three)),
                  "integer '1' = integer '1'");
    node->negated = negated;
    return node;
}

static struct expression *distinct(bool negated, const char *one, const char *other)
{
    struct expression *node =
        with_line(BOOLEAN_TREE(EXPRESSION_DISTINCT_FROM, 2, leaf(one), leaf(other)),
                  "integer '1' = integer '1'");
    node->negated = negated;
    return node;
}

static void test_comparisons_with_null(void **state)
{
    expect(in_list(false, "i1", "i2", "i1"), "t");
    expect(in_list(false, "i1", "N", "i1"), "t");
    expect(in_list(false, "i1", "N", "i2"), "NULL");
    expect(in_list(false, "i1", "i3", "i2"), "f");
    expect(in_list(false, "N", "i1", "i2"), "NULL");
    expect(in_list(true, "i1", "N", "i2"), "NULL");
    expect(in_list(true, "i1", "i3", "i2"), "t");
    expect(in_list(true, "i1", "i1", "N"), "f");
    expect(distinct(false, "i1", "N"), "t");
    expect(distinct(false, "N", "N"), "f");
    expect(distinct(false, "i1", "i1"), "f");
    expect(distinct(true, "N", "N"), "t");
    expect(distinct(true, "i1", "i2"), "f");
}

static void test_choices(void **state)
{
    expect(INTEGER_TREE(EXPRESSION_CASE, 3, leaf("n"), divide("i1", "i0"), leaf("i2")), "2");
    expect(INTEGER_TREE(EXPRESSION_CASE, 5, leaf("f"), leaf("i1"), leaf("t"), leaf("i2"),
                        divide("i1", "i0")),
           "2");
    expect(INTEGER_TREE(EXPRESSION_CASE, 2, leaf("f"), leaf("i1")), "NULL");
    expect(INTEGER_TREE(EXPRESSION_COALESCE, 3, leaf("N"), leaf("i4"), divide("i1", "i0")), "4");
    expect(INTEGER_TREE(EXPRESSION_COALESCE, 1, leaf("N")), "NULL");
    expect(INTEGER_TREE(EXPRESSION_GREATEST, 4, leaf("N"), leaf("i4"), leaf("i9"), leaf("i-1")),
           "9");
    expect(INTEGER_TREE(EXPRESSION_LEAST, 4, leaf("N"), leaf("i4"), leaf("i9"), leaf("i-1")), "-1");
    expect(INTEGER_TREE(EXPRESSION_LEAST, 1, leaf("N")), "NULL");
    expect(with_line(INTEGER_TREE(EXPRESSION_NULLIF, 2, leaf("i4"), leaf("i4")),
                     "integer '1' = integer '1'"),
           "NULL");
    expect(with_line(INTEGER_TREE(EXPRESSION_NULLIF, 2, leaf("i4"), leaf("N")),
                     "integer '1' = integer '1'"),
           "4");
    expect(divide("p", "i2"), "2");
}

static void test_folding(void **state)
{
    struct expression *folded = divide("i7", "i2");
    assert_int_equal(evaluate_constants(&folded, &arena, NULL), OMEN_OK);
    assert_int_equal(folded->kind, EXPRESSION_CONSTANT);
    assert_int_equal(folded->value.as.i32, 3);

    /* What fails stays, and so does what holds it; its neighbours fold. */
    folded = INTEGER_TREE(EXPRESSION_CASE, 3, failing(), divide("i9", "i3"), leaf("p"));
    assert_int_equal(evaluate_constants(&folded, &arena, NULL), OMEN_OK);
    assert_int_equal(folded->kind, EXPRESSION_CASE);
    assert_int_equal(folded->arguments[0]->kind, EXPRESSION_CALL);
    assert_int_equal(folded->arguments[1]->kind, EXPRESSION_CONSTANT);
    expect(folded, "!22012");

    /* A branch that is not taken does no harm. */
    folded = INTEGER_TREE(EXPRESSION_CASE, 3, leaf("f"), divide("i1", "i0"), leaf("i2"));
    assert_int_equal(evaluate_constants(&folded, &arena, NULL), OMEN_OK);
    assert_int_equal(folded->kind, EXPRESSION_CONSTANT);

    /* FALSE decides over a parameter. */
    struct expression *test = BOOLEAN_TREE(EXPRESSION_TEST, 1, leaf("p"));
    folded = BOOLEAN_TREE(EXPRESSION_AND, 2, test, leaf("f"));
    assert_int_equal(evaluate_constants(&folded, &arena, NULL), OMEN_OK);
    expect(folded, "f");
    assert_int_equal(folded->kind, EXPRESSION_CONSTANT);
    folded = BOOLEAN_TREE(EXPRESSION_OR, 2, test, leaf("f"));
    assert_int_equal(evaluate_constants(&folded, &arena, NULL), OMEN_OK);
    assert_int_equal(folded->kind, EXPRESSION_OR);
}

/* Memory that runs out is an error, whenever it does. */
static void test_no_memory(void **state)
{
    struct allocator small;
    struct arena empty;
    allocator_init(&small, 1);
    arena_init(&empty, &small);
    struct expression *folded = divide("i7", "i2");
    omen_error error;
    assert_int_equal(evaluate_constants(&folded, &empty, &error), OMEN_OUT_OF_MEMORY);
    assert_int_equal(error.status, OMEN_OUT_OF_MEMORY);
    arena_release(&empty);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_three_valued_logic),
        cmocka_unit_test(test_tests),
        cmocka_unit_test(test_comparisons_with_null),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_no_memory),
    };
    if (argc != 2)
        return 1;
    cases_path = argv[1];
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&arena);
    return failed;
}
