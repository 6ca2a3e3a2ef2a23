"""Random statements over a few random tables: one Episode is one database's life.

An episode is made from its seed alone, never from answers, so that it can be made again.
"""
import random

from expressions import COMPARISONS, Column, Expressions
from tree import Items, Node
import values
from values import ColumnType, INTEGERS, NUMBERS, STRINGS, TIMES

KEY_TYPES = ("integer", "bigint", "integer", "bigint", "smallint", "text", "varchar", "date", "timestamp",
             "timestamptz", "uuid", "numeric", "bytea", "boolean", "double precision", "real", "char")
RICH_TYPES = ("integer", "bigint", "smallint", "numeric", "double precision", "real", "timestamp", "timestamptz", "text")
COMMON_TYPES = ("integer", "integer", "bigint", "text", "text", "numeric", "double precision", "boolean", "date", "timestamp")
LARGE_DIGITS = 42
LARGE_ROWS = LARGE_DIGITS**3
SUMMED = {"smallint": "bigint", "integer": "bigint", "bigint": "numeric", "numeric": "numeric", "real": "real",
          "double precision": "double precision"}
ORDERED = ("smallint", "integer", "bigint", "numeric", "real", "double precision", "text", "varchar", "date", "timestamp",
           "timestamptz")


class Table:
    """`key`, and each of `uniques`: names of columns; `keyed`: all of those."""

    def __init__(self, name, columns, key, uniques):
        self.name, self.columns, self.key, self.uniques = name, columns, key, uniques
        self.keyed = set(key).union(*uniques)


class Statement:
    """`tree`: the SQL. `order`: positions of the output columns it is ordered by, () for none.
    `lenient`: which of several rows or operands raises first is not defined, nor whether one that
    is not needed raises at all. `runs`: parameter lists of a prepared statement, or None. `check`: a query
    whose answer must be equal after a write, instead of the whole table. `raises`: it holds parts
    that may raise an error when they are computed. `rows`: no table has many more."""

    def __init__(self, tree, kind, order=(), lenient=False, runs=None):
        self.tree, self.kind, self.order, self.lenient, self.runs = tree, kind, order, lenient, runs
        self.check, self.raises, self.rows = None, False, 1000

    def with_tree(self, tree):
        fresh = Statement(tree, self.kind, self.order, self.lenient, self.runs)
        fresh.check, fresh.raises, fresh.rows = self.check, self.raises, self.rows
        return fresh


