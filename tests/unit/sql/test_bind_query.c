/* test_bind_query.c - statements to bound trees: names, types, casts, and PostgreSQL's errors.
 *
 * What is expected was compared with PostgreSQL 15: outputs' names and types, SQLSTATE, position
 * and message. The tree behind "=" is ours, as query_print writes it.
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
#include "store/database.h"

struct example {
    const char *sql;
    const char *expected; /* "name:type|... = tree", or "SQLSTATE at position: message" */
};

static const struct example targets_examples[] = {
    {"select 1 as x, 'a', null, 2.5, true",
     "x:integer|?column?:text|?column?:text|?column?:numeric(2,1)|?column?:boolean = select 1, "
     "'a', null, 2.5, t"},
    {"select * from t", "id:integer|a:integer|b:bigint|n:numeric(10,2)|s:text|ok:boolean = select "
                        "t.id, t.a, t.b, t.n, t.s, t.ok from t t"},
    {"select t.* from u x, t where x.id = t.id",
     "id:integer|a:integer|b:bigint|n:numeric(10,2)|s:text|ok:boolean = select t.id, t.a, t.b, "
     "t.n, t.s, t.ok from u x, t t where =(x.id, t.id)"},
    {"select a + 1, count(*), (select 1), case when ok then 1 end from t group by id",
     "?column?:integer|count:bigint|?column?:integer|case:integer = select +(t.a, 1), count(*), "
     "scalar(select 1), case(t.ok, 1) from t t group t.id, t.a, t.ok"},
    {"select t.* from t a", "42P01 at 8: invalid reference to FROM-clause entry for table \"t\""},
    {"select *", "42601 at 8: SELECT * with no tables specified is not valid"},
    {"select nosuch from t", "42703 at 8: column \"nosuch\" does not exist"},
    {"select t.nosuch from t", "42703 at 8: column t.nosuch does not exist"},
    {"select from t", "0A000 at 0: a query without outputs is not supported"},
    {"select t from t", "0A000 at 8: using the whole row of \"t\" as a value is not supported"},
};

static const struct example from_examples[] = {
    {"select x.a from t x where x.id = 5", "a:integer = select x.a from t x where =(x.id, 5)"},
    {"select x.p, b from t as x (p, q)", "p:integer|b:bigint = select x.p, x.b from t x"},
    {"select 1 from t as x (a, b, c, d, e, f)", "?column?:integer = select 1 from t x"},
    {"select * from nosuch", "42P01 at 15: relation \"nosuch\" does not exist"},
    {"select id from public.t", "id:integer = select t.id from t t"},
    {"select id from other.t", "42P01 at 16: relation \"other.t\" does not exist"},
    {"select * from t, t", "42712 at 0: table name \"t\" specified more than once"},
    {"select id from t, u", "42702 at 8: column reference \"id\" is ambiguous"},
    {"select * from (select a, b from t) as x (c)",
     "c:integer|b:bigint = select x.c, x.b from (select t.a, t.b from t t) x"},
    {"select * from (select a, b from t)", "42601 at 15: subquery in FROM must have an alias"},
    {"select * from (values (1, 'a'), (2.5, null)) as v (x, y)",
     "x:numeric(11,1)|y:text = select v.x, v.y from (values (1.0, 'a'), (2.5, null)) v"},
    {"select * from (values (1), (2))", "42601 at 15: VALUES in FROM must have an alias"},
    {"select x.c from t, lateral (select t.a as c) x",
     "c:integer = select x.c from t t, lateral (select ^t.a) x"},
    {"select x.c, y.d from t, lateral (select 1 as c) x, lateral (select (select x.c + t.a) as d) "
     "y",
     "c:integer|d:integer = select x.c, y.d from t t, (select 1) x, lateral (select scalar(select "
     "+(^^x.c, ^^t.a))) y"},
    {"select * from t, (select t.a) x",
     "42P01 at 26: invalid reference to FROM-clause entry for table \"t\""},
    {"select * from generate_series(1, 1 + 2) g",
     "g:integer = select g.g from generate_series(1, 3) g"},
    {"select x from generate_series(1::bigint, 10, 2) as g (x)",
     "x:bigint = select g.x from generate_series(1, 10, 2) g"},
    {"select * from generate_series('1', '3')",
     "42725 at 15: function generate_series(unknown, unknown) is not unique"},
    {"select * from nosuch(1)", "42883 at 15: function nosuch(integer) does not exist"},
    {"select * from t tablesample system (10)", "0A000 at 29: TABLESAMPLE is not supported"},
    {"select (select max(u.t_id) from u where u.t_id = t.id and u.a = (select t.b)) from t",
     "max:integer = select scalar(select max(u.t_id) from u u where and(=(u.t_id, ^t.id), =(u.a, "
     "scalar(select ^^t.b))) group ) from t t"},
};

