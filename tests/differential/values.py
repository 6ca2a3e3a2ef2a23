"""Random values and literals of every type.

A value is PostgreSQL's text of it (`raw`), None for NULL. Few distinct ones, so that joins and
predicates meet; where `wild`, the limits of the type and oddities too.
"""

TYPES = ("boolean", "smallint", "integer", "bigint", "real", "double precision", "numeric", "text",
         "varchar", "char", "bytea", "date", "timestamp", "timestamptz", "uuid")
INTEGERS = ("smallint", "integer", "bigint")
NUMBERS = INTEGERS + ("numeric", "real", "double precision")
STRINGS = ("text", "varchar", "char")
TIMES = ("date", "timestamp", "timestamptz")
QUOTED = STRINGS + TIMES + ("bytea", "uuid", "boolean")

LIMITS = {"smallint": (-2**15, 2**15 - 1), "integer": (-2**31, 2**31 - 1),
          "bigint": (-2**63, 2**63 - 1)}
WORDS = ["a", "b", "abc", "Abc", "abcdef", "x_y", "a%b", "", "foo bar", "it's", "12", "-7", "1.5",
         "zz", "B", "ab", "aab", "hello", "NULL", "true", "2020-02-29", "back\\slash"]
WILD_WORDS = ["ä", "日本語", " lead", "trail ", "tab\there", "q\"uote", "🙂x", "x" * 90, "a\nb", "%", "_"]
DATES = ["2020-01-01", "2020-02-29", "2020-12-31", "1999-12-31", "2021-03-15", "2021-03-16", "1970-01-01"]
WILD_DATES = ["1969-12-31", "0001-01-01", "9999-12-31", "1582-10-04", "2000-02-29", "1900-02-28"]
CLOCKS = ["00:00:00", "12:34:56", "23:59:59.999999", "06:00:00.5", "12:00:00"]
UUIDS = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
         "12345678-1234-5678-1234-567812345678", "7fffffff-0000-0000-0000-000000000001"]


class ColumnType:
    """A type with its modifiers, as CREATE TABLE writes it."""

    def __init__(self, name, precision=0, scale=0, length=0):
        self.name, self.precision, self.scale, self.length = name, precision, scale, length

    def __str__(self):
        if self.name == "numeric":
            return f"numeric({self.precision},{self.scale})"
        if self.name in ("varchar", "char") and self.length:
            return f"{self.name}({self.length})"
        return self.name


def column_type(choose, names=TYPES):
    name = choose.choice(names)
    if name == "numeric":
        precision = choose.choice([5, 10, 12, 18, 20, 30])
        return ColumnType(name, precision, choose.choice([0, 1, 2, 2, 4, min(precision, 6)]))
    if name in ("varchar", "char"):
        return ColumnType(name, length=choose.choice([3, 5, 10, 20]))
    return ColumnType(name)


