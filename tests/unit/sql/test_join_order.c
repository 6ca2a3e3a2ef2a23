/* test_join_order.c - which order joins get, and the conditions that go with it.
 *
 *   test_sql_join_order                   the tests
 *   test_sql_join_order "SELECT ..." ...  prints what becomes of queries over the tables below
 *
 * Tables are small copies of TPC-H's: region (5 rows), nation (25), supplier (100), customer (600),
 * part (400), stock (1,600: four suppliers a part), orders (3,000), item (12,000), and none (empty).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "query_print.h"
#include "sql/condition_order.h"
#include "sql/decorrelate.h"
#include "sql/join_order.h"
#include "sql/simplify.h"
#include "store/database.h"

enum { COLUMNS_MAX = 6, PRINTED_MAX = 4096 };

/* Row i has (i / divisor) % modulus in a column, as a number or as text. */
struct made_column {
    const char *name;
    bool text;
    int32_t divisor, modulus;
};

struct made_table {
    const char *name;
    int32_t row_count;
    uint32_t key_count; /* the first columns */
    struct made_column columns[COLUMNS_MAX];
};

static const struct made_table tables[] = {
    {"region", 5, 1, {{"r_id", false, 1, 5}, {"r_name", true, 1, 5}}},
    {"nation", 25, 1, {{"n_id", false, 1, 25}, {"n_region", false, 1, 5}, {"n_name", true, 1, 25}}},
    {"supplier", 100, 1, {{"s_id", false, 1, 100}, {"s_nation", false, 1, 25}}},
    {"customer", 600, 1, {{"c_id", false, 1, 600}, {"c_nation", false, 1, 25}}},
    {"part", 400, 1, {{"p_id", false, 1, 400}, {"p_brand", false, 1, 40}, {"p_name", true, 1, 100}}},
    {"stock", 1600, 2, {{"k_part", false, 4, 400}, {"k_supplier", false, 1, 100}, {"k_cost", false, 1, 50}}},
    {"orders", 3000, 1, {{"o_id", false, 1, 3000}, {"o_customer", false, 1, 600}, {"o_day", false, 1, 100}}},
    {"item", 12000, 2, {{"i_order", false, 4, 3000}, {"i_line", false, 1, 4}, {"i_part", false, 3, 400},
                        {"i_supplier", false, 7, 100}, {"i_count", false, 1, 50}}},
    {"none", 0, 1, {{"z_id", false, 1, 1}, {"z_nation", false, 1, 1}}},
};

static struct database *database;

static void fill_table(const struct made_table *made, uint32_t column_count)
{
    struct table *table;
    struct write_set *set;
    assert_int_equal(catalog_find(database->catalog, made->name, strlen(made->name), &table, NULL), OMEN_OK);
    assert_int_equal(write_set_create(table, &set), OMEN_OK);
    for (int32_t row = 0; row < made->row_count; row++) {
        omen_value values[COLUMNS_MAX];
        char texts[COLUMNS_MAX][16];
        for (uint32_t i = 0; i < column_count; i++) {
            const struct made_column *column = &made->columns[i];
            int32_t number = row / column->divisor % column->modulus;
            values[i] = (omen_value){.type = {.id = OMEN_TYPE_INTEGER}, .as.i32 = number};
            if (!column->text)
                continue;
            int length = snprintf(texts[i], sizeof texts[i], "name%d", number);
            values[i] = (omen_value){.type = {.id = OMEN_TYPE_TEXT},
                                     .as.bytes = {(const uint8_t *)texts[i], (size_t)length}};
        }
        assert_int_equal(write_set_insert(set, values, NULL), OMEN_OK);
    }
    assert_int_equal(write_set_commit(set, false, NULL), OMEN_OK);
    write_set_destroy(set);
    table_release(table);
}

static int open_database(void **state)
{
    static const uint32_t key[] = {0, 1};
    const struct database_options options = {0};
    if (database_open(&os_real, &options, &database, NULL) != OMEN_OK)
        return 1;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct column_definition columns[COLUMNS_MAX];
        struct schema *schema;
        uint32_t count = 0;
        for (; count < COLUMNS_MAX && tables[i].columns[count].name != NULL; count++)
            columns[count] = (struct column_definition){
                .name = tables[i].columns[count].name,
                .type = {.id = tables[i].columns[count].text ? OMEN_TYPE_TEXT : OMEN_TYPE_INTEGER},
                .nullable = true};
        assert_int_equal(schema_create(database->allocator, columns, count, key, tables[i].key_count, &schema, NULL),
                         OMEN_OK);
        assert_int_equal(catalog_add(database->catalog, tables[i].name, schema, NULL), OMEN_OK);
        schema_release(schema);
        fill_table(&tables[i], count);
    }
    return 0;
}