static const struct example joins_examples[] = {
    {"select t.id from t join u on t.id = u.t_id left join w on w.k1 = u.id",
     "id:integer = select t.id from ((t t inner u u on =(t.id, u.t_id)) left w w on =(w.k1, "
     "u.id))"},
    {"select 1 from t join u on t.id",
     "42804 at 27: argument of JOIN/ON must be type boolean, not type integer"},
    {"select 1 from t, u join w on t.id = w.k1",
     "42P01 at 30: invalid reference to FROM-clause entry for table \"t\""},
    {"select 1 from t join u on count(*) > 1",
     "42803 at 27: aggregate functions are not allowed in JOIN conditions"},
    {"select id, t.id, u.id, u.a from t join u using (id)",
     "id:integer|id:integer|id:integer|a:bigint = select t.id, t.id, u.id, u.a from (t t inner u u "
     "on =(t.id, u.id))"},
    {"select id from t left join u using (id)",
     "id:integer = select t.id from (t t left u u on =(t.id, u.id))"},
    {"select id from t right join u using (id)",
     "id:integer = select u.id from (t t right u u on =(t.id, u.id))"},
    {"select id from t full join u using (id)",
     "id:integer = select coalesce(t.id, u.id) from (t t full u u on =(t.id, u.id))"},
    {"select a from t full join u using (a)", "a:bigint = select coalesce(cast<bigint>(t.a), u.a) "
                                              "from (t t full u u on =(cast<bigint>(t.a), u.a))"},
    {"select * from u join (select id, a as k1 from t) x using (id) natural join w",
     "k1:integer|id:integer|t_id:integer|a:bigint|s:text|k2:integer|x:real = select x.k1, u.id, "
     "u.t_id, u.a, u.s, w.k2, w.x from ((u u inner (select t.id, t.a from t t) x on =(u.id, x.id)) "
     "inner w w on =(x.k1, w.k1))"},
    {"select * from t natural join w",
     "id:integer|a:integer|b:bigint|n:numeric(10,2)|s:text|ok:boolean|k1:integer|k2:integer|x:real "
     "= select t.id, t.a, t.b, t.n, t.s, t.ok, w.k1, w.k2, w.x from (t t cross w w)"},
    {"select 1 from t join u using (nosuch)",
     "42703 at 0: column \"nosuch\" specified in USING clause does not exist in left table"},
    {"select 1 from t join u using (t_id)",
     "42703 at 0: column \"t_id\" specified in USING clause does not exist in left table"},
    {"select 1 from t join u using (id, id)",
     "42701 at 0: column name \"id\" appears more than once in USING clause"},
    {"select 1 from t join u on true join w x using (a)",
     "42702 at 0: common column name \"a\" appears more than once in left table"},
    {"select 1 from t join u using (id) join u x using (a)",
     "42702 at 0: common column name \"a\" appears more than once in left table"},
    {"select 1 from t join (select ok as id from t) x using (id)",
     "42804 at 0: JOIN/USING types integer and boolean cannot be matched"},
    {"select j.a, j.k1 from (t join w on t.id = w.k1) as j",
     "a:integer|k1:integer = select j.a, j.k1 from (select t.id, t.a, t.b, t.n, t.s, t.ok, w.k1, "
     "w.k2, w.x from (t t inner w w on =(t.id, w.k1))) j"},
    {"select t.a from (t join w on t.id = w.k1) as j",
     "42P01 at 8: missing FROM-clause entry for table \"t\""},
    {"select 1 from t cross join (u cross join w)",
     "?column?:integer = select 1 from (t t cross (u u cross w w))"},
};

