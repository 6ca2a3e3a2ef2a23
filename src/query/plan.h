/* plan.h - one statement, understood: what it will do, bound to tables and columns.
 *
 *   text -> parse_statement -> plan_create -> one of the kinds below -> statement.c runs it
 *
 * A plan holds references to its tables and is right for one catalog version: whoever runs it
 * compares and plans anew. It lives in its own arena. One thread at a time, because running
 * reuses its scratch members.
 */
#ifndef OMEN_QUERY_PLAN_H
#define OMEN_QUERY_PLAN_H

#include "base/arena.h"
#include "sql/cast.h"
#include "query/csv.h"
#include "sql/parse.h"
#include "query/result.h"
#include "query/session.h"
#include "table/table.h"

enum plan_kind {
    PLAN_EMPTY, /* blanks and comments */
    PLAN_CREATE_TABLE,
    PLAN_DROP_TABLE,
    PLAN_INSERT,
    PLAN_COPY,
    PLAN_SET,    /* RESET too */
    PLAN_SHOW,   /* DESCRIBE too */
    PLAN_POINT,  /* SELECT columns WHERE the whole key = constants: by the index */
    PLAN_ENGINE, /* every other query */
};

struct create_plan {
    const char *name;
    struct schema *schema; /* retained */
    bool missing_only;     /* IF NOT EXISTS */
};

struct drop_plan {
    const char **names;
    size_t count;
    bool missing_ok;
};

/* A cell of an INSERT that a parameter fills. */
struct insert_parameter {
    uint32_t row, column;
    struct constant constant;
};

struct insert_plan {
    uint32_t row_count, column_count;
    omen_value *values; /* row-major, in the table's order; NULL where parameters go */
    struct insert_parameter *parameters; /* by row */
    uint32_t parameter_count;
    omen_value *row; /* scratch: one row */
};

struct set_plan {
    const char *name;  /* NULL: RESET ALL */
    const char *value; /* NULL: the default */
    bool keep;         /* false: SET LOCAL, which outside a transaction has no effect */
};

enum show_kind {
    SHOW_SETTING,
    SHOW_ALL,
    SHOW_TABLES,
    SHOW_DESCRIPTION, /* of plan->table */
    SHOW_CREATE,
};

struct show_plan {
    enum show_kind kind;
    const char *name; /* SETTING */
};

struct copy_plan {
    const char *path;
    struct csv_options csv;
    bool header;
    const char *null_text;
    size_t null_length;
    uint32_t *columns; /* of the fields, in file order */
    uint32_t column_count;
};

/* `key column = constant` */
struct key_conjunct {
    uint32_t key_position;
    omen_type type; /* the column's */
    bool fixed;     /* `value` holds; else `constant` is a parameter */
    omen_value value;
    struct constant constant;
};

struct point_plan {
    struct key_conjunct *conjuncts; /* every key column has at least one */
    uint32_t conjunct_count;
    bool never;      /* a fixed conjunct matches no row */
    omen_value *key; /* scratch: the key's values */
    bool *key_set;   /* scratch */
    uint32_t *columns;
    const char **names;
    uint32_t column_count;
};

struct plan {
    struct session *session; /* borrowed: the statement holds it */
    struct arena arena;
    struct parsed parsed; /* text and parameters; the tree is gone with its arena */
    enum plan_kind kind;
    bool explain;
    const char *tag;         /* PostgreSQL's command tag */
    const char *reason;      /* why this route, for EXPLAIN */
    const char *engine_text; /* the query for the engine: without EXPLAIN */
    size_t engine_length;
    uint64_t catalog_version;
    struct table *table; /* retained: INSERT, COPY, POINT */
    union {
        struct create_plan create;
        struct drop_plan drop;
        struct insert_plan insert;
        struct copy_plan copy;
        struct set_plan set;
        struct show_plan show;
        struct point_plan point;
    };
};

/* Parses and binds one statement. Errors: those of parse_statement; UNDEFINED_TABLE,
 * UNDEFINED_COLUMN and the like; NOT_SUPPORTED; those of constants; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status plan_create(struct session *session, const char *sql, size_t length,
                                        struct plan **out, omen_error *error);
void plan_destroy(struct plan *plan); /* NULL does nothing */

/* --- between the files that make plans; `error` gets positions --- */

OMEN_MUST_CHECK omen_status plan_create_table(struct plan *plan, const PgQuery__CreateStmt *node,
                                              omen_error *error);
OMEN_MUST_CHECK omen_status plan_drop_table(struct plan *plan, const PgQuery__DropStmt *node,
                                            omen_error *error);
OMEN_MUST_CHECK omen_status plan_insert(struct plan *plan, const PgQuery__InsertStmt *node,
                                        omen_error *error);
OMEN_MUST_CHECK omen_status plan_copy(struct plan *plan, const PgQuery__CopyStmt *node,
                                      omen_error *error);
OMEN_MUST_CHECK omen_status plan_set(struct plan *plan, const PgQuery__VariableSetStmt *node,
                                     omen_error *error);
OMEN_MUST_CHECK omen_status plan_show(struct plan *plan, const PgQuery__VariableShowStmt *node,
                                      omen_error *error);
OMEN_MUST_CHECK omen_status plan_select(struct plan *plan, const PgQuery__SelectStmt *node,
                                        omen_error *error);

/* Plans DESCRIBE t, DESC t and SHOW CREATE TABLE t; `*found` is false where the text is none. */
OMEN_MUST_CHECK omen_status plan_describe(struct plan *plan, const char *sql, size_t length,
                                          bool *found, omen_error *error);

/* Looks up the table a RangeVar names and keeps it in plan->table. */
OMEN_MUST_CHECK omen_status plan_find_table(struct plan *plan, const PgQuery__RangeVar *name,
                                            omen_error *error);

/* The positions of the columns a list names (String or ResTarget nodes); an empty list: all.
 * Errors: UNDEFINED_COLUMN, DUPLICATE_COLUMN, NOT_SUPPORTED. */
OMEN_MUST_CHECK omen_status plan_columns(struct plan *plan, PgQuery__Node **nodes, size_t count,
                                         uint32_t **columns, uint32_t *column_count,
                                         omen_error *error);

/* Sets NOT_SUPPORTED with the message `what is not supported`. */
omen_status plan_refuse(omen_error *error, const char *what);

/* Whether a schema qualifier means the one schema there is. */
bool plan_is_public(const PgQuery__RangeVar *name);

/* --- running, each in the file of its plan --- */

OMEN_MUST_CHECK omen_status insert_run(struct plan *plan, const omen_value *parameters,
                                       struct arena *scratch, uint64_t *rows, omen_error *error);
OMEN_MUST_CHECK omen_status copy_run(struct plan *plan, uint64_t *rows, omen_error *error);
OMEN_MUST_CHECK omen_status ddl_run(struct plan *plan, omen_error *error);
OMEN_MUST_CHECK omen_status set_run(struct plan *plan, omen_error *error);

/* The rows of a SHOW, in `scratch`. */
OMEN_MUST_CHECK omen_status show_run(struct plan *plan, struct arena *scratch,
                                     struct value_rows *rows, omen_error *error);

/* Finds the row; row->group = NULL where there is none. `*elsewhere` is set, and nothing done,
 * where a parameter's type makes it a question for the engine. */
OMEN_MUST_CHECK omen_status point_run(struct plan *plan, const omen_value *parameters,
                                      struct arena *scratch, struct row_ref *row, bool *elsewhere,
                                      omen_error *error);

#endif
