/* function_to_char_number.c - to_char of numbers: PostgreSQL's templates.
 *
 *   to_char(-1234.5, '9,999.99')    "-1,234.50"
 *
 * The digits of a template are places. Those before the point that the number doesn't fill are
 * blank, or 0 from the first 0 of the template on; a number of more digits shows as #. FM leaves
 * out blanks and the zeros at the end. The sign has a place of its own before the first digit
 * shown, or where S, MI, SG and PR put it; what is no pattern is copied where it stands. A place
 * behind all digits that there are ends what is shown. Templates with B, C, EEEE, L, RN, SP or V
 * are refused. Source: the table "Template Patterns for Numeric Formatting" of PostgreSQL's
 * documentation.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "sql/function_text.h"
#include "column/decimal.h"

enum { PLACES_MAX = 256, NUMBER_BYTES_MAX = 640, ITEM_BYTES_MAX = 4 };

enum number_pattern {
    PATTERN_DIGIT, /* 9 */
    PATTERN_ZERO,  /* 0 */
    PATTERN_COMMA, /* , and G */
    PATTERN_POINT, /* . and D */
    PATTERN_FILL,  /* FM */
    PATTERN_SIGN,  /* S */
    PATTERN_MINUS, /* MI */
    PATTERN_PLUS,  /* PL */
    PATTERN_BOTH,  /* SG */
    PATTERN_BRACKET,
    PATTERN_ORDINAL,
    PATTERN_REFUSED,
};

/* Longer words before their beginnings; letters in either case, but not mixed. */
static const struct word {
    const char *text;
    enum number_pattern pattern;
} words[] = {
    {"9", PATTERN_DIGIT},    {"0", PATTERN_ZERO},       {",", PATTERN_COMMA},
    {"G", PATTERN_COMMA},    {".", PATTERN_POINT},      {"D", PATTERN_POINT},
    {"FM", PATTERN_FILL},    {"MI", PATTERN_MINUS},     {"PL", PATTERN_PLUS},
    {"PR", PATTERN_BRACKET}, {"SG", PATTERN_BOTH},      {"SP", PATTERN_REFUSED},
    {"S", PATTERN_SIGN},     {"TH", PATTERN_ORDINAL},   {"B", PATTERN_REFUSED},
    {"C", PATTERN_REFUSED},  {"EEEE", PATTERN_REFUSED}, {"L", PATTERN_REFUSED},
    {"RN", PATTERN_REFUSED}, {"V", PATTERN_REFUSED},
};

/* A template as a whole. */
struct shape {
    int before, behind; /* places for digits before and behind the point */
    int first_zero;     /* place of the first 0 before the point; -1: none */
    int kept;           /* places up to the last 0 */
    bool point, tight;  /* tight: FM */
    bool sign, sign_last, minus, plus, bracket, ordinal;
    int before_sign; /* places before the S that stands before the point */
};

/* The number's digits as the template shows them, and how far that is done. */
struct showing {
    const struct shape *shape;
    const char *digits; /* "1234.50", without a sign */
    const char *next;   /* of `digits` */
    const char *last;   /* tight: the last that is shown, or the point; else NULL */
    bool negative;
    bool sign_shown;
    bool in_digits; /* the last place showed a digit */
    bool ended;     /* a place behind all digits: nothing more is shown */
    int empty;      /* places before the point that the number does not fill */
    int place;      /* the point has one too */
    uint8_t *at;
};

/* --- reading a template --- */

static bool starts_with(omen_bytes text, const char *word, bool lower)
{
    for (size_t i = 0; word[i] != '\0'; i++) {
        bool letter = word[i] >= 'A' && word[i] <= 'Z';
        if (i >= text.length ||
            text.data[i] != (uint8_t)(letter && lower ? word[i] - 'A' + 'a' : word[i]))
            return false;
    }
    return true;
}

/* The word at the beginning of the text, or NULL. */
static const struct word *find_word(omen_bytes text)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (starts_with(text, words[i].text, false) || starts_with(text, words[i].text, true))
            return &words[i];
    return NULL;
}

static void skip(omen_bytes *text, size_t count)
{
    text->data += count;
    text->length -= count;
}