static const struct example groups_examples[] = {
    {"select a, count(*) from t group by a having count(*) > 1 order by max(b)",
     "a:integer|count:bigint = select t.a, count(*) from t t group t.a having >(count(*), 1) order "
     "max(t.b)"},
    {"select a + 1 from t group by a + 1",
     "?column?:integer = select +(t.a, 1) from t t group +(t.a, 1)"},
    {"select a + 2 from t group by a + 1", "42803 at 8: column \"t.a\" must appear in the GROUP BY "
                                           "clause or be used in an aggregate function"},
    {"select a, b from t group by a", "42803 at 11: column \"t.b\" must appear in the GROUP BY "
                                      "clause or be used in an aggregate function"},
    {"select id, s, a from t group by id",
     "id:integer|s:text|a:integer = select t.id, t.s, t.a from t t group t.id, t.s, t.a"},
    {"select k1, x from w group by k1", "42803 at 12: column \"w.x\" must appear in the GROUP BY "
                                        "clause or be used in an aggregate function"},
    {"select k1, x from w group by k2, k1",
     "k1:integer|x:real = select w.k1, w.x from w w group w.k2, w.k1, w.x"},
    {"select k1, x from w group by rollup (k1, k2)",
     "42803 at 12: column \"w.x\" must appear in the GROUP BY clause or be used in an aggregate "
     "function"},
    {"select x, k1 from w group by grouping sets ((k1, k2), (k2, k1))",
     "x:real|k1:integer = select w.x, w.k1 from w w group w.k1, w.k2, w.x sets {1 2 3}{2 1 3}"},
    {"select a as x, count(*) from t group by x",
     "x:integer|count:bigint = select t.a, count(*) from t t group t.a"},
    {"select a as b from t group by b", "42803 at 8: column \"t.a\" must appear in the GROUP BY "
                                        "clause or be used in an aggregate function"},
    {"select a + 1, count(*) from t group by 1",
     "?column?:integer|count:bigint = select +(t.a, 1), count(*) from t t group +(t.a, 1)"},
    {"select a, count(*) from t group by 2",
     "42803 at 11: aggregate functions are not allowed in GROUP BY"},
    {"select a from t group by 3", "42P10 at 26: GROUP BY position 3 is not in select list"},
    {"select a from t group by 'x'", "42601 at 26: non-integer constant in GROUP BY"},
    {"select a, b, count(*) from t group by rollup (a, b)",
     "a:integer|b:bigint|count:bigint = select t.a, t.b, count(*) from t t group t.a, t.b sets {1 "
     "2}{1}{}"},
    {"select a, b, count(*) from t group by cube (a, b)",
     "a:integer|b:bigint|count:bigint = select t.a, t.b, count(*) from t t group t.a, t.b sets {1 "
     "2}{2}{1}{}"},
    {"select a, b, count(*) from t group by a, grouping sets ((b), (), (s, b))",
     "a:integer|b:bigint|count:bigint = select t.a, t.b, count(*) from t t group t.a, t.b, t.s "
     "sets {1 2}{1}{1 3 2}"},
    {"select a, b from t group by (a, b)",
     "a:integer|b:bigint = select t.a, t.b from t t group t.a, t.b"},
    {"select 1, 1 from t group by rollup (1)",
     "0A000 at 8: a constant in ROLLUP, CUBE or GROUPING SETS is not supported"},
    {"select 1 from t group by ()", "?column?:integer = select 1 from t t group "},
    {"select a from t having true", "42803 at 8: column \"t.a\" must appear in the GROUP BY clause "
                                    "or be used in an aggregate function"},
    {"select count(*) from t order by a", "42803 at 33: column \"t.a\" must appear in the GROUP BY "
                                          "clause or be used in an aggregate function"},
    {"select a, (select count(*) from u where u.a = t.b) from t group by a",
     "42803 at 47: subquery uses ungrouped column \"t.b\" from outer query"},
    {"select a, (select count(*) from u where u.a = t.a) from t group by a",
     "a:integer|count:bigint = select t.a, scalar(select count(*) from u u where =(u.a, "
     "cast<bigint>(^t.a)) group ) from t t group t.a"},
    {"select a from t group by count(*)",
     "42803 at 26: aggregate functions are not allowed in GROUP BY"},
    {"select a from t group by row_number() over ()",
     "42P20 at 26: window functions are not allowed in GROUP BY"},
    {"select a, sum(count(*)) over (order by a) from t group by a",
     "a:integer|sum:numeric(38,0) = select t.a, sum(count(*)) over (order t.a) from t t group t.a"},
    {"select a, sum(count(*)) over (partition by b) from t group by a",
     "42803 at 44: column \"t.b\" must appear in the GROUP BY clause or be used in an aggregate "
     "function"},
    {"select a from t where sum(a) > 1",
     "42803 at 23: aggregate functions are not allowed in WHERE"},
    {"select a from t group by cube (id, a, b, s, ok, id + 1, id + 2, id + 3, id + 4, id + 5, id + "
     "6, id + 7, id + 8)",
     "54011 at 26: CUBE is limited to 12 elements"},
    {"select a from t group by cube (id, a, b, s, ok, id + 1, id + 2), cube (id, a, b, s, ok, id + "
     "1, id + 2)",
     "54001 at 0: too many grouping sets present (maximum 4096)"},
};

static const struct example order_examples[] = {
    {"select a as b, b as x from t order by b",
     "b:integer|x:bigint = select t.a, t.b from t t order #1"},
    {"select a as x from t order by x + 1", "42703 at 31: column \"x\" does not exist"},
    {"select a as x from t order by a desc, 1, b nulls first",
     "x:integer = select t.a from t t order #1 desc nulls first, t.b nulls first"},
    {"select a from t order by 2", "42P10 at 26: ORDER BY position 2 is not in select list"},
    {"select a from t order by 'x'", "42601 at 26: non-integer constant in ORDER BY"},
    {"select a as x, b as x from t order by x", "42702 at 39: ORDER BY \"x\" is ambiguous"},
    {"select a as x, a as x from t order by x",
     "x:integer|x:integer = select t.a, t.a from t t order #1"},
    {"select a from t order by a using <", "0A000 at 34: ORDER BY USING is not supported"},
    {"select distinct a + 1 from t order by a + 1",
     "?column?:integer = select distinct +(t.a, 1) from t t order #1"},
    {"select distinct a from t order by b + 1",
     "42P10 at 35: for SELECT DISTINCT, ORDER BY expressions must appear in select list"},
    {"select distinct on (a) a, b from t order by a desc, b",
     "a:integer|b:bigint = select distinct on (t.a) t.a, t.b from t t order #1 desc nulls first, "
     "#2"},
    {"select distinct on (a) a, b from t order by b, a",
     "42P10 at 21: SELECT DISTINCT ON expressions must match initial ORDER BY expressions"},
    {"select distinct on (a, b) a from t order by b",
     "a:integer = select distinct on (t.a, t.b) t.a from t t order t.b"},
    {"select distinct on (2) a from t",
     "42P10 at 21: DISTINCT ON position 2 is not in select list"},
    {"select a from t limit 2.5 offset '3'", "a:integer = select t.a from t t limit 3 offset 3"},
    {"select a from t limit null", "a:integer = select t.a from t t"},
    {"select a from t limit all offset 1 + 1", "a:integer = select t.a from t t offset 2"},
    {"select a from t limit 1 - 2", "2201W at 0: LIMIT must not be negative"},
    {"select a from t offset -1", "2201X at 0: OFFSET must not be negative"},
    {"select a from t limit a", "42P10 at 23: argument of LIMIT must not contain variables"},
    {"select a from t limit true",
     "42804 at 23: argument of LIMIT must be type bigint, not type boolean"},
    {"select a from t limit (select 1)",
     "0A000 at 23: a subquery in LIMIT or OFFSET is not supported"},
    {"select a from t limit $1", "a:integer = select t.a from t t limit $1"},
    {"select a from t fetch first row only", "a:integer = select t.a from t t limit 1"},
    {"select a from t order by 1 fetch first row with ties",
     "0A000 at 0: WITH TIES is not supported"},
    {"select rank() over w from t window w as (partition by a order by b), v as (order by a)",
     "rank:bigint = select rank() over (partition t.a order t.b) from t t"},
    {"select a from t window w as (order by nosuch)",
     "42703 at 39: column \"nosuch\" does not exist"},
    {"select a from t window v as (w order by a), w as (partition by b)",
     "42704 at 29: window \"w\" does not exist"},
    {"select sum(a) over (order by b rows between 1 following and 1 preceding) from t",
     "42P20 at 61: frame starting from following row cannot have preceding rows"},
    {"select rank() over w from t window w as (order by a), w as (order by b)",
     "42P20 at 60: window \"w\" is already defined"},
};

