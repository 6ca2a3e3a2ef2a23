"""Random typed expressions over the columns of a scope.

A template is SQL with holes: `{text}` an expression of a type, `{#small}` a hole filled by the
method `hole_small`. Every expression that may raise an error at run time (overflow, division by
zero, a cast of text) marks its Expressions object: `raises`.
"""
import re

from tree import Items, Node
import values
from values import INTEGERS, NUMBERS, ODD, STRINGS, TIMES

COMPARISONS = ["=", "=", "=", "<>", "<", "<=", ">", ">=", "!="]

# result type -> [(weight, template)]; `!` before a template: it may raise an error.
TEMPLATES = {
    "smallint": ["2 !({smallint} + {smallint})", "1 !({smallint} * {smallint})", "1 !({smallint} - {smallint})",
                 "1 !(- {smallint})", "1 !abs({smallint})", "1 !CAST({integer} AS smallint)",
                 "1 !({smallint} / {smallint})", "1 !({smallint} % {smallint})", "1 mod({smallint}, {#divisor:smallint})"],
    "integer": ["4 !({integer} + {integer})", "2 !({integer} * {integer})", "3 !({integer} - {integer})",
                "2 !({smallint} + {integer})", "1 !({integer} / {integer})", "2 ({integer} / {#divisor:integer})",
                "2 ({integer} % {#divisor:integer})", "1 !(- {integer})", "1 (+ {integer})", "2 !abs({integer})",
                "3 length({text})", "1 char_length({text})", "1 octet_length({text})", "1 length({bytea})",
                "2 strpos({text}, {text})", "1 position({text} IN {text})", "1 ascii({text})",
                "2 ({date} - {date})", "1 !CAST({bigint} AS integer)", "1 !CAST({double precision} AS integer)",
                "1 !CAST({numeric} AS integer)", "1 CAST({boolean} AS integer)", "1 !CAST({#numeral} AS integer)",
                "1 CAST({smallint} AS integer)", "1 !CAST({real} AS integer)", "1 mod({integer}, {#divisor:integer})",
                "1 ({integer} & {integer})", "1 ({integer} | {integer})", "1 ({integer} # {integer})",
                "1 bit_length({text})", "1 !gcd({integer}, {integer})", "1 regexp_count({text}, 'a')", "1 ({integer} << {#small})", "1 ({integer} >> {#small})", "1 (~ {integer})"],
    "bigint": ["3 !({bigint} + {integer})", "2 !({bigint} - {bigint})", "1 !({integer} * {bigint})",
               "1 ({bigint} / {#divisor:bigint})", "1 ({bigint} % {#divisor:bigint})", "1 !abs({bigint})",
               "1 CAST({integer} AS bigint)", "1 !CAST({numeric} AS bigint)", "1 !CAST({double precision} AS bigint)",
               "1 !CAST({#numeral} AS bigint)", "1 !(- {bigint})", "1 !({bigint} * {bigint})", "1 ({bigint} & {bigint})"],
    "numeric": ["3 ({numeric} + {numeric})", "2 ({numeric} - {numeric})", "2 ({numeric} * {numeric})",
                "2 ({numeric} + {integer})", "1 ({bigint} * {numeric})", "2 round({numeric}, {#small})",
                "1 round({numeric})", "1 trunc({numeric}, {#small})", "1 trunc({numeric})", "1 floor({numeric})",
                "1 ceil({numeric})", "1 ceiling({numeric})", "1 abs({numeric})", "1 (- {numeric})",
                "1 sign({numeric})", "1 CAST({integer} AS numeric(12,2))", "1 !CAST({numeric} AS numeric(8,1))",
                "1 !CAST({#numeral} AS numeric(10,2))", "1 div({numeric}, {#divisor:numeric})", "1 round({numeric}, {#signed})", "1 trunc({numeric}, {#signed})", "1 !power({numeric}, 2)", "1 !CAST({double precision} AS numeric(20,4))", "1 ({numeric} % {#divisor:numeric})", "1 mod({numeric}, {#divisor:numeric})",
                "1 extract({#field} FROM {timestamp})", "1 extract({#datefield} FROM {date})"],
    "real": ["2 ({real} + {real})", "1 ({real} * {real})", "1 (- {real})", "1 abs({real})", "1 CAST({integer} AS real)",
             "1 CAST({smallint} AS real)", "1 !({real} / {real})", "1 !CAST({#numeral} AS real)"],
    "double precision": ["3 ({double precision} + {double precision})", "2 ({double precision} * {double precision})",
                         "2 ({double precision} - {real})", "1 ({double precision} + {integer})", "1 (- {double precision})",
                         "1 abs({double precision})", "1 sqrt(abs({double precision}))", "1 round({double precision})",
                         "1 floor({double precision})", "1 ceil({double precision})", "1 trunc({double precision})",
                         "1 CAST({integer} AS double precision)", "1 CAST({numeric} AS double precision)",
                         "1 !({double precision} / {double precision})", "1 sign({double precision})",
                         "1 !power({double precision}, {#small})", "1 !CAST({#numeral} AS double precision)",
                         "1 CAST({real} AS double precision)", "1 date_part({#fieldtext}, {timestamp})",
                         "1 exp({#small})", "1 ({real} + {numeric})", "1 !sqrt({double precision})", "1 !ln({double precision})",
                         "1 sin({#small})", "1 !log({double precision})", "1 cbrt({double precision})", "1 !power({double precision}, 0.5)",
                         "1 degrees({#small})"],
    "text": ["4 ({text} || {text})", "2 ({text} || {integer})", "2 upper({text})", "2 lower({text})",
             "2 substr({text}, {#small}, {#small})", "2 substring({text} FROM {#small} FOR {#small})",
             "1 substring({text} FROM {#small})", "1 substr({text}, {#small})", "1 trim({text})", "1 ltrim({text})",
             "1 rtrim({text})", "1 btrim({text}, {text})", "1 trim(BOTH 'a' FROM {text})", "1 trim(LEADING FROM {text})",
             "2 replace({text}, {text}, {text})", "2 left({text}, {#signed})", "2 right({text}, {#signed})",
             "1 repeat({text}, {#small})", "1 lpad({text}, {#small})", "1 rpad({text}, {#small}, 'xy')", "1 reverse({text})",
             "2 concat({text}, {integer}, {text})", "1 concat_ws('-', {text}, {text})", "1 !split_part({text}, 'b', {#one})",
             "1 initcap({text})", "1 md5({text})", "1 translate({text}, 'abc', 'xy')", "2 CAST({integer} AS text)",
             "1 CAST({boolean} AS text)", "1 CAST({date} AS text)", "1 CAST({timestamp} AS text)", "1 CAST({uuid} AS text)",
             "1 CAST({double precision} AS text)", "1 CAST({#decimal} AS text)", "1 CAST({varchar} AS text)",
             "1 CAST({char} AS text)", "1 {varchar}::text", "1 ({char} || {text})", "1 upper({varchar})", "1 substr({char}, 2, 2)", "1 chr({#letter})", "1 to_hex({#small})", "1 quote_literal({text})",
             "1 CAST({bytea} AS text)", "1 encode({bytea}, 'hex')",
             "1 overlay({text} PLACING 'zz' FROM 2 FOR {#small})", "1 quote_ident({text})", "1 regexp_replace({text}, 'b+', 'X')",
             "1 to_char({timestamp}, {#template})", "1 to_char({date}, {#template})", "1 to_char({numeric}, {#places})", "1 to_char({integer}, {#places})", "1 to_char({double precision}, {#places})", "1 left({text}, {integer})", "1 !repeat({text}, {smallint})",
             "1 CAST({numeric} AS numeric(12,3))::text", "1 CAST({real} AS text)", "1 CAST({bigint} AS text)", "1 CAST({timestamptz} AS text)"],
    "varchar": ["2 CAST({text} AS varchar)", "1 CAST({text} AS varchar(4))"],
    "char": ["1 CAST({text} AS char(4))"],
    "bytea": ["1 ({bytea} || {bytea})", "1 substring({bytea} FROM {#small} FOR {#small})"],
    "date": ["2 ({date} + {#small})", "1 ({date} - {#small})", "2 CAST({timestamp} AS date)", "1 CAST({timestamptz} AS date)",
             "1 !CAST({#day} AS date)", "1 make_date(2020, {#month}, {#month})"],
    "timestamp": ["2 date_trunc({#unit}, {timestamp})", "1 CAST({date} AS timestamp)", "1 CAST({timestamptz} AS timestamp)",
                  "1 ({timestamp} + INTERVAL {#interval})", "1 ({timestamp} - INTERVAL {#interval})",
                  "1 ({date} + INTERVAL {#interval})"],
    "timestamptz": ["1 date_trunc({#unit}, {timestamptz})", "1 CAST({timestamp} AS timestamptz)",
                    "1 ({timestamptz} + INTERVAL {#interval})", "1 CAST({date} AS timestamptz)"],
    "uuid": ["1 CAST(CAST({uuid} AS text) AS uuid)"],
    "boolean": ["9 {#comparison}", "3 ({boolean} AND {boolean})", "3 ({boolean} OR {boolean})", "2 (NOT {boolean})",
                "2 ({#any} IS NULL)", "2 ({#any} IS NOT NULL)", "2 ({text} LIKE {#pattern})", "1 ({text} NOT LIKE {#pattern})",
                "1 ({text} ILIKE {#pattern})", "1 ({varchar} LIKE {#pattern})", "4 {#inlist}", "3 {#between}", "2 {#distinct}",
                "1 ({boolean} IS TRUE)", "1 ({boolean} IS NOT FALSE)", "1 ({boolean} IS UNKNOWN)", "1 starts_with({text}, {text})", "1 ({text} ~ 'a+b?')", "1 ({text} !~* '^A')", "1 ({char} = {text})", "1 ({char} LIKE {#pattern})",
                "1 (({integer}, {text}) = ({integer}, {text}))", "1 (({integer}, {text}) < ({integer}, {text}))", "1 ({real} = {double precision})",
                "1 ({numeric} = {double precision})", "1 ({text} SIMILAR TO 'a%')", "1 ({text} LIKE 'a!%' ESCAPE '!')",
                "3 {#odd}", "1 CAST({integer} AS boolean)", "1 !CAST({#truth} AS boolean)", "1 ({boolean} = {boolean})"],
}


