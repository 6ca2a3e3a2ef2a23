/* plan.h - one statement, understood: what it will do, bound to tables, columns and types.
 *
 *   text -> parse_statement -> bind_* -> plan -> one of the kinds below -> statement.c runs it
 *
 * A plan holds its tables and is right for one catalog version and one list of parameter types:
 * whoever runs it compares, and plans anew. It lives in its own arena. One thread at a time,
 * because running reuses its scratch members.
 */
#ifndef OMEN_QUERY_PLAN_H
#define OMEN_QUERY_PLAN_H

#include "base/arena.h"
#include "query/csv.h"
#include "query/file.h"
#include "query/point.h"
#include "query/query_plan.h"
#include "query/result.h"
#include "query/session.h"
#include "sql/bind.h"
#include "table/table.h"

enum plan_kind {
    PLAN_EMPTY, /* blanks and comments */
    PLAN_CREATE_TABLE,
    PLAN_CREATE_AS,
    PLAN_DROP_TABLE,
    PLAN_CHECKPOINT,
    PLAN_SET,  /* RESET too */
    PLAN_SHOW, /* DESCRIBE too */
    PLAN_TRANSACTION,
    PLAN_LOCK,
    PLAN_COPY, /* FROM a CSV file; from a Parquet file it is an INSERT */
    PLAN_COPY_TO,
    PLAN_QUERY,
    PLAN_INSERT,
    PLAN_UPDATE,
    PLAN_DELETE,
};

struct create_plan {
    const char *name;
    struct schema *schema; /* retained */
    bool missing_only;     /* IF NOT EXISTS */
    bool empty;            /* WITH NO DATA */
};

struct drop_plan {
    const char **names;
    size_t count;
    bool missing_ok;
};

enum transaction_verb {
    VERB_BEGIN,
    VERB_COMMIT,
    VERB_ROLLBACK,
    VERB_SAVEPOINT, /* and the next two: of a savepoint */
    VERB_RELEASE,
    VERB_ROLLBACK_TO,
    VERB_SET,          /* SET TRANSACTION */
    VERB_SET_DEFAULTS, /* SET SESSION CHARACTERISTICS */
};

struct transaction_plan {
    enum transaction_verb verb;
    struct transaction_modes modes;
    const char *name; /* of a savepoint */
    bool chain;
};

struct lock_plan {
    struct table **tables; /* retained */
    size_t count;
    enum lock_mode mode;
    bool nowait;
};

struct set_plan {
    const char *name;  /* NULL: RESET ALL */
    const char *value; /* NULL: the default */
    bool keep;         /* false: SET LOCAL, to the end of the transaction */
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
    bool is_parquet;
    struct csv_options csv;
    bool header, header_match;
    const char *null_text;
    size_t null_length;
    bool *force_quote; /* TO: per output, whether its values are quoted; NULL: where they need it */
    uint32_t *columns; /* of the fields, in file order */
    uint32_t column_count;
    struct expression **defaults; /* of all columns; NULL: one of the fields */
};

struct insert_plan {
    struct bound_insert bound;    /* its rows, or plan->rows for those of its query */
    struct expression **defaults; /* of all columns */
};

