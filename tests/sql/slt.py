"""The sqllogictest format: records of a .test or .slt file, and how answers compare with them.

The format is the one of SQLite's sqllogictest: `statement ok|error`, `query TYPES SORT LABEL`,
`onlyif`, `skipif`, `halt`, `hash-threshold`; values one a line, I cut to integers, R with three
decimals, NULL, (empty), unprintable characters as @, long results as an MD5 hash.

Ours adds, and our own files use:

    statement error 22012        the SQLSTATE the error must have
    query error 42703            a query that must fail
    statement count 3            the rows a statement must say it wrote
    onlyif omendb, skipif omendb what PostgreSQL, which checks our expectations, cannot run
    ${DATA}                      the folder tests/sql/data

and several values on one line, a line a row, separated by one blank. OmenDB answers to the engine
names `postgresql` and `omendb`, the oracle to `postgresql` alone.
"""
import hashlib
import os
import re

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
HASHED = re.compile(r"^(\d+) values hashing to ([0-9a-f]{32})$")


class Record:
    """One statement or query of a file. `kind` is "statement" or "query"; `wanted` is "ok",
    "error", "count" or "rows"; `detail` the SQLSTATE, text or count that goes with it;
    `first` and `last` its lines (0-based, `last` not included), `result` where its result
    lines begin, or None."""

    def __init__(self, kind, line):
        self.kind, self.line = kind, line
        self.only, self.skip = [], []
        self.wanted, self.detail = "ok", None
        self.types, self.sort, self.label = "", "nosort", None
        self.sql, self.expected = "", []
        self.result = self.last = self.alternative = None

    def meant_for(self, engines):
        return (not self.only or any(name in engines for name in self.only)) and \
            not any(name in engines for name in self.skip)


def parse_head(record, words):
    if record.kind == "statement":
        record.wanted = words[1] if len(words) > 1 else "ok"
        record.detail = " ".join(words[2:]) or None
    elif len(words) > 1 and words[1] == "error":
        record.wanted, record.detail = "error", " ".join(words[2:]) or None
    else:
        record.wanted = "rows"
        record.types = words[1] if len(words) > 1 else ""
        if len(words) > 2:
            record.sort = words[2]
        if len(words) > 3:
            record.label = words[3]


