"""Random SELECTs: joins, groups, windows, set operations, subqueries in FROM and WITH."""
import re

from expressions import Column
from statements import ORDERED, SUMMED, Statement
from tree import Items, Node
import values
from values import NUMBERS, STRINGS, TIMES, ColumnType

FAMILIES = [NUMBERS, STRINGS, TIMES, ("boolean",), ("bytea",), ("uuid",)]
FLOATS = ("real", "double precision")
ROUNDED = re.compile(r"\b(?:sum|avg|stddev|variance|var_)")


class Query:
    """Makes one SELECT from an episode's randomness."""

    def __init__(self, episode):
        self.episode, self.choose, self.e = episode, episode.choose, episode.e
        self.lenient = False
        self.unordered = False  # the rows depend on an order that the statement does not fix

    def make(self):
        weighted = [(30, self.plain), (14, self.joined), (8, self.chained), (16, self.grouped), (6, self.whole), (6, self.windowed),
                                   (6, self.combined), (7, self.derived), (5, self.distinct), (2, self.constant), (2, self.rolled),
                                   (2, self.using), (2, self.listed), (1, self.series), (2, self.lateral), (1, self.recursive),
                                   (2, self.first_of_each)]
        if self.episode.large:  # few rows come out, and none are paired
            weighted = [(3, self.whole), (2, self.plain)]
        maker = self.episode.pick(weighted)
        tree, outputs = maker()
        order = ()
        if outputs and (self.choose.random() < 0.35 or self.episode.large):
            tree, order = self.ordered(tree, outputs)
        return Statement(tree, "select", order, self.lenient)

    # ------------------------------------------------------------- parts

    def source(self, table=None):
        """A table with its alias, or without: (SQL, scope, table)."""
        table = table or self.episode.table()
        if self.choose.random() < 0.4:
            return table.name, self.episode.scope(table), table
        alias = self.episode.alias()
        return f"{table.name} {self.choose.choice(['', 'AS '])}{alias}", self.episode.scope(table, alias), table

    def item(self, scope, depth):
        """An output column: (node, type name)."""
        if self.choose.random() < 0.5:
            column = self.choose.choice(scope)
            return Node(column.type.name, [column.sql]), column.type.name
        name = self.choose.choice(scope).type.name if self.choose.random() < 0.6 else self.choose.choice(values.TYPES)
        return self.e.expr(name, scope, depth), name

    def items(self, scope, depth=2):
        chosen = [self.item(scope, depth) for _ in range(self.choose.choice([1, 2, 2, 3, 4]))]
        return Items([node for node, _ in chosen]), [type for _, type in chosen]

    def ordered(self, tree, outputs):
        """ORDER BY some or all output columns; LIMIT only where all are."""
        choose = self.choose
        positions = list(range(len(outputs)))
        choose.shuffle(positions)
        total = choose.random() < 0.6 or self.episode.large
        if not total:
            positions = positions[:choose.randrange(1, len(positions) + 1)]
        keys = ", ".join(str(p + 1) + choose.choice(["", "", " DESC", " ASC", " NULLS FIRST", " DESC NULLS LAST"])
                         for p in positions)
        tail = ""
        # Which rows a LIMIT takes is decided by the rounding of sums.
        rounded = ROUNDED.search(str(tree)) and any(type in FLOATS for type in outputs)
        if self.episode.large:
            self.lenient |= self.e.raises
            tail = " LIMIT 20"
        elif len(positions) == len(outputs) and not rounded and choose.random() < 0.6:
            self.lenient = self.lenient or self.e.raises
            tail = choose.choice([" LIMIT 1", " LIMIT 5", " LIMIT 10", " LIMIT 3 OFFSET 2", " OFFSET 4", " LIMIT 0",
                                  " LIMIT ALL", " FETCH FIRST 3 ROWS ONLY"])
        return Node(None, [tree, Node(None, [" ORDER BY ", keys, Node(None, [tail], optional=True)], optional=True)]), positions

    # ------------------------------------------------------------- kinds

    def plain(self):
        sql, scope, table = self.source()
        if self.choose.random() < 0.2:
            items, types = Node(None, ["*"]), [c.type.name for c in scope]
        else:
            items, types = self.items(scope)
        return Node(None, ["SELECT ", items, f" FROM {sql}", self.filter(table, scope)]), types

    def filter(self, table, scope, chance=0.92):
        """WHERE; where it may raise, which of its operands does so first is not defined."""
        raised, self.e.raises = self.e.raises, False
        where = self.episode.where(table, scope, chance)
        self.lenient |= self.e.raises
        self.e.raises |= raised
        return where

    def constant(self):
        name = self.choose.choice(values.TYPES)
        return Node(None, ["SELECT ", self.e.expr(name, [], 3)]), [name]

    def distinct(self):
        sql, scope, table = self.source()
        items, types = self.items(scope, 1)
        return Node(None, ["SELECT DISTINCT ", items, f" FROM {sql}", self.filter(table, scope)]), types

    def condition(self, left, right):
        """A join condition that some rows meet: columns of one family, equal or ordered."""
        pairs = [(a, b) for a in left for b in right if any(a.type.name in f and b.type.name in f for f in FAMILIES)
                 and (a.type.name == b.type.name or self.choose.random() < 0.2)]
        if not pairs:
            return None
        a, b = self.choose.choice(pairs)
        return Node("boolean", [f"{a.sql} = {b.sql}"])

    def joined(self):
        choose = self.choose
        tables = [choose.choice(self.episode.tables) for _ in range(choose.choice([2, 2, 2, 3]))]
        scope, parts = [], []
        for number, table in enumerate(tables):
            alias = self.episode.alias()
            fresh = self.episode.scope(table, alias)
            if number == 0:
                parts.append(f"{table.name} {alias}")
            else:
                on = self.condition(scope, fresh)
                kind = choose.choice(["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
                if on is None or choose.random() < 0.04:
                    on = Node("boolean", [f"{choose.choice(fresh).sql} IS NULL"])
                    kind = "JOIN"
                elif choose.random() < 0.3 and kind != "FULL JOIN":
                    on = Node("boolean", [on, " AND ", self.e.expr("boolean", scope + fresh, 1)])
                parts.append(Node(None, [f" {kind} {table.name} {alias} ON ", on]))
            scope = scope + fresh
        self.lenient = True
        items, types = self.items(scope, 1)
        where = Node(None, [" WHERE ", self.e.expr("boolean", scope, 2)], optional=True) if choose.random() < 0.5 else ""
        if choose.random() < 0.25:
            call, type = self.aggregate(scope)
            items, types = Items([Node(None, ["count(*)"]), call]), ["bigint", type]
        return Node(None, ["SELECT ", items, " FROM ", *parts, where]), types

    def chained(self):
        """Inner joins of three to six tables, whose order is ours to choose: by commas and JOIN mixed, conditions
        in ON and WHERE, sometimes beside an outer join or a list that a subquery gives."""
        choose = self.choose
        scopes, parts, where = [], [], []
        for number in range(choose.choice([3, 3, 3, 4, 4, 5, 6])):
            table, alias = choose.choice(self.episode.tables), self.episode.alias()
            fresh = self.episode.scope(table, alias)
            on = self.condition(choose.choice(scopes), fresh) if scopes else None
            if number > 0 and on is None and number > 3:
                continue  # crossed too often, there are too many rows
            if number == 0 or on is None or choose.random() < 0.5:
                parts.append(f"{', ' if number else ''}{table.name} {alias}")
                where += [on] if on is not None else []
                chain = fresh
            else:
                outer = choose.random() < 0.15
                on = self.condition(chain, fresh) or Node("boolean", ["true"])
                if choose.random() < 0.3:
                    on = Node("boolean", [on, " AND ", self.e.expr("boolean", chain + fresh, 1)])
                parts.append(Node(None, [f" {'LEFT JOIN' if outer else 'JOIN'} {table.name} {alias} ON ", on]))
                chain = chain + fresh
            scopes.append(fresh)
        scope = [column for fresh in scopes for column in fresh]
        if choose.random() < 0.3:
            again = self.condition(choose.choice(scopes), choose.choice(scopes))
            where += [again] if again is not None else []
        where += [self.e.expr("boolean", choose.choice(scopes), 1) for _ in range(choose.choice([0, 1, 1, 2]))]
        if choose.random() < 0.25:
            where.append(self.listed_group(scope))
        where += [self.e.expr("boolean", scope, 1)] if choose.random() < 0.2 else []
        condition = Node(None, [" WHERE ", Node(None, [part for one in where for part in (" AND ", one)][1:])]) if where else ""
        self.lenient = True
        if choose.random() < 0.5:
            call, type = self.aggregate(scope)
            items, types = Items([Node(None, ["count(*)"]), call]), ["bigint", type]
        else:
            items, types = self.items(scope, 1)
        return Node(None, ["SELECT ", items, " FROM ", *parts, condition]), types

    def listed_group(self, scope):
        """column IN (a query whose rows are all different)."""
        choose = self.choose
        inner, column = choose.choice(self.episode.tables), choose.choice(scope)
        alias = self.episode.alias()
        same = [c for c in self.episode.scope(inner, alias) if c.type.name == column.type.name]
        if not same:
            return Node("boolean", [f"{column.sql} IS NOT NULL"])
        key = choose.choice(same).sql
        having = choose.choice(["", "", " HAVING count(*) > 1", " HAVING count(*) < 3"])
        return Node("boolean", [f"{column.sql} IN (SELECT {key} FROM {inner.name} {alias} GROUP BY {key}{having})"])

    def aggregate(self, scope):
        """An aggregate call: (node, its type)."""
        choose = self.choose
        kind = choose.choice(["count", "count", "sum", "sum", "avg", "min", "max", "min", "max", "bool", "string_agg", "spread"])
        distinct = "DISTINCT " if choose.random() < 0.12 else ""
        filter_ = Node(None, [" FILTER (WHERE ", self.e.expr("boolean", scope, 1), ")"], optional=True) \
            if choose.random() < 0.12 else ""
        some = lambda names: self.argument(names, scope)
        if kind == "count":
            if choose.random() < 0.3:
                return Node(None, ["count(*)", filter_]), "bigint"
            return Node(None, [f"count({distinct}", some(values.TYPES)[0], ")", filter_]), "bigint"
        if kind in ("sum", "avg", "spread"):
            node, name = some(NUMBERS)
            if kind == "sum":
                return Node(None, [f"sum({distinct}", node, ")", filter_]), SUMMED[name]
            call = "avg" if kind == "avg" else choose.choice(["stddev", "variance", "stddev_pop", "var_samp", "var_pop"])
            if call != "avg":
                node, name = some(("double precision",))
                distinct = ""
            return Node(None, [f"{call}({distinct}", node, ")", filter_]), "double precision" if name in FLOATS else "numeric"
        if kind == "bool":
            call = choose.choice(["bool_and", "bool_or", "every"])
            return Node(None, [f"{call}(", self.e.expr("boolean", scope, 1), ")", filter_]), "boolean"
        if kind == "string_agg":
            node = some(("text",))[0]
            return Node(None, ["string_agg(", node, ", ',' ORDER BY ", str(node), ")", filter_]), "text"
        node, name = some(ORDERED)
        return Node(None, [f"{kind}({distinct}", node, ")", filter_]), name

    def argument(self, names, scope):
        columns = [c for c in scope if c.type.name in names]
        if columns and self.choose.random() < 0.7:
            column = self.choose.choice(columns)
            return Node(column.type.name, [column.sql]), column.type.name
        name = self.choose.choice(names)
        return self.e.expr(name, scope, 1), name

    def whole(self):
        """Aggregates without GROUP BY."""
        sql, scope, table = self.source()
        calls = [self.aggregate(scope) for _ in range(self.choose.choice([1, 2, 3]))]
        self.lenient |= self.e.raises
        return Node(None, ["SELECT ", Items([c for c, _ in calls]), f" FROM {sql}", self.filter(table, scope)]), [t for _, t in calls]

    def grouped(self):
        choose = self.choose
        sql, scope, table = self.source()
        saved, self.e.subquery = self.e.subquery, None
        keys = []
        for _ in range(choose.choice([1, 1, 2])):
            column = choose.choice(scope)
            if choose.random() < 0.75:
                keys.append((column.sql, column.type.name))
            else:
                name = choose.choice(["integer", "text", "boolean", "date"])
                keys.append((str(self.e.expr(name, scope, 1)), name))
        calls = [self.aggregate(scope) for _ in range(choose.choice([1, 1, 2, 3]))]
        outputs = [(Node(t, [k]), t) for k, t in keys] + calls
        by = ", ".join(k for k, _ in keys)
        if choose.random() < 0.2:
            by = ", ".join(str(i + 1) for i in range(len(keys)))
        having = ""
        if choose.random() < 0.3:
            call, type = self.aggregate(scope)
            test = f" > {choose.choice([0, 1, 2])}" if type in NUMBERS and type not in FLOATS else " IS NOT NULL"
            having = Node(None, [" HAVING ", call, test], optional=True)
        self.lenient |= self.e.raises
        self.e.subquery = saved
        if str(keys[0][0]).strip("()-").isdigit():
            by = by if by[0].isdigit() else "1"
        return Node(None, ["SELECT ", Items([n for n, _ in outputs]), f" FROM {sql}", self.filter(table, scope),
                           f" GROUP BY {by}", having]), [t for _, t in outputs]

    def windowed(self):
        choose = self.choose
        sql, scope, table = self.source()
        if not table.key:
            return self.plain()
        prefix = scope[0].sql.rsplit(".", 1)[0] + "." if "." in scope[0].sql else ""
        total = ", ".join(prefix + name for name in table.key)
        by = choose.choice(scope)
        partition = f"PARTITION BY {choose.choice(scope).sql} " if choose.random() < 0.6 else ""
        calls = []
        for _ in range(choose.choice([1, 1, 2])):
            kind = choose.choice(["ranked", "ranked", "moved", "running", "whole", "rows"])
            if kind == "ranked":
                call, type, order = choose.choice([("rank()", "bigint", by.sql), ("dense_rank()", "bigint", by.sql),
                                                   ("row_number()", "bigint", total), ("ntile(3)", "integer", total),
                                                   ("percent_rank()", "double precision", by.sql), ("cume_dist()", "double precision", by.sql)])
                text = f"{call} OVER ({partition}ORDER BY {order}{choose.choice(['', ' DESC'])})"
            elif kind == "moved":
                column = choose.choice(scope)
                call = choose.choice(["lag({0})", "lead({0})", "first_value({0})", "last_value({0})", "lag({0}, 2)", "nth_value({0}, 2)"])
                text, type = f"{call.format(column.sql)} OVER ({partition}ORDER BY {total})", column.type.name
            else:
                numbers = [c for c in scope if c.type.name in NUMBERS]
                column = choose.choice(numbers) if numbers else None
                call, type = (f"sum({column.sql})", SUMMED[column.type.name]) if column and choose.random() < 0.6 else ("count(*)", "bigint")
                frame = {"running": f"ORDER BY {by.sql}", "whole": "", "rows": f"ORDER BY {total} " + choose.choice(
                    ["ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", "ROWS UNBOUNDED PRECEDING", "ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING"])}[kind]
                text = f"{call} OVER ({partition}{frame})"
            calls.append((Node(None, [text]), type))
        outputs = [(Node(scope[0].type.name, [scope[0].sql]), scope[0].type.name)] + calls
        return Node(None, ["SELECT ", Items([n for n, _ in outputs]), f" FROM {sql}", self.filter(table, scope, 0.4)]), [t for _, t in outputs]

    def combined(self):
        """Two or three queries under set operations."""
        choose = self.choose
        names = [choose.choice(values.TYPES) for _ in range(choose.choice([1, 1, 2]))]
        parts = []
        for number in range(choose.choice([2, 2, 3])):
            sql, scope, table = self.source()
            wanted = [choose.choice(NUMBERS) if n in NUMBERS and choose.random() < 0.15 and n != "real" else n for n in names]
            nodes = []
            for n in wanted:
                same = [c for c in scope if c.type.name == n]
                nodes.append(Node(n, [choose.choice(same).sql]) if same and choose.random() < 0.8 else self.e.expr(n, scope, 1))
            if number:
                parts.append(" " + choose.choice(["UNION", "UNION ALL", "UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"]) + " ")
            parts.append(Node(None, ["SELECT ", ", ".join(map(str, nodes)), f" FROM {sql}", self.filter(table, scope)]))
        self.lenient = True
        return Node(None, parts), names

    def rolled(self):
        """GROUPING SETS, ROLLUP, CUBE over columns."""
        sql, scope, table = self.source()
        keys = self.choose.sample(scope, min(2, len(scope)))
        names = ", ".join(c.sql for c in keys)
        by = self.choose.choice([f"ROLLUP ({names})", f"CUBE ({names})", f"GROUPING SETS (({names}), ({keys[0].sql}), ())",
                                 f"GROUPING SETS (({keys[0].sql}), ())"])
        if by.startswith("GROUPING SETS ((" + keys[0].sql + "), ())"):
            keys, names = keys[:1], keys[0].sql
        outputs = [(c.sql, c.type.name) for c in keys] + [(f"grouping({self.choose.choice([keys[0].sql, names])})", "integer"), ("count(*)", "bigint")]
        call, type = self.aggregate(scope)
        self.lenient |= self.e.raises
        return Node(None, ["SELECT ", ", ".join(n for n, _ in outputs), ", ", call, f" FROM {sql}", self.filter(table, scope, 0.5),
                           f" GROUP BY {by}"]), [t for _, t in outputs] + [type]

    def using(self):
        """JOIN ... USING and NATURAL JOIN: columns merged."""
        tables = self.episode.tables
        left, right = self.choose.choice(tables), self.choose.choice(tables)
        a, b = self.episode.alias(), self.episode.alias()
        shared = [c for c in left.columns for d in right.columns if c.sql == d.sql and c.type.name == d.type.name]
        if not shared:
            return self.plain()
        merged = self.choose.choice(shared)
        kind = self.choose.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        scope = [c for c in self.episode.scope(left, a) + self.episode.scope(right, b)]
        extra = self.choose.choice(scope)
        item = self.choose.choice([f"{merged.sql}, {extra.sql}", "*", f"{merged.sql}", f"{a}.{merged.sql}, {b}.{merged.sql}, {merged.sql}"])
        return Node(None, [f"SELECT {item} FROM {left.name} {a} {kind} {right.name} {b} USING ({merged.sql})"]), None

    def listed(self):
        """VALUES alone, or in FROM with names."""
        names = [self.choose.choice(values.TYPES) for _ in range(self.choose.choice([1, 2, 3]))]
        rows = Items([Node(None, ["(", ", ".join(str(self.e.literal(n, [])) for n in names), ")"])
                      for _ in range(self.choose.choice([1, 2, 4]))])
        if self.choose.random() < 0.4:
            return Node(None, ["VALUES ", rows]), names
        alias = self.episode.alias()
        scope = [Column(f"{alias}.v{i}", ColumnType(n, 10, 2)) for i, n in enumerate(names)]
        items, types = self.items(scope, 1)
        return Node(None, ["SELECT ", items, " FROM (VALUES ", rows, f") AS {alias} ({', '.join(f'v{i}' for i in range(len(names)))})",
                           self.filter(None, scope)]), types

    def series(self):
        alias = self.episode.alias()
        scope = [Column(f"{alias}.n", ColumnType("integer"), ["1", "2", "3"])]
        items, types = self.items(scope, 1)
        return Node(None, ["SELECT ", items, f" FROM generate_series({self.choose.choice(['1, 5', '3, 1', '1, 10, 3', '5, 1, -2', '0, 0'])}) AS {alias} (n)",
                           self.filter(None, scope)]), types

    def lateral(self):
        """A subquery in FROM that sees the entry before it."""
        sql, scope, table = self.source()
        if "." not in scope[0].sql:
            return self.plain()
        inner, alias, outer = self.episode.table(), self.episode.alias(), self.episode.alias()
        fresh = self.episode.scope(inner, alias)
        on = self.condition(scope, fresh)
        if on is None:
            return self.plain()
        self.lenient = True
        join = self.choose.choice([" CROSS JOIN LATERAL ", ", LATERAL ", " LEFT JOIN LATERAL "])
        call = self.choose.choice(["count(*)", f"max({fresh[0].sql})"]) if fresh[0].type.name in ORDERED else "count(*)"
        return Node(None, [f"SELECT {scope[0].sql}, {outer}.x FROM {sql}{join}(SELECT {call} AS x FROM {inner.name} {alias} WHERE ", on, f") AS {outer}",
                           " ON true" if "LEFT" in join else "", Node(None, [" WHERE ", self.e.expr("boolean", scope, 1)], optional=True)]), None

    def recursive(self):
        alias = self.episode.alias()
        step, last = self.choose.choice([1, 2, 3]), self.choose.choice([5, 10])
        word = self.choose.choice(["UNION ALL", "UNION"])
        return Node(None, [f"WITH RECURSIVE {alias} (n) AS (SELECT 1 {word} SELECT n + {step} FROM {alias} WHERE n < {last}) SELECT n, n * n FROM {alias}"]), \
            ["integer", "integer"]

    def first_of_each(self):
        """DISTINCT ON with an order that fixes which row it is."""
        sql, scope, table = self.source()
        if not table.key:
            return self.plain()
        prefix = scope[0].sql.rsplit(".", 1)[0] + "." if "." in scope[0].sql else ""
        by = self.choose.choice(scope)
        total = ", ".join(prefix + name for name in table.key)
        item = self.choose.choice(scope)
        return Node(None, [f"SELECT DISTINCT ON ({by.sql}) {by.sql}, {item.sql} FROM {sql}", self.filter(table, scope, 0.5),
                           f" ORDER BY {by.sql}{self.choose.choice(['', ' DESC'])}, {total}"]), None

    def derived(self):
        """A subquery in FROM or WITH, and a query over it."""
        choose = self.choose
        maker = choose.choice([self.plain, self.grouped, self.joined, self.distinct, self.combined])
        inner, types = maker()
        if inner.parts[1] is not None and "*" in str(inner)[:9]:
            return inner, types
        alias = self.episode.alias()
        names = [f"o{i}" for i in range(len(types))]
        scope = [Column(f"{alias}.{n}", ColumnType(t, 10, 2)) for n, t in zip(names, types)]
        items, outputs = self.items(scope, 1)
        where = self.filter(None, scope, 0.6)
        self.lenient = True
        if choose.random() < 0.5:
            return Node(None, [f"WITH {alias} ({', '.join(names)}) AS (", inner, ") SELECT ", items, f" FROM {alias}", where]), outputs
        return Node(None, ["SELECT ", items, " FROM (", inner, f") AS {alias} ({', '.join(names)})", where]), outputs