struct plan {
    struct session *session; /* borrowed: the statement holds it */
    struct arena arena;
    struct parsed parsed;
    struct file_request files; /* how the statement's files are opened */
    enum plan_kind kind;
    bool explain;
    const char *tag;                          /* PostgreSQL's command tag */
    uint64_t catalog_version, tables_version; /* of the transaction's own changes */
    struct binder binder;                     /* holds the tables */
    bool has_binder, uses_now;
    bool ends_transaction;     /* may run in a failed one */
    bool writes;               /* rows, tables, locks: not in a transaction that only reads */
    bool locks_rows;           /* QUERY: FOR UPDATE and its kin */
    bool reads_view;           /* which is right once: the next run plans again */
    omen_type *declared;       /* of parsed.parameter_count parameters, as the plan was made for */
    struct table *table;       /* retained: COPY, SHOW */
    struct point_query *point; /* QUERY of that shape; else NULL */
    struct write_set *kept;    /* INSERT, UPDATE, DELETE: empty, for the next run; or NULL */
    struct query_plan rows; /* QUERY, COPY_TO, INSERT from a query, CREATE_AS; UPDATE, DELETE: the
                             * rows to change */
    struct create_plan create; /* CREATE_TABLE, CREATE_AS */
    union {
        struct drop_plan drop;
        struct set_plan set;
        struct show_plan show;
        struct transaction_plan transaction;
        struct lock_plan lock;
        struct copy_plan copy;
        struct insert_plan insert;  /* CREATE_AS: of its rows, into a table that running makes */
        struct bound_change change; /* UPDATE, DELETE */
    };
};

/* Parses and binds one statement for parameters of the `declared` types (NONE: undeclared; fewer
 * than the statement has: the others are undeclared). The text is borrowed as long as the plan
 * lives. Errors: those of parse_statement and of binding; NOT_SUPPORTED; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status plan_create(struct session *session, const char *sql, size_t length,
                                        const omen_type *declared, uint32_t declared_count,
                                        struct plan **out, omen_error *error);
void plan_destroy(struct plan *plan); /* NULL does nothing */

/* The types that the parameters have in this plan. */
static inline const omen_type *plan_parameter_types(const struct plan *plan)
{
    return plan->binder.parameter_types;
}

/* --- between the files that make plans; `error` gets positions --- */

OMEN_MUST_CHECK omen_status plan_create_table(struct plan *plan, const PgQuery__CreateStmt *node,
                                              omen_error *error);
/* Makes the unique constraints of a new table, `uniques`, what they are to be, in `definition`,
 * whose other members and unique_count are there: redundant ones go, and those without names get
 * them, in the plan's arena. Errors: DUPLICATE_TABLE where a name is taken. */
OMEN_MUST_CHECK omen_status plan_settle_uniques(struct plan *plan, const char *table,
                                                struct schema_definition *definition,
                                                struct unique_definition *uniques,
                                                omen_error *error);
OMEN_MUST_CHECK omen_status plan_create_as(struct plan *plan,
                                           const PgQuery__CreateTableAsStmt *node,
                                           omen_error *error);
OMEN_MUST_CHECK omen_status plan_drop_table(struct plan *plan, const PgQuery__DropStmt *node,
                                            omen_error *error);
OMEN_MUST_CHECK omen_status plan_insert(struct plan *plan, const PgQuery__InsertStmt *node,
                                        omen_error *error);
OMEN_MUST_CHECK omen_status plan_update(struct plan *plan, const PgQuery__UpdateStmt *node,
                                        omen_error *error);
OMEN_MUST_CHECK omen_status plan_delete(struct plan *plan, const PgQuery__DeleteStmt *node,
                                        omen_error *error);
OMEN_MUST_CHECK omen_status plan_copy(struct plan *plan, const PgQuery__CopyStmt *node,
                                      omen_error *error);
OMEN_MUST_CHECK omen_status plan_set(struct plan *plan, const PgQuery__VariableSetStmt *node,
                                     omen_error *error);
OMEN_MUST_CHECK omen_status plan_transaction(struct plan *plan,
                                             const PgQuery__TransactionStmt *node,
                                             omen_error *error);
/* SET TRANSACTION and SET SESSION CHARACTERISTICS. */
OMEN_MUST_CHECK omen_status plan_set_transaction(struct plan *plan,
                                                 const PgQuery__VariableSetStmt *node,
                                                 omen_error *error);
OMEN_MUST_CHECK omen_status plan_lock(struct plan *plan, const PgQuery__LockStmt *node,
                                      omen_error *error);

/* Whether the statement may run in a transaction that has failed, because it ends that. */
bool plan_ends_transaction(const PgQuery__Node *node);