static int close_database(void **state)
{
    return database_close(database, NULL) == OMEN_OK ? 0 : 1;
}

/* Writes the query as it is handed to the engine. */
static void order_of(const char *sql, uint32_t limit, char *out)
{
    struct arena arena;
    struct parsed parsed;
    struct binder binder;
    struct query *query;
    bool ordered;
    arena_init(&arena, database->allocator);
    assert_int_equal(parse_statement(sql, strlen(sql), &arena, &parsed, NULL), OMEN_OK);
    assert_int_equal(binder_init(&binder, &arena, database->catalog, &parsed, NULL, 0, NULL), OMEN_OK);
    assert_int_equal(bind_query(&binder, NULL, parsed.statement->select_stmt, &query, NULL), OMEN_OK);
    binder_finish(&binder);
    query_order_conditions(query, &arena);
    assert_int_equal(simplify_query(query, &arena, NULL), OMEN_OK);
    assert_int_equal(decorrelate_query(&binder, query, NULL), OMEN_OK);
    assert_int_equal(join_order_query(&binder, query, limit, &ordered, NULL), OMEN_OK);
    FILE *file = fmemopen(out, PRINTED_MAX, "w");
    query_print(file, query);
    fclose(file);
    binder_release(&binder);
    arena_release(&arena);
}

