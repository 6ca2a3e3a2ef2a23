/* workload_sql.c - the statements of the workload, and running them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

enum { TEXT_BYTES = 512 };

struct form_text {
    const char *sql;
    unsigned arguments;
    bool text, engine;
};

static const struct form_text forms[FORMS] = {
    [LIST_BY_KEY] = {"SELECT id, v FROM lists WHERE id = $1", 1, false, false},
    [LIST_BY_ENGINE] = {"SELECT id, v FROM lists WHERE id + 0 = $1", 1, false, true},
    [LISTS_BETWEEN] = {"SELECT id, v FROM lists WHERE id BETWEEN $1 AND $2", 2, false, true},
    [LISTS_ALL] = {"SELECT id, v FROM lists", 0, false, true},
    [REGISTER_BY_KEY] = {"SELECT id, v, version FROM registers WHERE id = $1", 1, false, false},
    [REGISTER_BY_ENGINE] = {"SELECT id, v, version FROM registers WHERE id + 0 = $1", 1, false, true},
    [REGISTERS_BETWEEN] = {"SELECT id, v, version FROM registers WHERE id BETWEEN $1 AND $2", 2, false, true},
    [REGISTERS_ALL] = {"SELECT id, v, version FROM registers", 0, false, true},
    [JOINED] = {"SELECT l.id, l.v, r.v, r.version FROM lists l JOIN registers r ON r.id = l.id "
                "WHERE l.id BETWEEN $1 AND $2", 2, false, true},
    [REGISTERS_SUMMED] = {"SELECT count(*), CAST(coalesce(sum(version), 0) AS BIGINT), coalesce(max(v), 0) "
                          "FROM registers WHERE id BETWEEN $1 AND $2", 2, false, true},
    [LISTS_COUNTED] = {"SELECT count(*), coalesce(min(id), 0), coalesce(max(id), 0) FROM lists", 0, false, true},
    [LISTS_COUNTED_BY_SCAN] = {"SELECT count(*), coalesce(min(id), 0), coalesce(max(id), 0) FROM lists "
                               "WHERE id + 0 >= 0", 0, false, true},
    [LIST_APPEND] = {"UPDATE lists SET v = v || $t WHERE id = $1", 1, true, false},
    [LIST_APPEND_BY_ENGINE] = {"UPDATE lists SET v = v || $t WHERE id + 0 = $1", 1, true, true},
    [LISTS_APPEND_BETWEEN] = {"UPDATE lists SET v = v || ',' || CAST(id + $3 AS TEXT) "
                              "WHERE id BETWEEN $1 AND $2", 3, false, true},
    [LIST_INSERT] = {"INSERT INTO lists VALUES ($1, $t)", 1, true, false},
    [LISTS_INSERT_TWO] = {"INSERT INTO lists VALUES ($1, ''), ($2, '')", 2, false, false},
    [REGISTER_SET] = {"UPDATE registers SET v = $2, version = version + 1 WHERE id = $1", 2, false, false},
    [REGISTER_SET_BY_ENGINE] = {"UPDATE registers SET v = $2, version = version + 1 WHERE id + 0 = $1", 2,
                                false, true},
    [REGISTER_INSERT] = {"INSERT INTO registers VALUES ($1, $2, $3)", 3, false, false},
    [REGISTER_INSERT_NUMBERED] = {"INSERT INTO registers VALUES ($1, $2, $3, $2)", 3, false, false},
    [REGISTER_DELETE] = {"DELETE FROM registers WHERE id = $1", 1, false, false},
    [LISTS_DIVIDE] = {"UPDATE lists SET v = v || CAST(1 / (id - $2) AS TEXT) WHERE id BETWEEN $1 AND $2", 2,
                      false, true},
    [LIST_LOCK] = {"SELECT id, v FROM lists WHERE id = $1 FOR UPDATE", 1, false, false},
    [LIST_SHARE] = {"SELECT id, v FROM lists WHERE id = $1 FOR SHARE", 1, false, false},
    [LIST_NO_KEY_UPDATE] = {"SELECT id, v FROM lists WHERE id = $1 FOR NO KEY UPDATE", 1, false, false},
    [LIST_NOWAIT] = {"SELECT id, v FROM lists WHERE id = $1 FOR UPDATE NOWAIT", 1, false, false},
    [LIST_KEY_SHARE] = {"SELECT id, v FROM lists WHERE id = $1 FOR KEY SHARE", 1, false, false},
    [LIST_SKIP] = {"SELECT id, v FROM lists WHERE id = $1 FOR UPDATE SKIP LOCKED", 1, false, false},
    [EVENT_INSERT] = {"INSERT INTO events VALUES ($1)", 1, false, false},
    [EVENTS_COUNTED] = {"SELECT count(*) FROM events", 0, false, true}, /* alone: known without reading */
    [EVENTS_COUNTED_BY_SCAN] = {"SELECT count(*) FROM events WHERE id + 0 >= 0", 0, false, true},
    [BEGIN_RC] = {"BEGIN ISOLATION LEVEL READ COMMITTED", 0, false, false},
    [BEGIN_RR] = {"BEGIN ISOLATION LEVEL REPEATABLE READ", 0, false, false},
    [COMMIT] = {"COMMIT", 0, false, false},
    [ROLLBACK] = {"ROLLBACK", 0, false, false},
    [SAVEPOINT] = {"SAVEPOINT s", 0, false, false},
    [ROLLBACK_TO] = {"ROLLBACK TO SAVEPOINT s", 0, false, false},
    [RELEASE] = {"RELEASE SAVEPOINT s", 0, false, false},
};