static const struct example sets_examples[] = {
    {"select a as x from t union select b from t",
     "x:bigint = (select cast<bigint>(t.a) from t t) union (select t.b from t t)"},
    {"select a from t union all select n from t",
     "a:numeric(12,2) = (select cast<numeric(12,2)>(t.a) from t t) union all (select "
     "cast<numeric(12,2)>(t.n) from t t)"},
    {"select 1 union select '2'", "?column?:integer = (select 1) union (select 2)"},
    {"select 1 union select 'x'", "22P02 at 23: invalid input syntax for type integer: \"x\""},
    {"select null union select null union select 1",
     "42804 at 44: UNION types text and integer cannot be matched"},
    {"select null union (select null union select 1)",
     "?column?:integer = (select null) union ((select null) union (select 1))"},
    {"select a from t union select s from t",
     "42804 at 30: UNION types integer and text cannot be matched"},
    {"select a from t union select a, b from t",
     "42601 at 30: each UNION query must have the same number of columns"},
    {"select a from t intersect select a, b from t",
     "42601 at 34: each INTERSECT query must have the same number of columns"},
    {"select a from t except all (select id from u order by 1 limit 1)",
     "a:integer = (select t.a from t t) except all (select u.id from u u order #1 limit 1)"},
    {"select a from t intersect select id from u union select t_id from u",
     "a:integer = ((select t.a from t t) intersect (select u.id from u u)) union (select u.t_id "
     "from u u)"},
    {"select a as x from t union select b as y from t order by x desc, 1 limit 5",
     "x:bigint = (select cast<bigint>(t.a) from t t) union (select t.b from t t) order #1 desc "
     "nulls first limit 5"},
    {"select a from t union select id from u order by id",
     "42703 at 49: column \"id\" does not exist"},
    {"select a from t union select id from u order by 2",
     "42P10 at 49: ORDER BY position 2 is not in select list"},
    {"select a from t union select id from u order by a + 1",
     "0A000 at 49: invalid UNION/INTERSECT/EXCEPT ORDER BY clause"},
    {"(select a from t order by b limit 1) union all select b from t",
     "a:bigint = (select cast<bigint>(*SELECT*.a) from (select t.a from t t order t.b limit 1) "
     "*SELECT*) union all (select t.b from t t)"},
    {"select distinct 1 union select 2.5",
     "?column?:numeric(11,1) = (select cast<numeric(11,1)>(*SELECT*.?column?) from (select "
     "distinct 1) *SELECT*) union (select 2.5)"},
    {"select 1 from t where exists (select 1 union select t.a)",
     "?column?:integer = select 1 from t t where exists((select 1) union (select ^t.a))"},
    {"select (select t.a union all select t.b) from t",
     "a:bigint = select scalar((select cast<bigint>(^t.a)) union all (select ^t.b)) from t t"},
    {"select (select distinct t.a union all select t.b) from t",
     "a:bigint = select scalar((select cast<bigint>(*SELECT*.a) from (select distinct ^^t.a) "
     "*SELECT*) union all (select ^t.b)) from t t"},
    {"select 1 from t where b in (select distinct id from u where u.t_id = t.a order by 1)",
     "?column?:integer = select 1 from t t where any = t.b(select cast<bigint>(*SELECT*.id) from "
     "(select distinct u.id from u u where =(u.t_id, ^^t.a) order #1) *SELECT*)"},
    {"select 1 from t where exists (select 1 from (values (t.a), (2) order by 1) v union "
     "select distinct t.a + n from t x where x.b = t.b)",
     "?column?:integer = select 1 from t t where exists((select 1.00 from (select *VALUES*.column1 "
     "from (values (^^^t.a), (2)) *VALUES* order #1) v) union (select distinct "
     "+(cast<numeric(10,0)>(^t.a), x.n) from t x where =(x.b, ^t.b)))"},
    {"select (select max(v.x) from (select (select u.a + t.b from u order by 1) union all select "
     "distinct 1.5 from u where u.id = t.id) v (x)) from t",
     "max:numeric(20,1) = select scalar(select max(v.x) from ((select "
     "cast<numeric(20,1)>(scalar(select +(u.a, ^^^t.b) from u u order #1))) union all (select "
     "cast<numeric(20,1)>(*SELECT*.?column?) from (select distinct 1.5 from u u where =(u.id, "
     "^^^t.id)) *SELECT*)) v group ) from t t"},
    {"select (values (t.a), (2) order by 1 limit 1) from t",
     "column1:integer = select scalar(select *VALUES*.column1 from (values (^^t.a), (2)) *VALUES* "
     "order #1 limit 1) from t t"},
    {"select 1 from t where exists (select 1 union select t.a order by 1)",
     "?column?:integer = select 1 from t t where exists((select 1) union (select ^t.a) order #1)"},
    {"with x as (select 1 as a) select a from x union select 2 order by a",
     "a:integer = with x (select 1) (select x.a from cte x x) union (select 2) order #1"},
};

