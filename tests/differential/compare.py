"""Whether OmenDB's answer to a statement is PostgreSQL's.

A difference is (class, text). Classes: `rows`, `type`, `name`, `affected`, `state` (the table after
a write), `error` (we fail, PostgreSQL does not), `accepted` (the reverse), `sqlstate`; and from
outside `crash` and `hang`.
"""
import collections
import decimal
import math
import re

OIDS = {"boolean": 16, "smallint": 21, "integer": 23, "bigint": 20, "real": 700, "double precision": 701,
        "numeric": 1700, "text": 25, "varchar": 1043, "char": 1042, "bytea": 17, "date": 1082, "timestamp": 1114,
        "timestamptz": 1184, "uuid": 2950}
NAMES = {oid: name for name, oid in OIDS.items()}
FLOATS = {700: 1e-5, 701: 1e-9}
REAL_ROUNDING = 2.0**-24  # of one addition: PostgreSQL adds REALs as REALs
NUMERIC = 1700
SPREAD = re.compile("stddev|var_|variance")
ROWS_MAX = 50_000  # of one answer that are read
BLANKS_ASIDE = -1  # instead of digits: CHAR values compare without trailing blanks
ORDER = re.compile(r" ORDER BY (\d+[A-Z ]*(?:, \d+[A-Z ]*)*?)((?: LIMIT | OFFSET | FETCH ).*)?$")
TAIL = re.compile(r" (?:LIMIT \d+(?: OFFSET \d+)?|FETCH FIRST \d+ ROWS ONLY)$")
DATA_ERRORS = ("22", "23", "21")  # which of these comes first may depend on the order of evaluation


class Ours:
    """What OmenDB gave, in the same form as postgres.Answer; `types` holds its column types."""

    def __init__(self):
        self.sqlstate = self.message = self.route = None
        self.rows, self.names, self.types, self.affected = [], [], [], 0
        self.absolute = 1e-12  # how far floats may be apart, whatever their size
        self.relative = FLOATS


def shown(answer, limit=8):
    """An answer in a line or two."""
    if answer.sqlstate:
        return f"ERROR {answer.sqlstate}: {answer.message}"
    rows = [tuple("NULL" if v is None else v.decode(errors="replace") for v in row) for row in answer.rows[:limit]]
    more = f" ... {len(answer.rows)} rows" if len(answer.rows) > limit else ""
    types = [t.name for t in answer.types] if hasattr(answer, "types") else [NAMES.get(o, str(o)) for o in answer.oids]
    return f"{list(zip(answer.names, types))} {rows}{more} affected={answer.affected}"


def canonical(text, oid, digits):
    """A value in a form in which equal ones are equal; floats are left for `close`."""
    if text is None:
        return None
    if oid == OIDS["char"] and digits == BLANKS_ASIDE:
        return text.rstrip(b" ")
    if oid == NUMERIC:
        try:
            number = decimal.Decimal(text.decode())
        except decimal.InvalidOperation:
            return text
        if not number.is_finite():
            return text
        with decimal.localcontext() as context:
            context.prec = 80
            number = number.quantize(decimal.Decimal(1).scaleb(-digits), decimal.ROUND_HALF_UP)
            return format(number.normalize(), "f") if number else "0"
    return text


def number(text):
    try:
        return float(text)
    except ValueError:
        return None


def close(a, b, tolerance, absolute=1e-12):
    """Whether two floats' texts are one value, up to the tolerance of sums."""
    if a is None or b is None or a == b:
        return a == b
    x, y = number(a), number(b)
    if x is None or y is None:
        return False
    if x == y:
        return x == 0 or math.isinf(x)  # the same number must be printed the same way
    return math.isclose(x, y, rel_tol=tolerance, abs_tol=absolute)


def digits_of(ours, blanks_aside=False):
    """Digits after the point at which each column is compared."""
    return [min(type.scale, 15) if type.name == "numeric" else BLANKS_ASIDE if blanks_aside else 15
            for type in ours.types]


def rows_equal(ours, theirs, columns=None):
    """Whether two lists of rows, in this order, are equal in some (or all) columns."""
    oids = theirs.oids
    columns = range(len(oids)) if columns is None else columns
    digits = digits_of(ours, True)
    for mine, other in zip(ours.rows, theirs.rows):
        if not row_equal(mine, other, oids, digits, columns, ours):
            return False
    return True


def row_equal(mine, other, oids, digits, columns, ours):
    for i in columns:
        oid = oids[i]
        if oid in FLOATS:
            if not close(mine[i], other[i], ours.relative[oid], ours.absolute):
                return False
        elif canonical(mine[i], oid, digits[i]) != canonical(other[i], oid, digits[i]):
            return False
    return True


def order_equal(ours, theirs, keys):
    """Whether two lists of rows, equal as multisets, are in the same order by these columns. Rows
    whose floats are apart by rounding alone may come in either order, whatever the keys behind."""
    return rows_equal(ours, theirs, keys) or same_order(list(zip(ours.rows, theirs.rows)), ours, theirs, list(keys))