static const struct {
    const char *sql, *expected;
} cases[] = {
    /* the smallest first, along the chain */
    {"SELECT 1 FROM item, orders, customer WHERE i_order = o_id AND o_customer = c_id AND c_id = 7",
     "select 1 from customer customer, orders orders, item item where and(=(customer.c_id, 7), =(item.i_order, "
     "orders.o_id), =(orders.o_customer, customer.c_id))"},
    /* TPC-H 7: an OR says something of each nation */
    {"SELECT 1 FROM supplier, item, orders, customer, nation n1, nation n2 WHERE s_id = i_supplier AND o_id = "
     "i_order AND c_id = o_customer AND s_nation = n1.n_id AND c_nation = n2.n_id AND ((n1.n_name = 'name1' AND "
     "n2.n_name = 'name2') OR (n1.n_name = 'name2' AND n2.n_name = 'name1'))",
     "select 1 from nation n2, customer customer, orders orders, item item, supplier supplier, nation n1 where "
     "and(=(supplier.s_id, item.i_supplier), =(orders.o_id, item.i_order), =(customer.c_id, orders.o_customer), "
     "=(supplier.s_nation, n1.n_id), =(customer.c_nation, n2.n_id), or(and(=(n1.n_name, 'name1'), =(n2.n_name, "
     "'name2')), and(=(n1.n_name, 'name2'), =(n2.n_name, 'name1'))))"},
    /* TPC-H 5: equal columns are one class */
    {"SELECT 1 FROM customer, orders, item, supplier, nation, region WHERE c_id = o_customer AND i_order = o_id "
     "AND i_supplier = s_id AND c_nation = s_nation AND s_nation = n_id AND n_region = r_id AND r_name = 'name3' "
     "AND o_day = 5",
     "select 1 from orders orders, customer customer, nation nation, region region, item item, supplier supplier "
     "where and(=(region.r_name, 'name3'), =(orders.o_day, 5), =(customer.c_id, orders.o_customer), "
     "=(item.i_order, orders.o_id), =(item.i_supplier, supplier.s_id), =(customer.c_nation, supplier.s_nation), "
     "=(nation.n_region, region.r_id), =(customer.c_nation, nation.n_id))"},
    /* TPC-H 18: a list of different values is joined like a table */
    {"SELECT o_id FROM customer, orders, item WHERE o_id IN (SELECT i_order FROM item GROUP BY i_order HAVING "
     "sum(i_count) > 150) AND c_id = o_customer AND o_id = i_order",
     "select orders.o_id from (select item.i_order from item item group item.i_order having >(sum(item.i_count), "
     "150)) list, orders orders, customer customer, item item where and(=(orders.o_id, list.i_order), "
     "=(customer.c_id, orders.o_customer), =(orders.o_id, item.i_order))"},
    /* TPC-H 9: a key of two columns */
    {"SELECT 1 FROM part, stock, item, supplier WHERE s_id = i_supplier AND k_supplier = i_supplier AND k_part = "
     "i_part AND p_id = i_part AND p_name LIKE '%7'",
     "select 1 from part part, stock stock, supplier supplier, item item where and(~~(part.p_name, '%7'), "
     "=(supplier.s_id, item.i_supplier), =(stock.k_part, item.i_part), =(part.p_id, stock.k_part), "
     "=(stock.k_supplier, supplier.s_id))"},
    /* inner joins beside an outer one; the WHERE above it counts too */
    {"SELECT 1 FROM item JOIN orders ON i_order = o_id JOIN customer ON o_customer = c_id AND c_nation < 3 LEFT "
     "JOIN nation ON n_id = c_nation WHERE c_id = 7",
     "select 1 from (((customer customer inner orders orders on and(<(customer.c_nation, 3), =(orders.o_customer, "
     "customer.c_id))) inner item item on =(item.i_order, orders.o_id)) left nation nation on =(nation.n_id, "
     "customer.c_nation)) where =(customer.c_id, 7)"},
    /* an outer join is one leaf, with an order of its own */
    {"SELECT 1 FROM region, (item JOIN orders ON i_order = o_id LEFT JOIN part ON p_id = i_part), customer WHERE "
     "c_id = o_customer AND r_id = c_nation AND r_name = 'name1'",
     "select 1 from region region, customer customer, ((item item inner orders orders on =(item.i_order, "
     "orders.o_id)) left part part on =(part.p_id, item.i_part)) where and(=(region.r_name, 'name1'), "
     "=(customer.c_id, orders.o_customer), =(region.r_id, customer.c_nation))"},
    /* what can fail on rows of several tables keeps its place */
    {"SELECT 1 FROM item, orders, customer WHERE i_order = o_id AND o_customer = c_id AND 10 / (c_id - i_part) > "
     "2 AND c_id = 7",
     "select 1 from item item, orders orders, customer customer where and(=(customer.c_id, 7), =(item.i_order, "
     "orders.o_id), =(orders.o_customer, customer.c_id), >(/(10, -(customer.c_id, item.i_part)), 2))"},
    /* what can fail on one table's rows does not matter */
    {"SELECT 1 FROM item, orders, customer WHERE i_order = o_id AND o_customer = c_id AND 10 / (c_id - 3) > 2",
     "select 1 from customer customer, orders orders, item item where and(>(/(10, -(customer.c_id, 3)), 2), "
     "=(item.i_order, orders.o_id), =(orders.o_customer, customer.c_id))"},
    /* volatile */
    {"SELECT 1 FROM item, orders, customer WHERE i_order = o_id AND o_customer = c_id AND random() > 2",
     "select 1 from item item, orders orders, customer customer where and(>(random(), 2), =(item.i_order, "
     "orders.o_id), =(orders.o_customer, customer.c_id))"},
    /* LATERAL */
    {"SELECT 1 FROM item JOIN orders ON i_order = o_id, LATERAL (SELECT 1 FROM part WHERE p_id = i_part) x, "
     "customer WHERE o_customer = c_id AND c_id = 7",
     "select 1 from (item item inner orders orders on =(item.i_order, orders.o_id)), lateral (select 1 from part "
     "part where =(part.p_id, ^item.i_part)) x, customer customer where and(=(customer.c_id, 7), "
     "=(orders.o_customer, customer.c_id))"},
    /* TPC-H 17: only the groups that are asked for */
    {"SELECT 1 FROM item, part WHERE p_id = i_part AND p_brand = 3 AND i_count < (SELECT avg(i_count) FROM item "
     "i2 WHERE i2.i_part = p_id)",
     "select 1 from item item, part part where and(=(part.p_brand, 3), =(part.p_id, item.i_part), "
     "<(cast<numeric(10,0)>(item.i_count), scalar(select avg(i2.i_count) from item i2 where and(=(i2.i_part, "
     "^part.p_id), any = i2.i_part(select part.p_id from part part where =(part.p_brand, 3))) group )))"},
    /* too many are */
    {"SELECT 1 FROM item, part WHERE p_id = i_part AND p_brand < 30 AND i_count < (SELECT avg(i_count) FROM item "
     "i2 WHERE i2.i_part = p_id)",
     "select 1 from item item, part part where and(<(part.p_brand, 30), =(part.p_id, item.i_part), "
     "<(cast<numeric(10,0)>(item.i_count), scalar(select avg(i2.i_count) from item i2 where =(i2.i_part, "
     "^part.p_id) group )))"},
    /* TPC-H 20: the list that is there already */
    {"SELECT 1 FROM stock WHERE k_part IN (SELECT p_id FROM part WHERE p_name LIKE '%7') AND k_cost > (SELECT "
     "sum(i_count) FROM item WHERE i_part = k_part AND i_supplier = k_supplier)",
     "select 1 from stock stock where and(any = stock.k_part(select part.p_id from part part where "
     "~~(part.p_name, '%7')), >(cast<bigint>(stock.k_cost), scalar(select sum(item.i_count) from item item where "
     "and(=(item.i_part, ^stock.k_part), =(item.i_supplier, ^stock.k_supplier), any = item.i_part(select "
     "part.p_id from part part where ~~(part.p_name, '%7'))) group )))"},
    /* an empty table */
    {"SELECT 1 FROM item, orders, none WHERE i_order = o_id AND o_id = z_id",
     "select 1 from none none, orders orders, item item where and(=(item.i_order, orders.o_id), =(orders.o_id, "
     "none.z_id))"},
    /* an equality of expressions ties as well */
    {"SELECT 1 FROM item, orders, customer WHERE i_order = o_id AND o_customer + 0.0 = c_id AND c_id = 7",
     "select 1 from item item, orders orders, customer customer where and(=(customer.c_id, 7), =(item.i_order, "
     "orders.o_id), =(+(cast<numeric(10,0)>(orders.o_customer), 0.0), cast<numeric(10,0)>(customer.c_id)))"},
    /* tied through another table: a new equality */
    {"SELECT 1 FROM item a JOIN item b ON a.i_order = b.i_order JOIN orders ON b.i_order = o_id WHERE o_id = 3",
     "select 1 from orders orders, item a, item b where and(=(orders.o_id, 3), =(a.i_order, b.i_order), "
     "=(orders.o_id, a.i_order))"},
    /* a query in a condition */
    {"SELECT 1 FROM nation WHERE EXISTS (SELECT 1 FROM item, orders, customer WHERE i_order = o_id AND o_customer "
     "= c_id AND c_nation = n_id AND c_id = 7)",
     "select 1 from nation nation where exists(select 1 from customer customer, orders orders, item item where "
     "and(=(customer.c_nation, ^nation.n_id), =(customer.c_id, 7), =(item.i_order, orders.o_id), "
     "=(orders.o_customer, customer.c_id)))"},
};

