/* bind.h - from parse trees to bound ones: names, types and casts by PostgreSQL's rules.
 *
 * One binder a statement. Everything it makes lives in its arena; the tables it finds are retained
 * in `tables` until binder_release. Errors carry the position of what they speak of.
 * One thread.
 */
#ifndef OMEN_SQL_BIND_H
#define OMEN_SQL_BIND_H

#include "sql/parse.h"
#include "sql/query_tree.h"
#include "store/catalog.h"

enum {
    BIND_DEPTH_MAX = 400, /* levels of nesting, expressions and queries together; 54001 */
    /* Steps that a statement may take, and more for each of its bytes; 54001. A step binds one
     * node, copies one, or looks at BIND_LOOKS_A_STEP names. */
    BIND_STEPS_MAX = 1 << 21,
    BIND_STEPS_A_BYTE = 4,
    BIND_LOOKS_A_STEP = 32,
    BIND_RELATIONS_MAX = 5000, /* FROM items of a statement; 54001 */
};

/* A file as binding sees it. */
struct bound_file {
    struct table_file *file;    /* a reference */
    struct table *table;        /* a reference: an empty table with the file's columns and name */
    const char *const *refused; /* per column: see relation_column; lives as long as `file` */
};

/* Who opens the files that a statement names. */
struct file_opener {
    /* Errors: INSUFFICIENT_PRIVILEGE where no files may be read; FILE_NOT_FOUND; BAD_COPY_FORMAT,
     * CORRUPTED for what is no such file; IO_ERROR, NOT_SUPPORTED, ... */
    omen_status (*open)(void *context, const char *path, struct bound_file *out, omen_error *error);
    void (*release)(struct table_file *file);
    void *context;
};

struct binder {
    struct arena *arena;
    struct catalog *catalog;
    const struct catalog_changes
        *changes;                       /* of the session to it, or NULL. Set after binder_init */
    const PgQuery__SelectStmt *locking; /* whose rows may be locked; NULL: of none. Likewise */
    struct file_opener opener;          /* `open` NULL: none may be named. Set after binder_init */
    const struct parsed *parsed;

    /* Parameters' types: declared ones are given; UNKNOWN takes the type it first meets. A DECIMAL
     * found that way has the other operand's digits: a value that needs more must not be rounded
     * to it; bind again with the value's own type declared. */
    omen_type *parameter_types;
    uint32_t parameter_count;
    struct expression **untyped; /* per parameter: its node while it has no type yet, or NULL */

    struct table **tables; /* retained, grown in the arena */
    uint32_t table_count, table_capacity;
    struct table_file **files; /* likewise */
    uint32_t file_count, file_capacity;
    uint32_t relation_count, cte_count; /* numbers given out */
    uint32_t depth;
    uint64_t steps; /* taken so far */
    bool has_volatile;
    bool uses_now; /* a STABLE function: its value is fixed per run */
};

/* `declared` (may be NULL): parameter_count types, UNKNOWN where undeclared. Errors:
 * OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status binder_init(struct binder *binder, struct arena *arena,
                                        struct catalog *catalog, const struct parsed *parsed,
                                        const omen_type *declared, uint32_t declared_count,
                                        omen_error *error);
/* Lets the tables go. */
void binder_release(struct binder *binder);
/* Parameters that met no type become TEXT. Called last. */
void binder_finish(struct binder *binder);

/* --- scopes: which names an expression may use (bind_scope.c) --- */

/* A column visible by name: of a relation, or merged by USING. */
struct scope_column {
    const char *name;
    struct relation *relation; /* NULL: merged */
    uint32_t column;
    struct expression *merged; /* COALESCE(left, right) or one side */
    bool unqualified;          /* reachable without a qualifier: not hidden by a USING */
};

struct scope {
    struct scope *outer; /* the query around, NULL at the top */
    struct relation **relations;
    uint32_t relation_count;
    struct relation **hidden; /* entries of the FROM that may not be named here: for messages */
    uint32_t hidden_count;
    struct scope_column *columns; /* in the order of SELECT * */
    uint32_t column_count;
    struct cte **ctes; /* visible here, innermost last */
    uint32_t cte_count;

    /* What stands where: aggregates and windows are allowed, or an error naming the clause. */
    const char *clause; /* "WHERE", "JOIN conditions", "VALUES", ... */
    bool allows_aggregates, allows_windows;
    bool found_aggregate, found_window;
    bool in_window;          /* within a window function's: no windows there */
    PgQuery__Node **windows; /* WINDOW w AS (...): WindowDef nodes */
    uint32_t window_count;
};

/* --- expressions (bind_expression.c and its kin) --- */

/* Binds one expression; its type may be UNKNOWN (an untyped literal or parameter). Errors:
 * UNDEFINED_COLUMN, AMBIGUOUS_COLUMN, UNDEFINED_TABLE (a qualifier), UNDEFINED_FUNCTION,
 * TYPE_MISMATCH, GROUPING_ERROR (an aggregate where none may be), NOT_SUPPORTED, ... */
OMEN_MUST_CHECK omen_status bind_expression(struct binder *binder, struct scope *scope,
                                            const PgQuery__Node *node, struct expression **out,
                                            omen_error *error);

/* The same, and BOOLEAN: "argument of WHERE must be type boolean, not type integer". */
OMEN_MUST_CHECK omen_status bind_condition(struct binder *binder, struct scope *scope,
                                           const PgQuery__Node *node, struct expression **out,
                                           omen_error *error);