class Episode:
    def __init__(self, seed, statements, features=None):
        self.choose = random.Random(seed)
        self.seed, self.features = seed, features
        self.wild = self.choose.random() < 0.3
        self.large = self.choose.random() < 0.03
        self.route = self.choose.choice(["auto", "auto", "index", "engine"])
        self.e = Expressions(self.choose, self.wild)
        self.e.subquery = None if self.large else self.subquery
        self.tables, self.aliases = [], 0
        self.statements = []
        for number in range(self.choose.choice([1, 2, 2, 3])):
            self.create(number)
        while len(self.statements) < (statements // 4 if self.large else statements):
            self.add()
        for statement in self.statements:
            statement.rows = LARGE_ROWS if self.large else statement.rows

    def pick(self, weighted):
        return self.choose.choices([w[1] for w in weighted], [w[0] for w in weighted])[0]

    def emit(self, parts, kind, order=(), lenient=False):
        self.statements.append(Statement(Node(None, parts), kind, order, lenient))
        if self.large:
            columns = ", ".join(f"count({c.sql}), max({c.sql}::text)" for c in self.tables[0].columns) if self.tables else "count(*)"
            self.statements[-1].check = f"SELECT count(*), {columns} FROM t0"

    # ------------------------------------------------------------- tables and rows

    def create(self, number):
        choose, name = self.choose, f"t{number}"
        count = choose.choice([2, 3, 4, 5, 6, 8])
        columns = []
        for i in range(count):
            type = values.column_type(choose, values.TYPES if choose.random() < 0.5 else COMMON_TYPES)
            columns.append(Column(f"c{i}", type))
        key = []
        if choose.random() < 0.8:
            width = choose.choice([1, 1, 1, 2, 3])
            for column in columns[:min(width, count)]:
                column.type = values.column_type(choose, KEY_TYPES[:4] if choose.random() < 0.5 else KEY_TYPES)
                key.append(column.sql)
        large = self.large and number == 0
        if large:  # a key that load() can fill, and nothing but NULL in the other columns
            columns[0].type, key = ColumnType(choose.choice(["integer", "bigint"])), ["c0"]
        free = [column for column in columns if column.sql not in key]
        if free and choose.random() < 0.4 and not large:  # for a unique key: values enough to be distinct
            free[0].type = values.column_type(choose, RICH_TYPES if choose.random() < 0.8 else KEY_TYPES)
        defs = []
        for column in columns:
            text = f"{column.sql} {column.type}"
            if [column.sql] == key and choose.random() < 0.7:
                text += " PRIMARY KEY"
            elif choose.random() < 0.1 and column.sql not in key and not large:
                text += " NOT NULL"
                column.not_null = True
            if choose.random() < 0.1 and column.sql not in key and not large:
                text += " DEFAULT " + values.literal(values.value(choose, column.type, False), column.type.name)
            defs.append(text)
        if key and "PRIMARY KEY" not in "".join(defs):
            defs.append(f"PRIMARY KEY ({', '.join(key)})")
        uniques = [] if large else self.uniques(name, columns, key, defs)
        self.emit([f"CREATE TABLE {name} (", ", ".join(defs), ")"], "ddl")
        table = Table(name, columns, key, uniques)
        self.tables.append(table)
        rows = choose.choice([10, 20, 40, 80, 150])
        if large:
            self.load(table)
        while rows > 0:
            batch = min(rows, choose.choice([5, 10, 40]))
            self.insert(table, batch, spread=max(60, 4 * rows))
            rows -= batch

    def uniques(self, table, columns, key, defs):
        """Unique keys beside the primary one, as lists of columns; adds them to the definitions."""
        choose, found = self.choose, []
        free = [column.sql for column in columns if column.sql not in key and (column is columns[-1] or column.type.name in RICH_TYPES)]
        while free and choose.random() < (0.4 if not found else 0.2):
            names = choose.sample([column.sql for column in columns], 2) if choose.random() < 0.3 else free[:1]
            if not set(names) & set(free) or names in found:
                continue
            found.append(names)
            at = next(i for i, column in enumerate(columns) if column.sql == names[0])
            if len(names) == 1 and choose.random() < 0.6:
                defs[at] += choose.choice([" UNIQUE", f" CONSTRAINT {table}_{names[0]} UNIQUE"])
            else:
                defs.append(f"UNIQUE ({', '.join(names)})")
        return found

    def load(self, table):
        """Many rows, made by the statement itself from a small table of digits."""
        self.emit(["CREATE TABLE digits (d integer PRIMARY KEY)"], "ddl")
        self.emit(["INSERT INTO digits VALUES ", ", ".join(f"({i})" for i in range(LARGE_DIGITS))], "write")
        key = table.columns[0]
        self.emit([f"INSERT INTO {table.name} ({key.sql}) SELECT a.d * 1764 + b.d * 42 + c.d + 1000 ",
                   "FROM digits a, digits b, digits c"], "write")

    def row(self, table, spread, null=0.12):
        row = []
        for column in table.columns:
            if column.sql not in table.key and self.choose.random() < null and not getattr(column, "not_null", False):
                row.append(None)
            else:
                row.append(values.value(self.choose, column.type, self.wild, spread))
        return row

    def insert(self, table, count, spread=60):
        rows = []
        for _ in range(count):
            row = self.row(table, spread)
            if self.taken(table, row) and self.choose.random() < 0.98:
                continue
            rows.append(row)
        if not rows:
            return
        for row in rows:
            for column, value in zip(table.columns, row):
                column.pool = list(column.pool)[-60:] + [value]
        texts = [Node(None, ["(", ", ".join(values.literal(v, c.type.name) for c, v in zip(table.columns, row)), ")"])
                 for row in rows]
        self.emit([f"INSERT INTO {table.name} VALUES ", Items(texts)], "write")

    def taken(self, table, row):
        """Whether one of the row's keys was probably inserted before; if not, it is now."""
        seen = table.__dict__.setdefault("seen", set())
        named = dict(zip((column.sql for column in table.columns), row))
        keys = [(number, *(named[name] for name in names)) for number, names in enumerate([table.key, *table.uniques]) if names]
        keys = {tuple(str(value).rstrip() for value in key) for key in keys if None not in key}
        if keys & seen:
            return True
        seen |= keys
        return False

    # ------------------------------------------------------------- writing

    def add(self):
        self.e.raises, first = False, len(self.statements)
        self.pick([(62, self.select), (6, self.insert_some), (8, self.update), (6, self.delete), (3, self.insert_select),
                   (9, self.prepared), (2, self.check_all), (2, self.broken), (1, self.recreate), (1, self.maintain)])()
        for statement in self.statements[first:]:
            statement.raises = self.e.raises

    def table(self):
        return self.choose.choice(self.tables)

    def scope(self, table, alias=None):
        prefix = f"{alias}." if alias else ""
        return [Column(prefix + c.sql, c.type, c.pool) for c in table.columns]

    def insert_some(self):
        choose, table = self.choose, self.table()
        if choose.random() < 0.5:
            return self.insert(table, choose.choice([1, 1, 3]), spread=200)
        columns = [c for c in table.columns if c.sql in table.key or choose.random() < 0.7] or table.columns
        columns = choose.sample(columns, len(columns))
        texts = []
        for c in columns:
            roll = choose.random()
            if roll < 0.1:
                texts.append(Node(None, ["DEFAULT"]))
            elif roll < 0.3:
                texts.append(self.e.expr(c.type.name, [], 1))
            elif roll < 0.4 and self.wild:
                texts.append(Node(None, [choose.choice(values.ODD[c.type.name])]))
            else:
                texts.append(Node(None, [values.literal(values.value(choose, c.type, self.wild, 900), c.type.name)]))
        self.emit([f"INSERT INTO {table.name} (", ", ".join(c.sql for c in columns), ") VALUES (", Items(texts), ")"], "write", lenient=True)

    def where(self, table, scope, chance=0.92):
        if self.choose.random() > chance:
            return Node(None, [])
        if table and table.key and self.choose.random() < 0.3:
            parts = []
            for name in table.key:
                column = next(c for c in scope if c.sql.split(".")[-1] == name)
                if self.choose.random() < 0.15:
                    parts.append(self.e.hole_inlist(scope, 0))
                else:
                    parts.append(Node("boolean", [f"{column.sql} = ", self.e.operand(column, scope)]))
            if self.choose.random() < 0.25:
                parts.append(self.e.expr("boolean", scope, 1))
            return Node(None, [" WHERE ", Items(parts, " AND ")], optional=True)
        return Node(None, [" WHERE ", self.e.expr("boolean", scope, self.choose.choice([1, 1, 2, 3]))], optional=True)

    def assignment(self, table, column, scope):
        choose = self.choose
        roll = choose.random()
        if roll < 0.08:
            source = Node(None, ["DEFAULT"])
        elif roll < 0.16 and column.sql not in table.key:
            source = Node(None, ["NULL"])
        elif roll < 0.4:
            source = Node(None, [values.literal(values.value(choose, column.type, self.wild), column.type.name)])
        elif roll < 0.5 and column.type.name in NUMBERS:
            source = self.e.expr(choose.choice(NUMBERS), scope, 1)
        else:
            source = self.e.expr(column.type.name, scope, choose.choice([1, 2]))
        return Node(None, [f"{column.sql} = ", source])

    def update(self):
        choose, table = self.choose, self.table()
        scope = self.scope(table)
        others = [c for c in table.columns if c.sql not in table.keyed]
        if others and choose.random() < 0.08:
            return self.update_from(table, choose.choice(others))
        keyed = table.keyed and (not others or choose.random() < (0.3 if table.uniques else 0.12))
        columns = [choose.choice([c for c in table.columns if c.sql in table.keyed])] if keyed else \
            choose.sample(others, min(len(others), choose.choice([1, 1, 2])))
        sets = []
        for column in columns:
            if keyed:  # a constant: which of two rows collides first must not matter
                raw = values.value(choose, column.type, False, 400)
                column.pool = list(column.pool) + [raw]
                sets.append(Node(None, [f"{column.sql} = {values.literal(raw, column.type.name)}"]))
            else:
                sets.append(self.assignment(table, column, scope))
        where = self.where(table, scope)
        self.emit([f"UPDATE {table.name} SET ", Items(sets), where], "write", lenient=True)

    def update_from(self, table, target):
        """UPDATE ... FROM groups of another table: at most one row meets each target."""
        source, alias, inner = self.table(), self.alias(), self.alias()
        pairs = [(k, s) for k in table.columns for s in source.columns if k.type.name == s.type.name]
        pair = self.choose.choice(pairs) if pairs else None
        same = [c for c in source.columns if c.type.name == target.type.name and c.type.name in ORDERED]
        if not pair or not same:
            return
        self.emit([f"UPDATE {table.name} SET {target.sql} = {alias}.v FROM (SELECT {inner}.{pair[1].sql} AS k, ",
                   f"max({inner}.{self.choose.choice(same).sql}) AS v FROM {source.name} {inner} GROUP BY {inner}.{pair[1].sql}) AS {alias} ",
                   f"WHERE {table.name}.{pair[0].sql} = {alias}.k"], "write", lenient=True)

    def delete(self):
        table = self.table()
        scope = self.scope(table)
        if self.choose.random() < 0.06:
            alias = self.alias()
            other = self.scope(self.table(), alias)
            pairs = [(a, b) for a in self.scope(table, table.name) for b in other if a.type.name == b.type.name]
            if pairs:
                a, b = self.choose.choice(pairs)
                rest = self.e.hole_comparison(other, 1)
                name = next(t.name for t in self.tables if len(t.columns) == len(other) and
                            [c.type for c in t.columns] == [c.type for c in other])
                return self.emit([f"DELETE FROM {table.name} USING {name} AS {alias} WHERE {a.sql} = {b.sql} AND ", rest], "write", lenient=True)
        if self.choose.random() < 0.6 and table.key:
            key = next(c for c in scope if c.sql == table.key[0])
            where = Node(None, [f" WHERE {key.sql} = ", self.e.operand(key, scope)])
        else:
            narrow = self.e.hole_comparison(scope, 1)
            where = Node(None, [" WHERE ", Items([narrow, self.e.expr("boolean", scope, 2)], " AND ")])
        self.emit([f"DELETE FROM {table.name}", where], "write", lenient=True)
        if self.choose.random() < 0.7:
            self.insert(table, self.choose.choice([2, 5, 10]), spread=300)

    def insert_select(self):
        choose, table, source = self.choose, self.table(), self.table()
        scope = self.scope(source)
        parts = []
        for column in table.columns:
            same = [c for c in scope if c.type.name == column.type.name]
            if column.sql in table.key and column.type.name in INTEGERS:
                parts.append(self.e.expr(column.type.name, scope, 1))
            elif same and choose.random() < 0.7:
                parts.append(Node(None, [choose.choice(same).sql]))
            else:
                parts.append(self.e.expr(column.type.name, scope, 1))
        limit = self.e.hole_comparison(scope, 1)
        self.emit([f"INSERT INTO {table.name} SELECT ", ", ".join(map(str, parts)), f" FROM {source.name} WHERE ",
                   limit, f" AND {scope[0].sql} = ", self.e.operand(scope[0], scope)], "write", lenient=True)

    def check_all(self):
        table = self.table()
        if self.large:
            return self.select()
        self.emit([f"SELECT * FROM {table.name}"], "select")

    def maintain(self):
        """Not SQL: row groups are frozen and compacted."""
        self.emit(["-- maintain"], "maintain")

    def recreate(self):
        """DDL's own errors, and a table that comes again with other columns."""
        choose = self.choose
        sql = choose.choice(["DROP TABLE t9", "DROP TABLE IF EXISTS t9", "CREATE TABLE t0 (a integer)",
                             "CREATE TABLE IF NOT EXISTS t0 (a integer)", "CREATE TABLE t8 (a integer, a text)",
                             "CREATE TABLE t8 (a integer PRIMARY KEY, b text PRIMARY KEY)",
                             "CREATE TABLE t8 (a nonsense)", "CREATE TABLE t8 (a integer, PRIMARY KEY (b))"])
        self.emit([sql], "ddl")

    def broken(self):
        """Statements that must fail, each with its SQLSTATE."""
        table = self.table()
        a = table.columns[0].sql
        sql = self.choose.choice([
            f"SELECT nothing FROM {table.name}", f"SELECT {a} FROM nowhere", f"SELECT nope({a}) FROM {table.name}",
            f"SELECT {a}, count(*) FROM {table.name}", f"SELECT sum(count(*)) FROM {table.name}",
            f"SELECT {a} FROM {table.name} x, {table.name} y", f"SELECT * FROM {table.name} WHERE count(*) > 1",
            f"SELECT {a} FROM {table.name} ORDER BY 99", f"SELECT {a} FROM {table.name} GROUP BY 99",
            f"SELECT {a} FROM {table.name} LIMIT -1", f"SELECT x.{a} FROM {table.name} y",
            f"INSERT INTO {table.name} ({a}, {a}) VALUES (1, 2)", f"INSERT INTO {table.name} (nope) VALUES (1)",
            f"UPDATE {table.name} SET nope = 1", f"UPDATE {table.name} SET {a} = {a}, {a} = {a}", f"DELETE FROM nowhere",
            f"SELECT {a} FROM {table.name} UNION SELECT {a}, {a} FROM {table.name}", "SELECT 1 +", "SELEC 1",
            f"SELECT (SELECT {a} FROM {table.name})", "SELECT 1/0", "SELECT 'a'::integer", "SELECT 1 WHERE 1",
            f"SELECT {a} FROM {table.name} WHERE {a} = (SELECT 1, 2)", "SELECT length(1, 2)", "SELECT 2147483647 + 1",
            f"SELECT * FROM {table.name} {table.name}, {table.name}", f"SELECT DISTINCT {a} FROM {table.name} ORDER BY {a} || 'x'",
            f"SELECT {a} AS x FROM {table.name} HAVING true", f"SELECT CASE WHEN 1 THEN 2 END"])
        self.emit([sql], "select", lenient="(SELECT" in sql)

    # ------------------------------------------------------------- queries

    def alias(self):
        self.aliases += 1
        return f"a{self.aliases}"

    def select(self):
        from queries import Query
        query = Query(self).make()
        self.statements.append(query)

    def prepared(self):
        """A statement with parameters, executed several times."""
        from queries import Query
        choose, e = self.choose, self.e
        e.parameters = []
        kind = choose.choice(["select", "select", "point", "point", "update", "delete", "insert"])
        table = self.table()
        scope = self.scope(table)
        order, lenient = (), True
        if kind == "select":
            statement = Query(self).make()
            tree, order, lenient = statement.tree, statement.order, statement.lenient
        elif kind in ("point", "delete"):
            columns = table.key or [scope[0].sql]
            parts = [Node("boolean", [f"{name} = ", self.forced(next(c for c in scope if c.sql == name))]) for name in columns]
            tree = Node(None, ["SELECT * FROM " if kind == "point" else "DELETE FROM ", table.name, " WHERE ", Items(parts, " AND ")])
        elif kind == "update":
            key = next((c for c in scope if c.sql in table.key), scope[0])
            target = choose.choice([c for c in scope if c.sql not in table.key] or scope)
            tree = Node(None, [f"UPDATE {table.name} SET {target.sql} = ", self.forced(target), f" WHERE {key.sql} = ", self.forced(key)])
        else:
            tree = Node(None, [f"INSERT INTO {table.name} VALUES (", Items([self.forced(c, fresh=True) for c in table.columns]), ")"])
        makers, e.parameters = e.parameters, None
        if any(f"${n + 1}" not in str(tree) for n in range(len(makers))):
            return  # a part with a parameter was not used
        runs = [[None if choose.random() < 0.04 else make() for make in makers] for _ in range(choose.choice([1, 3, 7]))]
        self.statements.append(Statement(tree, "select" if kind in ("select", "point") else "write", order, lenient, runs))

    def forced(self, column, fresh=False):
        """A parameter where a value of the column is wanted."""
        make = (lambda: values.value(self.choose, column.type, self.wild, 2000)) if fresh else (lambda: self.e.near(column))
        self.e.parameters.append(make)
        return Node(None, [f"${len(self.e.parameters)}"])

    def subquery(self, kind, type, scope, column=None):
        """A subquery inside an expression: correlated with the scope half of the time."""
        choose, alias, table = self.choose, self.alias(), self.table()
        inner = self.scope(table, alias)
        saved, self.e.subquery = self.e.subquery, None
        outer = scope if choose.random() < 0.5 and scope and all("." in c.sql for c in scope) else []
        where = Node(None, [" WHERE ", self.e.expr("boolean", inner + outer, 2)], optional=True)
        if kind == "in" or (kind == "scalar" and type == "boolean" and choose.random() < 0.5):
            column = column or choose.choice(scope or inner)
            same = [c for c in inner if c.type.name == column.type.name]
            item = choose.choice(same).sql if same else str(self.e.literal(column.type.name, inner))
            word = choose.choice([" IN ", " IN ", " NOT IN ", " = ANY ", " <> ALL "])
            node = Node("boolean", ["(", column.sql, word, f"(SELECT {item} FROM {table.name} {alias}", where, "))"])
        elif type == "boolean":
            node = Node("boolean", [choose.choice(["EXISTS", "NOT EXISTS"]), f" (SELECT 1 FROM {table.name} {alias}", where, ")"])
        else:
            body = self.e.expr(type, inner, 1)
            call = ["max(", body, ")"] if type in ORDERED else [body]
            limit = "" if type in ORDERED else " LIMIT 0"
            node = Node(type, ["(SELECT ", *call, f" FROM {table.name} {alias}", where, limit, ")"])
        self.e.subquery = saved
        return node