static const struct example values_examples[] = {
    {"values (1, 'a'), (null, 'b')", "column1:integer|column2:text = values (1, 'a'), (null, 'b')"},
    {"values (1), (2.5)", "column1:numeric(11,1) = values (1.0), (2.5)"},
    {"values (1), (true)", "42804 at 14: VALUES types integer and boolean cannot be matched"},
    {"values (1, 2), (3)", "42601 at 17: VALUES lists must all be the same length"},
    {"values (default)", "42601 at 9: DEFAULT is not allowed in this context"},
    {"values (2), (1) order by column1 + 1 limit 1",
     "column1:integer = select *VALUES*.column1 from (values (2), (1)) *VALUES* order "
     "+(*VALUES*.column1, 1) limit 1"},
    {"values ((select max(a) from t))",
     "column1:integer = values (scalar(select max(t.a) from t t group ))"},
};

static const struct example with_examples[] = {
    {"with x (p) as (select a, b from t) select x.p, y.b from x, x y",
     "p:integer|b:bigint = with x (select t.a, t.b from t t) select x.p, y.b from cte x x, cte x "
     "y"},
    {"with x (p, q) as (select 1) select 1",
     "42P10 at 6: WITH query \"x\" has 1 columns available but 2 columns specified"},
    {"with x as (select 1), x as (select 2) select 1",
     "42712 at 23: WITH query name \"x\" specified more than once"},
    {"with x as (select 1 as a), y as materialized (select a from x) select (select a from y)",
     "a:integer = with x (select 1) with y (select x.a from cte x x) select scalar(select y.a from "
     "cte y y)"},
    {"with x as (select y.a from y), y as (select 1) select 1",
     "42P01 at 28: relation \"y\" does not exist"},
    {"with t as (select a from t) select * from t",
     "a:integer = with t (select t.a from t t) select t.a from cte t t"},
    {"with x as (select 1) select * from public.x",
     "42P01 at 36: relation \"public.x\" does not exist"},
    {"with x as (delete from t returning id) select * from x",
     "0A000 at 6: a WITH query that modifies data is not supported"},
    {"with recursive x (n) as (select 1 union all select n + 1 from x where n < 5) select n from x",
     "n:integer = with recursive x ((select 1) union all (select +(x.n, 1) from cte x x where "
     "<(x.n, 5))) select x.n from cte x x"},
    {"with recursive x (n) as (select 1.5 union all select n + 1 from x where n < 5) select n from "
     "x",
     "n:numeric(38,1) = with recursive x ((select 1.5) union all (select +(x.n, 1) from cte x x "
     "where <(x.n, 5))) select x.n from cte x x"},
    {"with recursive x (n) as (select 1 union all select n + 1.5 from x) select n from x",
     "42804 at 33: recursive query \"x\" column 1 has type integer in non-recursive term but type "
     "numeric overall"},
    {"with recursive x as (select 1 as n) select n from x",
     "n:integer = with x (select 1) select x.n from cte x x"},
    {"with recursive y as (select n from x), x as (select 1 as n) select n from y",
     "n:integer = with x (select 1) with y (select x.n from cte x x) select y.n from cte y y"},
    {"with recursive y as (select n from x), x as (select n from y) select n from y",
     "0A000 at 16: mutual recursion between WITH items is not implemented"},
    {"with recursive x (n) as (select n from x) select n from x",
     "42P19 at 16: recursive query \"x\" does not have the form non-recursive-term UNION [ALL] "
     "recursive-term"},
    {"with recursive x (n) as (select n from x union select 1) select n from x",
     "42P19 at 40: recursive reference to query \"x\" must not appear within its non-recursive "
     "term"},
    {"with recursive x (n) as (select 1 union select count(*)::int from x) select n from x",
     "42P19 at 48: aggregate functions are not allowed in a recursive query's recursive term"},
    {"with recursive x (n) as (select 1 union select 2 where exists (select 1 from x)) select n "
     "from x",
     "42P19 at 78: recursive reference to query \"x\" must not appear within a subquery"},
    {"with recursive x (n) as (select 1 union select a.n from x a, x b) select n from x",
     "42P19 at 62: recursive reference to query \"x\" must not appear more than once"},
    {"with recursive x (n) as (select 1 union select t.a from t left join x on true) select n from "
     "x",
     "42P19 at 69: recursive reference to query \"x\" must not appear within an outer join"},
    {"with recursive x (n) as (select 1 union select n from x order by 1) select n from x",
     "0A000 at 66: ORDER BY in a recursive query is not implemented"},
    {"select a from t for update", "0A000 at 0: locking rows of a subquery is not supported"},
    {"select a into z from t", "0A000 at 0: SELECT INTO is not supported"},
};