def integer(choose, name, wild, spread=60):
    low, high = LIMITS[name]
    if wild and choose.random() < 0.15:
        return choose.choice([low, high, low + 1, high - 1, 2**53 + 1 if name == "bigint" else 0, 0])
    return choose.randrange(-spread // 4, spread)


def numeric(choose, type, wild):
    digits = type.precision - type.scale
    if wild and choose.random() < 0.15:
        whole = choose.choice(["9" * digits or "0", "-" + ("9" * digits or "0"), "0"])
        return whole + ("." + "9" * type.scale if type.scale else "")
    whole = choose.randrange(-40, 60) if digits >= 2 else choose.randrange(-9, 10) if digits else 0
    if not type.scale or choose.random() < 0.3:
        return str(whole)
    return f"{whole}.{choose.randrange(10**min(type.scale, 3)):0{min(type.scale, 3)}d}"


def floating(choose, name, wild):
    if wild and choose.random() < 0.2:
        # Nothing so large that a sum depends on the order of its terms.
        return choose.choice(["NaN", "Infinity", "-Infinity", "1e-05", "0.1", "100000.5",
                              "123456.79" if name == "real" else "123456.7890123"])
    return choose.choice([str(choose.randrange(-20, 60)), f"{choose.randrange(-200, 600) / 4:g}",
                          f"{choose.randrange(1000) / 8:g}"])


def string(choose, type, wild):
    words = WORDS + WILD_WORDS if wild else WORDS
    word = choose.choice(words)
    if choose.random() < 0.2:
        word += choose.choice(WORDS)
    return word[:type.length] if type.length else word


def value(choose, type, wild, spread=60):
    """A random value of the type, as text."""
    name = type.name
    if name == "boolean":
        return choose.choice(["true", "false"])
    if name in INTEGERS:
        return str(integer(choose, name, wild, spread))
    if name == "numeric":
        return numeric(choose, type, wild)
    if name in ("real", "double precision"):
        return floating(choose, name, wild)
    if name in STRINGS:
        return string(choose, type, wild)
    if name == "bytea":
        length = choose.choice([0, 1, 2, 3, 20 if wild else 4])
        return "\\x" + bytes(choose.choice([0, 1, 97, 98, 255]) for _ in range(length)).hex()
    if name == "uuid":
        return choose.choice(UUIDS)
    day = choose.choice(DATES + WILD_DATES if wild else DATES)
    if name == "date":
        return day
    return f"{day} {choose.choice(CLOCKS)}" + ("+00" if name == "timestamptz" else "")


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def literal(raw, name):
    """SQL for a value, without a cast: its type may be left to the context."""
    if raw is None:
        return "NULL"
    if name == "boolean":
        return raw
    if name in QUOTED or not raw.lstrip("-")[:1].isdigit() or raw == "-0":
        return quote(raw)
    return f"({raw})" if raw.startswith("-") else raw


def typed(raw, type):
    """SQL for a value whose type must be exactly this."""
    return f"CAST({literal(raw, type.name)} AS {type})"


ODD = {
    "boolean": ["'t'", "'yes'", "'off'", "'maybe'", "1", "'1'", "NULL", "'TRUE'", "''"],
    "integer": ["42.0", "42.5", "'42'", "' 7 '", "'abc'", "99999999999999999999", "1e1", "NULL", "-0",
                "2147483648", "-2147483649", "9223372036854775807", "'9223372036854775808'", "true",
                "'1.0'", "''", "32768", "'5'::text", "5::real", "7.0::float8", "0x1F", "'+3'"],
    "real": ["1", "'1.5'", "0.1", "'NaN'", "'inf'", "1e400", "'x'", "NULL", "1e-50", "'-Infinity'", "true",
             "0.1::real", "0.25::float8", "10::bigint"],
    "numeric": ["1", "'1.50'", "0.1", "1e2", "'abc'", "NULL", "1.005", "99999999999999999999999999",
                "5::smallint", "2.5::float8", "true", "'1e1'", "' 3.0'", ".5", "5."],
    "text": ["5", "NULL", "'a'::varchar(2)", "'a  '::char(3)", "'abc '", "true", "''", "U&'\\0061'",
             "E'a\\nb'", "'12'", "1.5", "$$a$$"],
    "bytea": ["'a'", "'\\x61'", "NULL", "'\\xzz'", "5", "'\\x'", "''", "'a\\\\b'"],
    "date": ["'2020-01-01 12:00:00'", "'2020-13-01'", "'20200101'", "'Jan 1, 2020'", "NULL", "5", "'epoch'",
             "'2020-02-30'", "timestamp '2020-01-01 00:00:00'", "timestamp '2020-01-01 10:00:00'",
             "timestamptz '2020-01-01 00:00:00+02'", "'x'", "DATE '2021-03-15'", "'2020-1-1'"],
    "timestamp": ["'2020-01-01'", "'2020-01-01 00:00:00+05'", "DATE '2020-02-29'", "'2020-01-01T12:34:56'",
                  "'2020-01-01 25:00:00'", "NULL", "5", "'2020-02-29 12:34:56.1234567'", "'bad'",
                  "timestamptz '2020-01-01 12:34:56+00'", "'1970-01-01 00:00:00'", "'2020-01-01 24:00:00'"],
    "timestamptz": ["'2020-01-01'", "'2020-01-01 05:00:00+05'", "DATE '2020-02-29'", "NULL", "5",
                    "'2020-01-01T12:34:56Z'", "timestamp '2020-01-01 12:34:56'", "'2020-01-01 12:34:56-03:30'",
                    "'bad'", "'2020-12-31 23:59:59.999999+00'"],
    "uuid": ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'",
             "'a0eebc999c0b4ef8bb6d6bb9bd380a11'", "NULL", "'nope'", "5", "''"],
}
for same, like in [("smallint", "integer"), ("bigint", "integer"), ("double precision", "real"),
                   ("varchar", "text"), ("char", "text")]:
    ODD[same] = ODD[like]
