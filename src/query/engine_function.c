/* engine_function.c - the core's functions, called by an engine. None is offered yet. */
#include <string.h>

#include "query/engine_host.h"

static omen_status no_function(const char *signature, size_t signature_length, omen_error *error)
{
    return error_set(error, OMEN_INTERNAL, "the core has no function \"%.*s\"",
                     (int)signature_length, signature);
}

omen_status engine_function_call(const char *signature, size_t signature_length,
                                 const struct ArrowSchema *argument_schema,
                                 const struct ArrowArray *arguments, uint64_t row_count,
                                 struct ArrowArray *out, omen_error *error)
{
    (void)argument_schema;
    (void)arguments;
    (void)row_count;
    memset(out, 0, sizeof *out);
    return no_function(signature, signature_length, error);
}

omen_status engine_function_result(const char *signature, size_t signature_length,
                                   struct ArrowSchema *out, omen_error *error)
{
    memset(out, 0, sizeof *out);
    return no_function(signature, signature_length, error);
}