/* Skips what is no pattern, and copies it where `at` is not NULL: one character, or what stands
 * between double quotes. */
static void copy_literal(omen_bytes *rest, uint8_t **at)
{
    bool quoted = rest->data[0] == '"';
    if (quoted || (rest->length > 1 && rest->data[0] == '\\' && rest->data[1] == '"'))
        skip(rest, 1);
    if (!quoted) {
        if (at != NULL)
            text_append(at, rest->data, 1);
        skip(rest, 1);
        return;
    }
    while (rest->length > 0 && rest->data[0] != '"') {
        if (rest->data[0] == '\\' && rest->length > 1)
            skip(rest, 1);
        if (at != NULL)
            text_append(at, rest->data, 1);
        skip(rest, 1);
    }
    if (rest->length > 0)
        skip(rest, 1);
}

static bool add_place(struct shape *shape, bool zero)
{
    if (zero && shape->first_zero < 0 && !shape->point)
        shape->first_zero = shape->before;
    if (shape->point)
        shape->behind++;
    else
        shape->before++;
    if (zero)
        shape->kept = shape->before + shape->behind;
    return !shape->bracket && shape->before + shape->behind <= PLACES_MAX;
}

/* False where the template is one that is refused. */
static bool add_pattern(struct shape *shape, enum number_pattern pattern)
{
    switch (pattern) {
    case PATTERN_ZERO:
    case PATTERN_DIGIT:
        return add_place(shape, pattern == PATTERN_ZERO);
    case PATTERN_POINT:
        if (shape->point)
            return false;
        shape->point = true;
        return true;
    case PATTERN_FILL:
        shape->tight = true;
        return true;
    case PATTERN_SIGN:
        if (shape->sign || shape->minus || shape->plus || shape->bracket)
            return false;
        shape->sign = true;
        shape->sign_last = shape->point;
        shape->before_sign = shape->before;
        return true;
    case PATTERN_MINUS:
    case PATTERN_PLUS:
    case PATTERN_BOTH:
        shape->minus |= pattern != PATTERN_PLUS;
        shape->plus |= pattern != PATTERN_MINUS;
        return !shape->sign && !shape->bracket;
    case PATTERN_BRACKET:
        shape->bracket = true;
        return !shape->sign && !shape->minus && !shape->plus;
    case PATTERN_ORDINAL:
        shape->ordinal = true;
        return true;
    case PATTERN_COMMA:
        return true;
    default:
        return false;
    }
}

static bool read_shape(omen_bytes text, struct shape *shape)
{
    *shape = (struct shape){.first_zero = -1};
    while (text.length > 0) {
        const struct word *word = find_word(text);
        if (word == NULL) {
            copy_literal(&text, NULL);
            continue;
        }
        if (!add_pattern(shape, word->pattern))
            return false;
        skip(&text, strlen(word->text));
    }
    if (shape->sign && shape->before_sign == shape->before)
        shape->sign_last = true;
    return shape->before > 0 || !shape->ordinal;
}

/* --- showing a number --- */

static void put(struct showing *showing, char letter)
{
    *showing->at++ = (uint8_t)letter;
}

/* A zero before the point that only stands for "no digits": 9.9 shows 0.1 as .1. */
static bool is_bare_zero(const struct showing *showing)
{
    return showing->shape->first_zero < 0 && showing->next == showing->digits &&
           *showing->next == '0' && showing->shape->behind > 0;
}

static bool only_whole(const struct showing *showing)
{
    return showing->last != NULL && *showing->last == '.';
}

/* The sign, before the first place that shows something. */
static void put_sign(struct showing *showing)
{
    const struct shape *shape = showing->shape;
    bool starts = showing->place >= showing->empty || shape->first_zero == showing->place;
    if (showing->sign_shown || !starts || (is_bare_zero(showing) && !only_whole(showing)))
        return;
    if (shape->sign && shape->sign_last)
        return; /* behind the last place */
    if (shape->sign)
        put(showing, showing->negative ? '-' : '+');
    else if (shape->bracket)
        put(showing, showing->negative ? '<' : ' ');
    else if (showing->negative)
        put(showing, '-');
    else if (!shape->tight)
        put(showing, ' ');
    showing->sign_shown = true;
}