static const struct example insert_examples[] = {
    {"insert into t (id, a, b) values (1, 2, default), (2, '3', null)",
     "(1, 2, DEFAULT)(2, 3, null)"},
    {"insert into t values ($1, $2)", "($1, $2)"},
    {"insert into t (id, a) values (1)",
     "42601 at 20: INSERT has more target columns than expressions"},
    {"insert into t (id) values (1, 2)",
     "42601 at 31: INSERT has more expressions than target columns"},
    {"insert into t (id) values (1), (2, 3)",
     "42601 at 33: VALUES lists must all be the same length"},
    {"insert into t (id, nosuch) values (1, 2)",
     "42703 at 20: column \"nosuch\" of relation \"t\" does not exist"},
    {"insert into t (id, id) values (1, 2)", "42701 at 20: column \"id\" specified more than once"},
    {"insert into nosuch values (1)", "42P01 at 13: relation \"nosuch\" does not exist"},
    {"insert into t (id, a) values (1, true)",
     "42804 at 34: column \"a\" is of type integer but expression is of type boolean"},
    {"insert into t (id, a) values (1, 'x')",
     "22P02 at 34: invalid input syntax for type integer: \"x\""},
    {"insert into t (id, a) values (1, a)", "42703 at 34: column \"a\" does not exist"},
    {"insert into t (id, a, b) values (1, (select max(a) from t), default)",
     "values (1, scalar(select max(t.a) from t t group ), null)"},
    {"insert into t default values", "()"},
    {"insert into t (id, a) select id, '5' from u", "select u.id, 5 from u u"},
    {"insert into t (id, a) select id, n from t", "select t.id, cast<integer>(t.n) from t t"},
    {"insert into t (id, a) select id, b from t order by b limit 3",
     "select *SELECT*.id, cast<integer>(*SELECT*.b) from (select t.id, t.b from t t order #2 limit "
     "3) *SELECT*"},
    {"insert into t (id, a) select id, s from u",
     "42804 at 34: column \"a\" is of type integer but expression is of type text"},
    {"insert into t (id, a) select id from u",
     "42601 at 20: INSERT has more target columns than expressions"},
    {"insert into t (id) select id, a from u",
     "42601 at 31: INSERT has more expressions than target columns"},
    {"insert into t (id, a) values (1, 2.5) limit 1",
     "select *VALUES*.column1, cast<integer>(*VALUES*.column2) from (values (1, 2.5)) *VALUES* "
     "limit 1"},
    {"insert into t (id, a) select 1, 2 union select 3, 4.5",
     "select *SELECT*.?column?, cast<integer>(*SELECT*.?column?) from ((select 1, 2.0) union "
     "(select 3, 4.5)) *SELECT*"},
    {"insert into t (id) values (1) on conflict do nothing",
     "0A000 at 0: ON CONFLICT is not supported"},
    {"insert into t (id) values (1) returning id", "0A000 at 0: RETURNING is not supported"},
};

static const struct example change_examples[] = {
    {"update t set a = a + 1, s = default where id = 3",
     "select t.row id, +(t.a, 1), 'none' from t t where =(t.id, 3)"},
    {"update t x set n = x.a, b = u.a from u where u.t_id = x.id",
     "select x.row id, cast<numeric(10,2)>(x.a), u.a from t x, u u where =(u.t_id, x.id)"},
    {"update t set (a, b) = (1, '2')", "select t.row id, 1, 2 from t t"},
    {"update t set (a, b) = (1, 2, 3)",
     "42601 at 23: number of columns does not match number of values"},
    {"update t set (a, b) = (select 1, 2)",
     "0A000 at 23: SET (...) = (SELECT ...) is not supported"},
    {"update t set a = 1, a = 2", "42601 at 0: multiple assignments to same column \"a\""},
    {"update t set nosuch = 1", "42703 at 14: column \"nosuch\" of relation \"t\" does not exist"},
    {"update t set a = s",
     "42804 at 18: column \"a\" is of type integer but expression is of type text"},
    {"update t set a = count(*)", "42803 at 18: aggregate functions are not allowed in UPDATE"},
    {"update t set a = 1 from t", "42712 at 0: table name \"t\" specified more than once"},
    {"update t set a = id from u", "42702 at 18: column reference \"id\" is ambiguous"},
    {"update t set id = id + $1", "select t.row id, +(t.id, $1) from t t"},
    {"update t set a = 1 where current of c", "0A000 at 0: WHERE CURRENT OF is not supported"},
    {"update t set a = 1 returning a", "0A000 at 0: RETURNING is not supported"},
    {"delete from t", "select t.row id from t t"},
    {"delete from t x using u where u.t_id = x.id and u.s is not null",
     "select x.row id from t x, u u where and(=(u.t_id, x.id), u.s is not null)"},
    {"delete from t where exists (select 1 from u where u.t_id = t.id)",
     "select t.row id from t t where exists(select 1 from u u where =(u.t_id, ^t.id))"},
    {"delete from t where a",
     "42804 at 21: argument of WHERE must be type boolean, not type integer"},
    {"delete from t x where t.id = 1",
     "42P01 at 23: invalid reference to FROM-clause entry for table \"t\""},
    {"with x as (select 1 as p) insert into t (id, a) select p, 2.5 from x",
     "with x (select 1) select x.p, 3 from cte x x"},
    {"with x as (select 1 as p) insert into t (id) values ((select p from x))",
     "with x (select 1) values (scalar(select x.p from cte x x))"},
    {"with x as (select 1 as p) update t set a = p from x where id = p",
     "with x (select 1) select t.row id, x.p from t t, cte x x where =(t.id, x.p)"},
    {"with x as (select 1 as p) delete from t where id in (select p from x)",
     "with x (select 1) select t.row id from t t where any = t.id(select x.p from cte x x)"},
    {"delete from nosuch", "42P01 at 13: relation \"nosuch\" does not exist"},
};