def same_order(pairs, ours, theirs, keys):
    if not keys or len(pairs) < 2:
        return True
    key, oid = keys[0], theirs.oids[keys[0]]
    digits = digits_of(ours, True)[key]
    if oid in FLOATS:
        same = lambda a, b: close(a, b, ours.relative[oid], ours.absolute)
    else:
        same = lambda a, b: canonical(a, oid, digits) == canonical(b, oid, digits)
    if not all(same(mine[key], other[key]) for mine, other in pairs):
        return False
    start = 0
    for end in range(1, len(pairs) + 1):
        if end < len(pairs) and any(same(pairs[end][side][key], pairs[end - 1][side][key]) for side in (0, 1)):
            continue
        run = pairs[start:end]
        start = end
        exact = all(len({pair[side][key] for pair in run}) == 1 for side in (0, 1))
        if exact or oid not in FLOATS:
            if not same_order(run, ours, theirs, keys[1:]):
                return False
        elif not same_bag(run, ours, theirs, keys[1:]):
            return False
    return True


def same_bag(pairs, ours, theirs, keys):
    """Whether a run of rows has the same values, floats aside, in these columns."""
    digits = digits_of(ours, True)
    exact = [k for k in keys if theirs.oids[k] not in FLOATS]
    bags = [collections.Counter(tuple(canonical(pair[side][k], theirs.oids[k], digits[k]) for k in exact) for pair in pairs)
            for side in (0, 1)]
    return bags[0] == bags[1]


def bags_equal(ours, theirs, blanks_aside):
    """Whether two lists of rows are equal as multisets."""
    oids = theirs.oids
    digits = digits_of(ours, blanks_aside)
    columns = range(len(oids))

    def key(row):
        parts, floats = [], []
        for i in columns:
            value = canonical(row[i], oids[i], digits[i])
            if oids[i] not in FLOATS:
                parts.append((value is None, str(value)))
                continue
            parts.append((value is None, ""))
            if value is not None:
                value = number(value)
                floats.append((math.isnan(value), 0.0 if math.isnan(value) else value))
        return parts, floats

    mine, other = sorted(ours.rows, key=key), sorted(theirs.rows, key=key)
    if all(row_equal(a, b, oids, digits, columns, ours) for a, b in zip(mine, other)):
        return True
    if len(other) > 2000 or not any(oid in FLOATS for oid in oids):
        return False
    left = list(other)  # floats that are nearly equal may sort differently: match them one by one
    for row in mine:
        match = next((n for n, o in enumerate(left) if row_equal(row, o, oids, digits, columns, ours)), None)
        if match is None:
            return False
        del left[match]
    return True


def same_error(ours, theirs, lenient):
    if ours.sqlstate == theirs.sqlstate:
        return True
    return lenient and ours.sqlstate[:2] in DATA_ERRORS and theirs.sqlstate[:2] in DATA_ERRORS


def folded_early(statement, ours, theirs):
    """PostgreSQL computes constant parts before it knows whether any row needs them: no error
    where no row came is right too. Not so for literals that cannot be read at all."""
    empty = not ours.rows or len(ours.rows) == 1 and all(value in (None, b"0") for value in ours.rows[0])
    if not empty or ours.affected or theirs.sqlstate[:2] not in ("22", "54") or theirs.message.startswith('value "'):
        return False
    return statement.raises or statement.kind == "write" and theirs.sqlstate in ("22001", "22003")


def difference(statement, ours, theirs):
    """None, "unsupported", "order" (only the order of evaluation differs), or (class, text)."""
    if len(ours.rows) == ROWS_MAX or theirs.sqlstate == "57014":
        return None  # more than is worth comparing
    if ours.sqlstate == "0A000" and theirs.sqlstate != "0A000":
        return "unsupported"
    if ours.sqlstate and theirs.sqlstate:
        if same_error(ours, theirs, statement.lenient or " FROM " in str(statement.tree)):
            return None
        return "sqlstate", f"{ours.sqlstate} instead of {theirs.sqlstate}"
    if ours.sqlstate or theirs.sqlstate:
        state = ours.sqlstate or theirs.sqlstate
        free = statement.lenient if statement.kind == "select" else statement.raises and " WHERE " in str(statement.tree)
        if free and state[:2] in ("22", "21"):
            return "order"
        if ours.sqlstate is None and folded_early(statement, ours, theirs):
            return "order"
        return ("error", ours.sqlstate) if ours.sqlstate else ("accepted", theirs.sqlstate)
    if statement.kind != "select":
        return None if ours.affected == theirs.affected else ("affected", f"{ours.affected} instead of {theirs.affected}")
    return select_difference(statement, ours, theirs)


def select_difference(statement, ours, theirs):
    if SPREAD.search(str(statement.tree)):
        ours.absolute = 1e-4  # the spread of equal values is rounding noise or 0
    if "sum(" in str(statement.tree):
        ours.relative = {**FLOATS, OIDS["real"]: max(FLOATS[OIDS["real"]], statement.rows * REAL_ROUNDING)}
    if len(ours.names) != len(theirs.names):
        return "type", f"{len(ours.names)} columns instead of {len(theirs.names)}"
    if len(ours.rows) != len(theirs.rows):
        return "rows", f"{len(ours.rows)} rows instead of {len(theirs.rows)}"
    ordered = statement.order and ORDER.search(str(statement.tree))
    # Which of CHAR values that differ in blanks only stands for a group is free.
    grouped = any(word in str(statement.tree) for word in ("GROUP BY", "DISTINCT", "UNION", "INTERSECT", "EXCEPT", "max(", "min("))
    if not bags_equal(ours, theirs, grouped):
        return "rows", "other values"
    if ordered and not order_equal(ours, theirs, statement.order):
        return "rows", "another order"
    for type, oid in zip(ours.types, theirs.oids):
        if OIDS.get(type.name) != oid:
            return "type", f"{type.name} instead of {NAMES.get(oid, oid)}"
    if ours.names != theirs.names:
        return "name", f"{ours.names} instead of {theirs.names}"
    return None