static void put_digit(struct showing *showing, enum number_pattern pattern)
{
    const struct shape *shape = showing->shape;
    if (showing->last != NULL && showing->next > showing->last && pattern != PATTERN_ZERO)
        return;
    if (*showing->next == '\0') {
        showing->ended = true;
    } else if (*showing->next == '.') {
        put(showing, '.');
    } else if (!is_bare_zero(showing)) {
        put(showing, *showing->next);
        showing->in_digits = true;
    } else if (!shape->tight) {
        put(showing, ' ');
    } else if (only_whole(showing)) {
        put(showing, '0');
    }
}

static void put_place(struct showing *showing, enum number_pattern pattern)
{
    const struct shape *shape = showing->shape;
    showing->in_digits = false;
    put_sign(showing);
    if (showing->place >= showing->empty) {
        put_digit(showing, pattern);
        if (*showing->next != '\0')
            showing->next++;
    } else if (shape->first_zero >= 0 && showing->place >= shape->first_zero) {
        put(showing, '0');
        showing->in_digits = true;
    } else if (!shape->tight) {
        put(showing, ' ');
    }
    showing->place++;
    if (showing->ended || showing->place != shape->before + shape->behind + shape->point)
        return;
    if (shape->bracket && showing->sign_shown)
        put(showing, showing->negative ? '>' : ' ');
    else if (shape->sign && shape->sign_last)
        put(showing, showing->negative ? '-' : '+');
}

static void put_ordinal(struct showing *showing, bool upper)
{
    static const char *const endings[] = {"th", "st", "nd", "rd"};
    size_t length = strlen(showing->digits);
    if (showing->digits[0] == '#' || showing->negative || showing->shape->point)
        return;
    int last = showing->digits[length - 1] - '0';
    bool teen = length > 1 && showing->digits[length - 2] == '1';
    const char *ending = endings[teen || last > 3 ? 0 : last];
    put(showing, (char)(upper ? ending[0] - 'a' + 'A' : ending[0]));
    put(showing, (char)(upper ? ending[1] - 'a' + 'A' : ending[1]));
}

static void put_pattern(struct showing *showing, const struct word *word, bool upper)
{
    bool tight = showing->shape->tight;
    switch (word->pattern) {
    case PATTERN_DIGIT:
    case PATTERN_ZERO:
    case PATTERN_POINT:
        put_place(showing, word->pattern);
        break;
    case PATTERN_COMMA:
        if (showing->in_digits || !tight)
            put(showing, showing->in_digits ? ',' : ' ');
        break;
    case PATTERN_MINUS:
        if (showing->negative || !tight)
            put(showing, showing->negative ? '-' : ' ');
        break;
    case PATTERN_PLUS:
        if (!showing->negative || !tight)
            put(showing, showing->negative ? ' ' : '+');
        break;
    case PATTERN_BOTH:
        put(showing, showing->negative ? '-' : '+');
        break;
    case PATTERN_ORDINAL:
        put_ordinal(showing, upper);
        break;
    default:
        break;
    }
}

/* The last character that a tight template shows: digits behind the point go where they are zero,
 * but for those that a 0 of the template asks for. */
static const char *find_last(const struct showing *showing)
{
    const struct shape *shape = showing->shape;
    const char *point = strchr(showing->digits, '.');
    if (!shape->tight || !shape->point || point == NULL)
        return NULL;
    const char *end = showing->digits + strlen(showing->digits) - 1, *last = end;
    while (*last == '0')
        last--;
    if (shape->kept > showing->empty) {
        const char *kept = showing->digits + (shape->kept - showing->empty);
        if (kept > end)
            kept = end;
        if (last < kept)
            last = kept;
    }
    return last;
}