static void test_orders(void **state)
{
    int failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static char printed[PRINTED_MAX];
        order_of(cases[i].sql, JOIN_LIMIT_DEFAULT, printed);
        if (strcmp(printed, cases[i].expected) != 0) {
            print_error("%s\n  expected %s\n  got      %s\n", cases[i].sql, cases[i].expected, printed);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

/* The limit is of the items of one FROM; 1 and 2 leave all as written. */
static void test_limit(void **state)
{
    static const char sql[] = "SELECT 1 FROM item, orders, customer WHERE i_order = o_id AND o_customer = c_id AND c_id = 7";
    static char as_written[PRINTED_MAX], limited[PRINTED_MAX], ordered[PRINTED_MAX];
    order_of(sql, 1, as_written);
    order_of(sql, 2, limited);
    assert_string_equal(limited, as_written);
    order_of(sql, 3, ordered);
    assert_string_not_equal(ordered, as_written);
    assert_non_null(strstr(as_written, "from item item, orders orders, customer customer"));
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_orders), cmocka_unit_test(test_limit)};
    if (count == 1)
        return cmocka_run_group_tests(tests, open_database, close_database);
    static char printed[PRINTED_MAX];
    open_database(NULL);
    for (int i = 1; i < count; i++) {
        order_of(arguments[i], JOIN_LIMIT_DEFAULT, printed);
        printf("%s\n", printed);
    }
    return close_database(NULL);
}