def parse_templates():
    parsed = {}
    for name, lines in TEMPLATES.items():
        for line in lines:
            weight, template = line.split(" ", 1)
            raises = template.startswith("!")
            pieces = re.split(r"\{([^}]*)\}", template.lstrip("!"))
            parsed.setdefault(name, []).extend([(pieces, raises)] * int(weight))
    return parsed


PARSED = parse_templates()


class Column:
    """A column that expressions may name: its SQL, its type and values that it may hold."""

    def __init__(self, sql, type, pool=()):
        self.sql, self.type, self.pool = sql, type, pool


class Expressions:
    """Makes expressions with one source of randomness. `wild`: with odd and extreme literals."""

    def __init__(self, choose, wild):
        self.choose, self.wild = choose, wild
        self.raises = False
        self.parameters = None  # a list while a prepared statement is made: (type name, makers)
        self.subquery = None    # makes subqueries: (kind, type or None, scope) -> Node

    def expr(self, name, scope, depth):
        """An expression of a type over the scope's columns."""
        choose = self.choose
        roll = choose.random()
        columns = [c for c in scope if c.type.name == name]
        if depth <= 0 or roll < 0.35:
            if columns and choose.random() < 0.75:
                return Node(name, [choose.choice(columns).sql])
            return self.literal(name, scope)
        if roll < 0.47:
            return self.conditional(name, scope, depth)
        if roll < 0.49 and self.subquery and depth >= 2:
            return self.subquery("scalar", name, scope)
        pieces, raises = choose.choice(PARSED[name])
        self.raises |= raises
        return self.fill(name, pieces, scope, depth - 1)

    def fill(self, name, pieces, scope, depth):
        parts = []
        for number, piece in enumerate(pieces):
            if number % 2 == 0:
                parts.append(piece)
            elif piece[0] == "#":
                hole, _, detail = piece[1:].partition(":")
                parts.append(getattr(self, "hole_" + hole)(scope, depth, *([detail] if detail else [])))
            else:
                parts.append(self.expr(piece, scope, depth))
        return Node(name, parts)

    def conditional(self, name, scope, depth):
        choose = self.choose
        some = lambda: self.expr(name, scope, depth - 1)
        kind = choose.choice(["case", "case", "simple", "coalesce", "nullif", "greatest", "least"])
        if kind == "case":
            arms = Items([Node(None, [" WHEN ", self.expr("boolean", scope, depth - 1), " THEN ", some()])
                          for _ in range(choose.choice([1, 1, 2]))], "")
            end = Node(None, [" ELSE ", some()], optional=True) if choose.random() < 0.7 else ""
            return Node(name, ["CASE", arms, end, " END"])
        if kind == "simple":
            on = choose.choice(["integer", "text", "date"])
            arms = Items([Node(None, [" WHEN ", self.literal(on, scope), " THEN ", some()]) for _ in range(2)], "")
            return Node(name, ["CASE ", self.expr(on, scope, depth - 1), arms, " ELSE ", some(), " END"])
        if kind == "nullif":
            return Node(name, ["nullif(", some(), ", ", some(), ")"])
        if kind == "coalesce" or name == "boolean":
            return Node(name, ["coalesce(", Items([some() for _ in range(choose.choice([2, 2, 3]))]), ")"])
        return Node(name, [kind, "(", Items([some() for _ in range(2)]), ")"])

    def literal(self, name, scope):
        """A constant of exactly this type: sometimes a column's value, sometimes NULL."""
        choose = self.choose
        if choose.random() < 0.04:
            return Node(name, [f"CAST(NULL AS {name})"])
        type = values.ColumnType(name, 10, 2)
        raw = self.raw(name, scope)
        if name in ("integer", "boolean") and choose.random() < 0.8 and self.fits_integer(name, raw):
            return Node(name, [values.literal(raw, name)])
        if name == "text" and choose.random() < 0.6:
            return Node(name, [values.quote(raw)])
        if name == "numeric":
            return Node(name, [values.literal(raw if "." in raw else raw + ".0", name)])
        return Node(name, [values.typed(raw, type if name == "numeric" else values.ColumnType(name))])

    def fits_integer(self, name, raw):
        return name != "integer" or -2**31 < int(raw) < 2**31

    def raw(self, name, scope):
        """The text of a value of the type, from a column's values where there is one."""
        pools = [c.pool for c in scope if c.type.name == name and c.pool]
        if pools and self.choose.random() < 0.65:
            found = self.choose.choice(self.choose.choice(pools))
            if found is not None:
                return found
        return values.value(self.choose, values.ColumnType(name, 10, 2), self.wild and self.choose.random() < 0.3)

    def operand(self, column, scope):
        """What a column is compared with: a literal as users write it, or a parameter."""
        raw = self.near(column)
        if self.parameters is not None and self.choose.random() < 0.7:
            self.parameters.append(lambda: self.near(column))
            return Node(None, [f"${len(self.parameters)}"])
        return Node(None, [values.literal(raw, column.type.name)])

    def near(self, column):
        """A value that the column may hold, mostly one that it does."""
        if column.pool and self.choose.random() < 0.75:
            found = self.choose.choice(column.pool)
            if found is not None:
                return found
        return values.value(self.choose, column.type, False)

    def column(self, scope, names=None):
        columns = [c for c in scope if names is None or c.type.name in names]
        return self.choose.choice(columns) if columns else None

    # ------------------------------------------------------------- holes

    def hole_small(self, scope, depth):
        if self.wild and self.choose.random() < 0.05:
            self.raises = True
            return self.choose.choice(["(-1)", "100", "2147483647", "(-2147483648)"])
        return str(self.choose.choice([0, 1, 1, 2, 2, 3, 4]))

    def hole_signed(self, scope, depth):
        if self.wild and self.choose.random() < 0.05:
            return self.choose.choice(["2147483647", "(-2147483648)"])
        return str(self.choose.choice([0, 1, 2, 3, 5, -1, -2]))

    def hole_one(self, scope, depth):
        return str(self.choose.choice([1, 1, 2, 3, -1, 0] if self.wild else [1, 1, 2, 3, -1]))

    def hole_month(self, scope, depth):
        return str(self.choose.randrange(1, 13))

    def hole_letter(self, scope, depth):
        return str(self.choose.choice([65, 97, 48, 228]))

    def hole_divisor(self, scope, depth, name):
        number = self.choose.choice(["2", "3", "7", "(-3)"])
        return number if name in ("integer", "numeric") else f"CAST({number} AS {name})"

    def hole_field(self, scope, depth):
        return self.choose.choice(["year", "month", "day", "hour", "minute", "second", "epoch", "dow", "doy",
                                   "quarter", "week", "isodow", "isoyear", "century"])

    def hole_datefield(self, scope, depth):
        return self.choose.choice(["year", "month", "day", "epoch", "dow", "doy", "quarter", "week"])

    def hole_fieldtext(self, scope, depth):
        return values.quote(self.hole_field(scope, depth))

    def hole_unit(self, scope, depth):
        return values.quote(self.choose.choice(["year", "month", "day", "hour", "minute", "second", "week", "quarter"]))

    def hole_template(self, scope, depth):
        return values.quote(self.choose.choice(["YYYY-MM-DD HH24:MI:SS", "FMDay DDth Month, YY", "HH12:MI:SS.MS pm", "IYYY-IW-ID",
                                                "Mon DDD Q J", "CC B.C. FMRM", "YYYY", ""]))

    def hole_places(self, scope, depth):
        return values.quote(self.choose.choice(["999", "9,999.99", "FM9990.00", "S0999", "99PR", "FM99th", "MI9.9", "$99.0"]))

    def hole_interval(self, scope, depth):
        return values.quote(self.choose.choice(["1 day", "1 month", "2 hours", "1 year", "36:00:00", "1 day 2 hours",
                                                "-1 month", "90 minutes", "1 week"]))

    def rarely(self, scope, depth, texts):
        """Text that a cast accepts, or one time in ten any text."""
        if self.choose.random() < 0.1:
            return self.expr("text", scope, depth)
        return values.quote(self.choose.choice(texts))

    def hole_numeral(self, scope, depth):
        if self.choose.random() < 0.4:
            return f"CAST({self.expr('integer', scope, depth)} AS text)"
        return self.rarely(scope, depth, ["12", "-7", " 3 ", "0", "100"])

    def hole_day(self, scope, depth):
        return self.rarely(scope, depth, values.DATES + ["2020-1-5", "20200105", "Jan 5, 2020"])

    def hole_truth(self, scope, depth):
        return self.rarely(scope, depth, ["t", "no", "TRUE", "off", "1", " yes "])

    def hole_decimal(self, scope, depth):
        column = self.column(scope, ("numeric",))
        return column.sql if column else "12.50"

    def hole_any(self, scope, depth):
        column = self.column(scope)
        return Node(None, [column.sql]) if column else self.expr("integer", scope, depth)

    def hole_pattern(self, scope, depth):
        return values.quote(self.choose.choice(["a%", "%b", "%b%", "_", "__%", "%", "", "a_c", "abc", "x\\_y", "a\\%b",
                                                "%o %", "A%", "%\\\\%", "it''s"]).replace("''", "'"))

    def hole_comparison(self, scope, depth):
        choose = self.choose
        column = self.column(scope)
        operator = choose.choice(COMPARISONS)
        if column and choose.random() < 0.55:
            sides = [Node(None, [column.sql]), f" {operator} ", self.operand(column, scope)]
            if choose.random() < 0.15:
                sides.reverse()
            return Node("boolean", ["(", *sides, ")"])
        left = right = choose.choice(("integer", "integer", "text", "numeric", "date", "timestamp", "bigint", "double precision"))
        if left in NUMBERS and choose.random() < 0.3:
            right = choose.choice(NUMBERS)
        elif left in TIMES and choose.random() < 0.3:
            right = choose.choice(TIMES)
        elif left in STRINGS and choose.random() < 0.2:
            right = choose.choice(STRINGS)
        return Node("boolean", ["(", self.expr(left, scope, depth), f" {operator} ", self.expr(right, scope, depth), ")"])

    def hole_inlist(self, scope, depth):
        column = self.column(scope)
        if not column:
            return Node("boolean", ["(1 IN (1, 2))"])
        if self.subquery and self.choose.random() < 0.15:
            return self.subquery("in", column.type.name, scope, column)
        items = [self.operand(column, scope) for _ in range(self.choose.choice([1, 2, 3, 5]))]
        if self.choose.random() < 0.1:
            items.append(Node(None, ["NULL"]))
        negated = " NOT IN (" if self.choose.random() < 0.2 else " IN ("
        return Node("boolean", ["(", column.sql, negated, Items(items), "))"])

    def hole_between(self, scope, depth):
        column = self.column(scope, [t for t in values.TYPES if t != "boolean"])
        if not column:
            return Node("boolean", ["(2 BETWEEN 1 AND 3)"])
        word = self.choose.choice([" BETWEEN ", " BETWEEN ", " BETWEEN ", " NOT BETWEEN ", " BETWEEN SYMMETRIC "])
        return Node("boolean", ["(", column.sql, word, self.operand(column, scope), " AND ", self.operand(column, scope), ")"])

    def hole_distinct(self, scope, depth):
        column = self.column(scope)
        if not column:
            return Node("boolean", ["(1 IS DISTINCT FROM 2)"])
        other = self.choose.choice([c for c in scope if c.type.name == column.type.name])
        right = other.sql if self.choose.random() < 0.5 else self.operand(column, scope)
        return Node("boolean", ["(", column.sql, self.choose.choice([" IS DISTINCT FROM ", " IS NOT DISTINCT FROM "]), right, ")"])

    def hole_odd(self, scope, depth):
        """A column against a literal that its type does not expect."""
        column = self.column(scope)
        if not column or not self.wild:
            return self.hole_comparison(scope, depth)
        odd = self.choose.choice(ODD[column.type.name])
        if self.choose.random() < 0.2:
            return Node("boolean", ["(", column.sql, " IN (", odd, ", ", self.operand(column, scope), "))"])
        return Node("boolean", ["(", column.sql, f" {self.choose.choice(COMPARISONS)} ", odd, ")"])