/* Makes of SUMMARIZE, which PostgreSQL's grammar lacks, the query that answers it: `*sql` of
 * `*length` bytes then, in the plan's arena. Another statement is left alone. Errors: those of what
 * is to be summarised; SYNTAX_ERROR. */
OMEN_MUST_CHECK omen_status plan_summarize(struct plan *plan, const char **sql, size_t *length,
                                           const omen_type *declared, uint32_t declared_count,
                                           omen_error *error);
OMEN_MUST_CHECK omen_status plan_show(struct plan *plan, const PgQuery__VariableShowStmt *node,
                                      omen_error *error);

/* Plans DESCRIBE t, DESC t and SHOW CREATE TABLE t; `*found` is false where the text is none. */
OMEN_MUST_CHECK omen_status plan_describe(struct plan *plan, const char *sql, size_t length,
                                          bool *found, omen_error *error);

/* Binds the query that the plan's rows come from, and decides how it is answered. */
OMEN_MUST_CHECK omen_status plan_bind_query(struct plan *plan, const PgQuery__SelectStmt *node,
                                            omen_error *error);

/* Whether a table can be made under this name, as far as grammar goes. Errors: NOT_SUPPORTED. */
OMEN_MUST_CHECK omen_status plan_check_new_name(const PgQuery__RangeVar *name, omen_error *error);

/* Looks up the table a RangeVar names and keeps it in plan->table. */
OMEN_MUST_CHECK omen_status plan_find_table(struct plan *plan, const PgQuery__RangeVar *name,
                                            omen_error *error);

/* The defaults of all columns of a table but those that are `given` (may be NULL), whose place is
 * NULL. Errors: NOT_SUPPORTED for one that the core cannot compute; those of binding. */
OMEN_MUST_CHECK omen_status plan_defaults(struct plan *plan, const struct table *table,
                                          const bool *given, struct expression ***out,
                                          omen_error *error);

/* Sets NOT_SUPPORTED with the message `what is not supported`. */
omen_status plan_refuse(omen_error *error, const char *what);

/* Whether a schema qualifier means the one schema there is. */
bool plan_is_public(const PgQuery__RangeVar *name);

/* --- running, each in the file of its plan --- */

OMEN_MUST_CHECK omen_status insert_run(struct plan *plan, struct run *run, uint64_t *rows,
                                       omen_error *error);
/* Its rows alone, into `set` of plan->insert.bound.table. */
OMEN_MUST_CHECK omen_status insert_gather(struct plan *plan, struct run *run, struct write_set *set,
                                          omen_error *error);
OMEN_MUST_CHECK omen_status create_as_run(struct plan *plan, struct run *run, uint64_t *rows,
                                          omen_error *error);
OMEN_MUST_CHECK omen_status change_run(struct plan *plan, struct run *run, uint64_t *rows,
                                       omen_error *error);
OMEN_MUST_CHECK omen_status copy_run(struct plan *plan, struct run *run, uint64_t *rows,
                                     omen_error *error);
OMEN_MUST_CHECK omen_status copy_to_run(struct plan *plan, struct run *run, uint64_t *rows,
                                        omen_error *error);
OMEN_MUST_CHECK omen_status ddl_run(struct plan *plan, struct run *run, omen_error *error);
OMEN_MUST_CHECK omen_status set_run(struct plan *plan, omen_error *error);
OMEN_MUST_CHECK omen_status transaction_run(struct plan *plan, struct run *run, omen_error *error);
OMEN_MUST_CHECK omen_status lock_run(struct plan *plan, struct run *run, omen_error *error);

/* The rows of a SHOW or an EXPLAIN, in the run's arena. */
OMEN_MUST_CHECK omen_status show_run(struct plan *plan, struct arena *scratch,
                                     struct value_rows *rows, omen_error *error);
OMEN_MUST_CHECK omen_status explain_run(struct plan *plan, struct run *run, struct value_rows *rows,
                                        omen_error *error);

#endif