/* --- binding one statement --- */

static struct database *database;

static void add_table(const char *name, const struct column_definition *columns, uint32_t count,
                      const uint32_t *key, uint32_t key_count)
{
    struct schema *schema;
    assert_int_equal(
        schema_create(database->allocator, columns, count, key, key_count, &schema, NULL), OMEN_OK);
    assert_int_equal(database_create_table(database, name, schema, NULL), OMEN_OK);
    schema_release(schema);
}

static int open_database(void **state)
{
    const struct database_options options = {0};
    static const omen_type integer = {.id = OMEN_TYPE_INTEGER}, bigint = {.id = OMEN_TYPE_BIGINT},
                           text = {.id = OMEN_TYPE_TEXT}, boolean = {.id = OMEN_TYPE_BOOLEAN},
                           real = {.id = OMEN_TYPE_REAL},
                           numeric = {.id = OMEN_TYPE_DECIMAL, .precision = 10, .scale = 2};
    const struct column_definition t[] = {
        {.name = "id", .type = integer},
        {.name = "a", .type = integer, .nullable = true},
        {.name = "b", .type = bigint, .nullable = true},
        {.name = "n", .type = numeric, .nullable = true},
        {.name = "s", .type = text, .nullable = true, .default_text = "'none'"},
        {.name = "ok", .type = boolean, .nullable = true},
    };
    const struct column_definition u[] = {
        {.name = "id", .type = integer},
        {.name = "t_id", .type = integer, .nullable = true},
        {.name = "a", .type = bigint, .nullable = true},
        {.name = "s", .type = text, .nullable = true},
    };
    const struct column_definition w[] = {
        {.name = "k1", .type = integer},
        {.name = "k2", .type = integer},
        {.name = "x", .type = real, .nullable = true},
    };
    const uint32_t key[] = {0, 1};
    if (database_open(&os_real, &options, &database, NULL) != OMEN_OK)
        return 1;
    add_table("t", t, sizeof t / sizeof *t, key, 1);
    add_table("u", u, sizeof u / sizeof *u, key, 1);
    add_table("w", w, sizeof w / sizeof *w, key, 2);
    return 0;
}

static int close_database(void **state)
{
    return database_close(database, NULL) == OMEN_OK ? 0 : 1;
}

static void print_insert(FILE *file, const struct bound_insert *insert)
{
    if (insert->query != NULL)
        query_print(file, insert->query);
    for (uint32_t row = 0; row < insert->row_count; row++) {
        fputs("(", file);
        for (uint32_t i = 0; i < insert->column_count; i++) {
            fputs(i > 0 ? ", " : "", file);
            if (insert->rows[row][i] == NULL)
                fputs("DEFAULT", file);
            else
                expression_print(file, insert->rows[row][i]);
        }
        fputs(")", file);
    }
}

static void print_outputs(FILE *file, const struct query *query)
{
    for (uint32_t i = 0; i < query->target_count; i++) {
        fprintf(file, i > 0 ? "|%s:" : "%s:", query->targets[i].name);
        type_print(file, query->types[i]);
    }
    fputs(" = ", file);
    query_print(file, query);
}

static omen_status bind_and_print(struct binder *binder, const PgQuery__Node *statement, FILE *file,
                                  omen_error *error)
{
    struct query *query;
    struct bound_insert insert;
    struct bound_change change;
    omen_status status;
    switch (statement->node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        status = bind_insert(binder, statement->insert_stmt, &insert, error);
        if (status == OMEN_OK)
            print_insert(file, &insert);
        return status;
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        status = statement->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT
                     ? bind_update(binder, statement->update_stmt, &change, error)
                     : bind_delete(binder, statement->delete_stmt, &change, error);
        if (status == OMEN_OK)
            query_print(file, change.query);
        return status;
    default:
        status = bind_query(binder, NULL, statement->select_stmt, &query, error);
        if (status == OMEN_OK)
            print_outputs(file, query);
        return status;
    }
}

/* What the statement comes to, or its error; the caller frees it. */
static char *describe(const char *sql, struct allocator *allocator, omen_status *status)
{
    struct arena arena;
    struct parsed parsed;
    struct binder binder = {0};
    omen_error error = {0};
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    assert_non_null(file);
    arena_init(&arena, allocator);
    *status = parse_statement(sql, strlen(sql), &arena, &parsed, &error);
    if (*status == OMEN_OK)
        *status = binder_init(&binder, &arena, database->catalog, &parsed, NULL, 0, &error);
    if (*status == OMEN_OK)
        *status = bind_and_print(&binder, parsed.statement, file, &error);
    if (*status == OMEN_OK)
        binder_finish(&binder);
    else
        fprintf(file, "%s at %d: %s", error.sqlstate, error.position, error.message);
    binder_release(&binder);
    arena_release(&arena);
    fclose(file);
    return text;
}