/* Writes the number, whose digits are those of its absolute value rounded to `shape->behind`. */
static omen_status show_number(const struct call_context *context, omen_bytes template,
                               struct shape *shape, char *digits, bool negative, omen_value *out,
                               omen_error *error)
{
    struct showing showing = {.shape = shape, .digits = digits, .next = digits};
    const char *point = strchr(digits, '.');
    int whole = (int)(point != NULL ? point - digits : (ptrdiff_t)strlen(digits));
    uint8_t *result;
    OMEN_TRY(
        text_reserve(context, (uint64_t) template.length * ITEM_BYTES_MAX + 8, &result, error));
    showing.at = result;
    showing.negative = negative;
    if (whole > shape->before) {
        memset(digits, '#', (size_t)(shape->before + shape->behind + 1));
        digits[shape->before] = '.';
        digits[shape->before + shape->behind + 1] = '\0';
    } else {
        showing.empty = shape->before - whole;
    }
    showing.last = find_last(&showing);
    if (shape->tight && !negative)
        shape->bracket = false;
    if (shape->minus)
        showing.sign_shown = true;
    else if (!shape->plus && !negative && shape->tight && !shape->sign)
        showing.sign_shown = true;
    while (template.length > 0 && !showing.ended) {
        const struct word *word = find_word(template);
        if (word == NULL) {
            copy_literal(&template, &showing.at);
            continue;
        }
        put_pattern(&showing, word, template.data[0] < 'a');
        skip(&template, strlen(word->text));
    }
    return give_bytes(context, result, (size_t)(showing.at - result), out);
}

/* --- the types --- */

static omen_status read_template(const omen_value *template, struct shape *shape, omen_error *error)
{
    if (!read_shape(template->as.bytes, shape))
        return error_set(error, OMEN_NOT_SUPPORTED, "this template of to_char is not supported");
    return OMEN_OK;
}

/* The digits of a number of `scale` digits behind the point, and zeros up to `behind`. */
static void write_digits(wide_integer unscaled, int scale, int behind, char *digits)
{
    wide_integer rest = unscaled < 0 ? -unscaled : unscaled;
    char reversed[DECIMAL_PRECISION_MAX + 2];
    int length = 0;
    for (; rest > 0 || length <= scale; rest /= 10)
        reversed[length++] = (char)('0' + (int)(rest % 10));
    while (length > 0) {
        *digits++ = reversed[--length];
        if (length == scale && behind > 0)
            *digits++ = '.';
    }
    for (; scale < behind; scale++)
        *digits++ = '0';
    *digits = '\0';
}

static omen_status show_exact(const struct call_context *context, wide_integer unscaled, int scale,
                              const omen_value *template, omen_value *out, omen_error *error)
{
    char digits[NUMBER_BYTES_MAX];
    struct shape shape;
    OMEN_TRY(read_template(template, &shape, error));
    if (scale > shape.behind) {
        decimal_to_scale(unscaled, scale, shape.behind, &unscaled); /* fewer digits always fit */
        scale = shape.behind;
    }
    write_digits(unscaled, scale, shape.behind, digits);
    return show_number(context, template->as.bytes, &shape, digits, unscaled < 0, out, error);
}

omen_status integer_to_char(FUNCTION_PARAMETERS)
{
    return show_exact(context, argument_integer(&arguments[0]), 0, &arguments[1], out, error);
}

omen_status decimal_to_char(FUNCTION_PARAMETERS)
{
    return show_exact(context, decimal_to_integer(arguments[0].as.decimal), arguments[0].type.scale,
                      &arguments[1], out, error);
}

/* No more digits are shown than the type holds. */
omen_status float_to_char(FUNCTION_PARAMETERS)
{
    char text[NUMBER_BYTES_MAX];
    double value = argument_double(&arguments[0]);
    int held = arguments[0].type.id == OMEN_TYPE_REAL ? FLT_DIG : DBL_DIG;
    struct shape shape;
    if (!isfinite(value))
        return error_set(error, OMEN_NOT_SUPPORTED, "to_char of infinity and NaN is not supported");
    OMEN_TRY(read_template(&arguments[1], &shape, error));
    int whole = snprintf(text, sizeof text, "%.0f", fabs(value));
    if (whole >= held)
        shape.behind = 0;
    else if (whole + shape.behind > held)
        shape.behind = held - whole;
    snprintf(text, sizeof text, "%.*f", shape.behind, value);
    bool negative = text[0] == '-';
    return show_number(context, arguments[1].as.bytes, &shape, text + negative, negative, out,
                       error);
}