/* The statement's text with its arguments in it, or with parameters in their stead. */
static void write_text(const struct form_text *form, const int64_t *arguments, const char *text,
                       char out[static TEXT_BYTES])
{
    size_t at = 0;
    for (const char *from = form->sql; *from != '\0'; from++) {
        if (*from != '$') {
            out[at++] = *from;
            continue;
        }
        from++;
        bool is_text = *from == 't';
        unsigned number = is_text ? form->arguments : (unsigned)(*from - '1');
        int length = arguments == NULL ? snprintf(out + at, TEXT_BYTES - at, is_text ? "CAST($%u AS TEXT)"
                                                      : "CAST($%u AS BIGINT)", number + 1)
                     : is_text         ? snprintf(out + at, TEXT_BYTES - at, "'%s'", text)
                                       : snprintf(out + at, TEXT_BYTES - at, "%" PRId64, arguments[number]);
        at += (size_t)length;
    }
    out[at] = '\0';
}

static omen_status run_text(struct workload_client *client, const struct form_text *form,
                            const int64_t *arguments, const char *text, omen_statement **out)
{
    static const int64_t none[1];
    char sql[TEXT_BYTES];
    write_text(form, arguments == NULL ? none : arguments, text, sql);
    omen_status status =
        omen_prepare(client->connection, sql, SIZE_MAX, &client->passing, &client->error);
    if (status != OMEN_OK)
        return status;
    *out = client->passing;
    return omen_execute(client->passing, NULL, 0, &client->error);
}

static omen_status run_prepared(struct workload_client *client, enum form number,
                                const int64_t *arguments, const char *text, omen_statement **out)
{
    const struct form_text *form = &forms[number];
    omen_value values[ARGUMENTS_MAX];
    if (client->prepared[number] == NULL) {
        char sql[TEXT_BYTES];
        write_text(form, NULL, NULL, sql);
        omen_status status =
            omen_prepare(client->connection, sql, SIZE_MAX, &client->prepared[number], &client->error);
        if (status != OMEN_OK)
            return status;
    }
    for (unsigned i = 0; i < form->arguments; i++)
        values[i] = (omen_value){.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = arguments[i]};
    if (form->text) {
        values[form->arguments] = (omen_value){.type = {.id = OMEN_TYPE_TEXT}};
        values[form->arguments].as.bytes = (omen_bytes){(const uint8_t *)text, strlen(text)};
    }
    *out = client->prepared[number];
    return omen_execute(*out, values, form->arguments + form->text, &client->error);
}

omen_status workload_run(struct workload_client *client, enum form form, const int64_t *arguments,
                         const char *text, omen_statement **out)
{
    omen_statement_release(client->passing);
    client->passing = NULL;
    *out = NULL;
    if (form == REGISTER_INSERT && client->shared->options.unique)
        form = REGISTER_INSERT_NUMBERED;
    client->form = form;
    client->text = text != NULL ? text : "";
    for (unsigned i = 0; i < forms[form].arguments; i++)
        client->arguments[i] = arguments[i];
    atomic_fetch_add_explicit(&client->shared->statements, 1, memory_order_relaxed);
    if (forms[form].engine)
        atomic_fetch_add_explicit(&client->shared->engine_statements, 1, memory_order_relaxed);
    if (random_below(&client->random, client->shared->options.literal_one_in) == 0)
        return run_text(client, &forms[form], arguments, text, out);
    return run_prepared(client, form, arguments, text, out);
}