def parse(path, engines):
    """The records of a file that are meant for these engines, in order, each with the
    hash-threshold in force."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        lines = file.read().split("\n")
    records, only, skip, threshold = [], [], [], 0
    at = 0
    while at < len(lines):
        words = lines[at].split()
        if not words or words[0].startswith("#"):
            at += 1
            continue
        word = words[0]
        if word in ("onlyif", "skipif"):
            (only if word == "onlyif" else skip).append(words[1].lower())
            at += 1
            continue
        if word in ("statement", "query"):
            record = Record(word, at)
            record.only, record.skip, record.threshold = only, skip, threshold
            parse_head(record, words)
            at = parse_body(record, lines, at + 1)
            if record.meant_for(engines):
                records.append(record)
        elif word == "hash-threshold":
            threshold = int(words[1])
            at += 1
        elif word == "halt":
            record = Record(word, at)
            record.only, record.skip = only, skip
            if record.meant_for(engines):
                break
            at += 1
        else:
            raise ValueError(f"{path}:{at + 1}: unknown record {word!r}")
        only, skip = [], []
    return records


def parse_body(record, lines, at):
    """Reads the SQL, and the result lines of a query; gives the line after the record."""
    sql = []
    while at < len(lines) and lines[at].strip() and lines[at] != "----":
        sql.append(lines[at])
        at += 1
    record.sql = "\n".join(sql).replace("${DATA}", DATA)
    record.last = at
    if at < len(lines) and lines[at] == "----":
        at += 1
        record.result = at
        while at < len(lines) and lines[at].strip():
            record.expected.append(lines[at])
            at += 1
        record.last = at
    return at


def show_text(text):
    if text == b"":
        return "(empty)"
    if text.isascii() and text.decode().isprintable():
        return text.decode()
    return "".join(chr(byte) if 32 <= byte <= 126 else "@" for byte in text)


def show_integer(text):
    if text in (b"t", b"f"):
        return "1" if text == b"t" else "0"
    try:
        return str(int(text))
    except ValueError:
        try:
            return str(int(float(text)))
        except (ValueError, OverflowError):
            return show_text(text)


def show_real(text):
    try:
        return f"{float(text):.3f}"
    except ValueError:
        return show_text(text)


SHOW = {"I": show_integer, "R": show_real, "T": show_text}


def shown(rows, types, sort):
    """The rows as the format prints them, sorted as it asks: a list of lists of text."""
    kinds = [SHOW.get(kind, show_text) for kind in types]
    rows = [["NULL" if value is None else show(value) for show, value in zip(kinds, row)]
            for row in rows]
    if sort == "rowsort":
        rows.sort()
    elif sort == "valuesort":
        rows = [[value] for value in sorted(value for row in rows for value in row)]
    return rows


def digest(rows):
    values = [value for row in rows for value in row]
    return hashlib.md5("".join(value + "\n" for value in values).encode()).hexdigest()


def compare(record, rows, labels):
    """Why the rows are not what the record wants, or None. `labels` remembers the hash of each
    label, so that queries of one label are held to one result."""
    width = len(rows[0]) if rows else len(record.types)
    if width != len(record.types):
        return f"{width} columns instead of {len(record.types)}"
    rows = shown(rows, record.types, record.sort)
    values = [value for row in rows for value in row]
    if record.label:
        mine = digest(rows)
        if labels.setdefault(record.label, mine) != mine:
            return f"other rows than before under the label {record.label}"
    expected = record.expected
    hashed = HASHED.match(expected[0]) if len(expected) == 1 else None
    if hashed:
        if len(values) != int(hashed[1]):
            return f"{len(values)} values instead of {hashed[1]}"
        return None if digest(rows) == hashed[2] else "the values' hash differs"
    if values == expected or [" ".join(row) for row in rows] == expected:
        return None
    got = [" ".join(row) for row in rows]
    return f"wanted {expected[:12]}, got {got[:12]}"


def digest_line(rows, types, sort):
    """The rows as one line `N values hashing to HASH`."""
    rows = shown(rows, types, sort)
    return f"{sum(len(row) for row in rows)} values hashing to {digest(rows)}"


def read_exceptions(path):
    """What PostgreSQL answers where it disagrees with a corpus made for another database:
    {(file, line): expectation}. A line of the file reads `FILE EXPECTATION: LINE LINE ...`; the
    expectation is a SQLSTATE, `ok`, or `N values hashing to HASH`."""
    exceptions = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith("#") or not line.strip():
                    continue
                head, numbers = line.rsplit(":", 1)
                name, expectation = head.split(" ", 1)
                exceptions.update({(name, int(number)): expectation for number in numbers.split()})
    return exceptions


def apply_exception(record, expectation):
    """Makes the record want what PostgreSQL answers. An error of class 22 is one of a constant part
    that PostgreSQL computes before it knows whether it is needed: there the record's own answer is
    right too."""
    if expectation.startswith("22") and len(expectation) == 5:
        record.alternative = expectation
    elif HASHED.match(expectation):
        record.expected, record.label = [expectation], None
    elif expectation == "ok":
        record.wanted, record.detail = "ok", None
    else:
        record.wanted, record.detail = "error", expectation


def rewritten(path, answers):
    """The file's text with the expectations that `answers` gives: a dictionary from a record's
    first line to (head line, result lines or None)."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    output, at = [], 0
    while at < len(lines):
        if at not in answers:
            output.append(lines[at])
            at += 1
            continue
        record, head, results = answers[at]
        sql_end = record.result - 1 if record.result is not None else record.last
        output += [head, *lines[at + 1:sql_end]]
        if results is not None:
            output += ["----", *results]
        at = record.last
    return "\n".join(output)