/* As bind_expression, for one that will be cast to `type`: a number that becomes REAL or DOUBLE
 * PRECISION is left as a literal for it to read, whatever its digits. */
OMEN_MUST_CHECK omen_status bind_expression_for(struct binder *binder, struct scope *scope,
                                                const PgQuery__Node *node, omen_type type,
                                                struct expression **out, omen_error *error);

/* Makes an expression one of `type`: constants and parameters are read as it, others get a cast.
 * Errors: TYPE_MISMATCH where the context has no such cast (`what` NULL), those of reading an
 * UNKNOWN constant. With ASSIGNMENT `column` names the column in the error. */
OMEN_MUST_CHECK omen_status bind_coerce(struct binder *binder, struct expression *expression,
                                        omen_type type, enum cast_context context,
                                        const char *column, struct expression **out,
                                        omen_error *error);

/* UNKNOWN becomes TEXT: an output column's type. */
OMEN_MUST_CHECK omen_status bind_settle(struct binder *binder, struct expression *expression,
                                        struct expression **out, omen_error *error);

/* Brings expressions to their common type (semantics_common_type), in place. */
OMEN_MUST_CHECK omen_status bind_unify(struct binder *binder, struct expression **expressions,
                                       uint32_t count, const char *what, omen_type *type,
                                       omen_error *error);

/* Calls the operator `name` (left NULL: prefix), operands cast as it needs. */
OMEN_MUST_CHECK omen_status bind_operator(struct binder *binder, const char *name,
                                          struct expression *left, struct expression *right,
                                          int location, struct expression **out, omen_error *error);

/* --- comparisons in a column's own type (bind_narrow.c) --- */

enum narrow_result {
    NARROW_EXACT,       /* the comparison with the value given says the same */
    NARROW_NEVER_EQUAL, /* no value of the column's type equals it */
    NARROW_NOT,         /* compare as it is written */
};

/* What a comparison of CAST(column AS value's type) with this value is in the column's own type.
 * `equality`: it is =, <>, IN or DISTINCT FROM. Text of the result is borrowed or in `arena`. */
enum narrow_result bind_narrow_value(const omen_value *value, omen_type column, bool equality,
                                     struct arena *arena, omen_value *out);

/* Puts comparisons and IN lists of a column with constants into the column's type, wherever that
 * says the same (for VARCHAR columns the line stays TEXT's). For what reads rows, not groups: GROUP
 * BY CAST(a) has no a. Parts are replaced, not changed. */
void bind_narrow(struct expression **expression, struct arena *arena);

/* The name PostgreSQL gives an unnamed output: the column, the function, "case", "?column?". */
const char *bind_output_name(const PgQuery__Node *node);

/* --- queries (bind_query.c, bind_from.c, bind_group.c) --- */

/* Binds a SELECT, VALUES or set operation. `outer`: the scope around a subquery, else NULL.
 * UNKNOWN outputs are TEXT in the end. Errors: as bind_expression; SYNTAX_ERROR for a wrong number
 * of columns; GROUPING_ERROR; NOT_SUPPORTED for row locks, INTO and the like. */
OMEN_MUST_CHECK omen_status bind_query(struct binder *binder, struct scope *outer,
                                       const PgQuery__SelectStmt *node, struct query **out,
                                       omen_error *error);

/* --- writing (bind_write.c) --- */

/* INSERT: one expression per column of the table where rows are constant; else a query. */
struct bound_insert {
    struct table *table;
    uint32_t *columns; /* what the rows' values are for; others get their default */
    uint32_t column_count;
    struct expression ***rows; /* row_count rows of column_count; NULL cell: DEFAULT */
    uint32_t row_count;
    struct query *query; /* INSERT ... SELECT: outputs already of the columns' types */
};

/* UPDATE and DELETE: relation 0 of the FROM is the target, with row ids. */
struct bound_change {
    struct table *table;
    struct relation *target;
    uint32_t *columns;          /* UPDATE: what is set */
    struct expression **values; /* of the columns' types; NULL: DEFAULT */
    uint32_t column_count;      /* DELETE: 0 */
    struct expression *where;   /* NULL: all rows */
    /* The rows to change: a SELECT of the row id and the values, for the engine. */
    struct query *query;
};

OMEN_MUST_CHECK omen_status bind_insert(struct binder *binder, const PgQuery__InsertStmt *node,
                                        struct bound_insert *out, omen_error *error);
OMEN_MUST_CHECK omen_status bind_update(struct binder *binder, const PgQuery__UpdateStmt *node,
                                        struct bound_change *out, omen_error *error);
OMEN_MUST_CHECK omen_status bind_delete(struct binder *binder, const PgQuery__DeleteStmt *node,
                                        struct bound_change *out, omen_error *error);

/* A DEFAULT clause's expression, without columns or parameters, of the column's type. */
OMEN_MUST_CHECK omen_status bind_default(struct binder *binder, const PgQuery__Node *node,
                                         omen_type type, const char *column,
                                         struct expression **out, omen_error *error);

/* What a column gets that nothing is given for: its default, or NULL. */
OMEN_MUST_CHECK omen_status bind_column_default(struct binder *binder,
                                                const struct column_definition *column,
                                                struct expression **out, omen_error *error);

#endif