static void check_examples(const struct example *examples, size_t count)
{
    int failures = 0;
    for (size_t i = 0; i < count; i++) {
        omen_status status;
        char *got = describe(examples[i].sql, database->allocator, &status);
        if (strcmp(got, examples[i].expected) != 0) {
            print_error("%s\n  expected %s\n  got      %s\n", examples[i].sql, examples[i].expected,
                        got);
            failures++;
        }
        free(got);
    }
    assert_int_equal(failures, 0);
}

static void test_targets(void **state)
{
    check_examples(targets_examples, sizeof targets_examples / sizeof *targets_examples);
}

static void test_from(void **state)
{
    check_examples(from_examples, sizeof from_examples / sizeof *from_examples);
}

static void test_joins(void **state)
{
    check_examples(joins_examples, sizeof joins_examples / sizeof *joins_examples);
}

static void test_groups(void **state)
{
    check_examples(groups_examples, sizeof groups_examples / sizeof *groups_examples);
}

static void test_order(void **state)
{
    check_examples(order_examples, sizeof order_examples / sizeof *order_examples);
}

static void test_sets(void **state)
{
    check_examples(sets_examples, sizeof sets_examples / sizeof *sets_examples);
}

static void test_values(void **state)
{
    check_examples(values_examples, sizeof values_examples / sizeof *values_examples);
}

static void test_with(void **state)
{
    check_examples(with_examples, sizeof with_examples / sizeof *with_examples);
}

static void test_insert(void **state)
{
    check_examples(insert_examples, sizeof insert_examples / sizeof *insert_examples);
}

static void test_change(void **state)
{
    check_examples(change_examples, sizeof change_examples / sizeof *change_examples);
}

/* --- limits --- */

/* A statement of `before`, `unit` repeated, `middle`, `after` repeated. */
static char *repeat(const char *before, const char *unit, const char *middle, const char *after,
                    size_t count)
{
    char *text =
        malloc(strlen(before) + strlen(middle) + count * (strlen(unit) + strlen(after)) + 1);
    char *at = text;
    assert_non_null(text);
    at = stpcpy(at, before);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, unit);
    at = stpcpy(at, middle);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, after);
    return text;
}

static omen_status bind_repeated(const char *before, const char *unit, const char *middle,
                                 const char *after, size_t count)
{
    omen_status status;
    char *sql = repeat(before, unit, middle, after, count);
    free(describe(sql, database->allocator, &status));
    free(sql);
    return status;
}

static void test_depth(void **state)
{
    /* A chain of unions is no nesting. */
    assert_int_equal(bind_repeated("select 1", " union all select 2", "", "", 200), OMEN_OK);
    assert_int_equal(bind_repeated("", "select * from (", "select 1", ") x", 50), OMEN_OK);
    for (size_t count = 100; count <= 3000; count += 290) {
        omen_status subqueries = bind_repeated("", "select * from (", "select 1", ") x", count);
        omen_status scalars = bind_repeated("select ", "(select ", "1", ")", count);
        omen_status joins = bind_repeated("select 1 from u", " cross join w", "", "", count);
        omen_status unions = bind_repeated("", "(select 1 union ", "select 1", ")", count);
        omen_status chain = bind_repeated("select 1", " union all select 2", "", "", count);
        assert_true(subqueries == OMEN_OK || subqueries == OMEN_STATEMENT_TOO_COMPLEX);
        assert_true(scalars == OMEN_OK || scalars == OMEN_STATEMENT_TOO_COMPLEX);
        assert_true(joins == OMEN_DUPLICATE_ALIAS || joins == OMEN_STATEMENT_TOO_COMPLEX);
        assert_true(unions == OMEN_OK || unions == OMEN_STATEMENT_TOO_COMPLEX);
        assert_true(chain == OMEN_OK || chain == OMEN_STATEMENT_TOO_COMPLEX);
    }
    assert_int_equal(bind_repeated("", "select * from (", "select 1", ") x", 3000),
                     OMEN_STATEMENT_TOO_COMPLEX);
}

/* --- memory --- */

/* Every allocation in turn fails: the status says so, and nothing stays behind. */
static void test_memory(void **state)
{
    char *wide = repeat("select a, b from t where a in (1", ", 2", ") union select id, a from u",
                        " order by 1", 0);
    char *long_list =
        repeat("select 1", ", a + 1 as x, (select max(id) from u where u.t_id = t.id)",
               " from t group by id", "", 60);
    const char *statements[] = {wide, long_list, "update t set a = u.id from u where u.t_id = t.id",
                                "insert into t (id, a) select id, b from t order by b limit 3"};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        omen_status status = OMEN_OUT_OF_MEMORY;
        for (uint64_t nth = 1; status != OMEN_OK; nth++) {
            struct allocator allocator;
            allocator_init(&allocator, 0);
            allocator_fail_at(&allocator, nth, 1);
            free(describe(statements[i], &allocator, &status));
            assert_true(status == OMEN_OK || status == OMEN_OUT_OF_MEMORY);
            assert_int_equal(allocator.bytes_used, 0);
            assert_true(nth < 1000);
        }
    }
    free(wide);
    free(long_list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets), cmocka_unit_test(test_from),  cmocka_unit_test(test_joins),
        cmocka_unit_test(test_groups),  cmocka_unit_test(test_order), cmocka_unit_test(test_sets),
        cmocka_unit_test(test_values),  cmocka_unit_test(test_with),  cmocka_unit_test(test_insert),
        cmocka_unit_test(test_change),  cmocka_unit_test(test_depth), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, open_database, close_database);
}
