"""Makes the golden databases: FORMAT/SCRIPT_CODEC.tar.xz, and SCRIPT.txt.

Usage: make_golden.py OMENDB MAKE_DATABASE [NAME...]     OMENDB_ENGINE names the engine

Scripts, each with either codec:

  closed   all types and kinds of keys, several row groups and segments; closed cleanly
  replay   the same, and then changes of rows and tables that only the log has: it was not closed
  ends     rows ended after a checkpoint (ends files), groups compacted, tables dropped and made anew
  unique   unique constraints: in segments, and of tables that only the log has; not closed (format 2)

What they hold is taken from a database in memory that runs the same statements. Databases that are
there already are not made again: they stand for the builds that wrote them. A new format gets a
folder of its own, and the old one stays.
"""
import os
import random
import subprocess
import sys
import tempfile

from golden import dump, path_of

TABLES = {
    "kinds": "id INTEGER PRIMARY KEY, b BOOLEAN, s SMALLINT, i INTEGER NOT NULL DEFAULT 7, l BIGINT, r REAL, "
             "d DOUBLE PRECISION, n9 NUMERIC(9,2), n18 NUMERIC(18,6), n38 NUMERIC(38,10), t TEXT, v VARCHAR(12), "
             "c CHAR(5), y BYTEA, da DATE, ts TIMESTAMP, tz TIMESTAMPTZ, u UUID",
    "names": "name TEXT PRIMARY KEY, n BIGINT DEFAULT 3 * 14",
    "pairs": "a INTEGER, b TEXT, v DOUBLE PRECISION, PRIMARY KEY (b, a)",
    "ids": "u UUID PRIMARY KEY, t TEXT",
    "prices": "p NUMERIC(20,4) PRIMARY KEY, q SMALLINT",
    "moments": "at TIMESTAMPTZ PRIMARY KEY, day DATE NOT NULL",
    "events": "n BIGINT, note TEXT",
    "nothing": "id BIGINT PRIMARY KEY, t TEXT",
}


def literal(value):
    return "NULL" if value is None else value if isinstance(value, str) else str(value)


def text(chance, longest):
    letters = "abcdefghijklmnopqrstuvwxyz ABC,;\"äöü€日本"
    return "".join(chance.choice(letters) for _ in range(chance.randint(0, longest)))


def quoted(value):
    return "'" + value.replace("'", "''") + "'"


def kinds_row(chance, key):
    edge = chance.choice([-1, 0, 1])
    values = [
        chance.choice(["true", "false"]),
        chance.choice([-32768, 32767, chance.randint(-99, 99)]),
        None,
        chance.choice([-2**63 + 1, 2**63 - 1, chance.randint(-10**6, 10**6)]),
        f"'{chance.choice(['NaN', 'Infinity', '1.5', '-0.1', '3e-38'])}'",
        f"'{chance.choice(['NaN', '-Infinity', '2.25', '1e300', '-4.9e-300'])}'",
        chance.randint(-999999999, 999999999) / 100,
        f"{chance.randint(-10**11, 10**11)}.{chance.randint(0, 999999):06}",
        f"{edge * (10**28 - 1)}.{chance.randint(0, 10**10 - 1):010}",
        quoted(text(chance, 60)),
        quoted(text(chance, 12)),
        quoted(text(chance, 5)),
        f"'\\x{chance.getrandbits(8 * 9):018x}'",
        f"'{chance.choice(['0001-01-01', '1969-12-31', '2024-02-29', '9999-12-31'])}'",
        f"'19{chance.randint(10, 99)}-0{chance.randint(1, 9)}-1{chance.randint(0, 9)} 12:34:56.{chance.randint(0, 999999):06}'",
        f"'20{chance.randint(10, 99)}-1{chance.randint(0, 2)}-0{chance.randint(1, 9)} 23:59:59+0{chance.randint(0, 9)}'",
        f"'{chance.getrandbits(128):032x}'",
    ]
    values = [value if chance.random() < 0.8 else None for value in values]
    values[2] = chance.randint(-2**31, 2**31 - 1)
    return [key, *values]


def row(chance, table, key):
    if table == "kinds":
        return kinds_row(chance, key)
    if table == "names":
        return [quoted(["", "a", "name "][key % 3] + str(key) + "x" * (key % 40)), chance.choice([None, key * 10**9])]
    if table == "pairs":
        return [key // 5 - 10, quoted("b" * (key % 5)), key / 4]
    if table == "ids":
        return [f"'{key * 0x0123456789abcdef0123456789ab % 2**128:032x}'", quoted(text(chance, 30))]
    if table == "prices":
        return [f"{(key - 100) * 12345678901}.{key % 10000:04}", chance.choice([None, key % 100])]
    if table == "moments":
        return [f"'{1900 + key}-03-01 00:00:0{key % 10}.{key:06}+00'", f"'{2100 - key % 400}-12-31'"]
    return [chance.choice([None, key]), quoted(text(chance, 20) + "\u00df" * (key % 3))]


def insert(chance, table, first, count):
    """INSERTs of 25 rows each."""
    for at in range(first, first + count, 25):
        rows = [row(chance, table, key) for key in range(at, min(at + 25, first + count))]
        values = ", ".join("(" + ", ".join(map(literal, values)) + ")" for values in rows)
        yield f"INSERT INTO {table} VALUES {values}"


def create(table):
    return f"CREATE TABLE {table} ({TABLES[table]})"


def closed():
    chance = random.Random(1)
    filled = [table for table in TABLES if table != "nothing"]
    yield from map(create, TABLES)
    for table in filled:
        yield from insert(chance, table, 0, 75)
    yield from ("SEAL kinds", "SEAL names", "SEAL events", "MAINTAIN", "CHECKPOINT")
    for table in filled:
        yield from insert(chance, table, 100, 50)
    yield "UPDATE kinds SET t = 'changed', n38 = NULL WHERE id >= 40 AND id < 60"
    yield "DELETE FROM names WHERE n IS NULL AND name > 'n'"
    yield "MAINTAIN"


def replay():
    chance = random.Random(2)
    yield from closed()
    yield "CHECKPOINT"
    for table in ("kinds", "names", "pairs", "events"):
        yield from insert(chance, table, 200, 40)
    yield "UPDATE kinds SET id = id + 1000 WHERE id < 5"
    yield "UPDATE kinds SET t = NULL, u = '00000000-0000-0000-0000-00000000000f' WHERE id >= 90 AND id < 210"
    yield "UPDATE pairs SET b = 'moved', v = -v WHERE a = 3 AND b = 'b'"
    yield "DELETE FROM names WHERE n > 150000000000"
    yield "DELETE FROM events WHERE n >= 30 AND n < 130"
    yield "DROP TABLE prices"
    yield create("prices")
    yield from insert(chance, "prices", 300, 10)
    yield "DROP TABLE ids"
    yield "CREATE TABLE late (id SMALLINT PRIMARY KEY, t CHAR(3) NOT NULL DEFAULT 'ab')"
    yield "INSERT INTO late (id) VALUES (1), (-1), (0)"


def ends():
    chance = random.Random(3)
    yield from closed()
    yield from ("SEAL kinds", "SEAL names", "SEAL pairs", "SEAL events", "MAINTAIN", "CHECKPOINT")
    yield "DELETE FROM kinds WHERE id >= 3 AND id < 17"
    yield "DELETE FROM names WHERE n < 20000000000"
    yield "UPDATE pairs SET v = 0 WHERE a = 1"
    yield "DELETE FROM events WHERE n = 7 OR n = 77"
    yield "DELETE FROM moments WHERE day > '2080-01-01'"
    yield "CHECKPOINT"
    yield "DELETE FROM kinds WHERE id = 99"
    yield "DELETE FROM ids"
    yield "DROP TABLE nothing"
    yield "CREATE TABLE nothing (t TEXT, id BIGINT PRIMARY KEY)"
    yield "INSERT INTO nothing VALUES ('something', 1)"
    yield "DROP TABLE prices"
    yield from insert(chance, "names", 400, 25)
    yield "MAINTAIN"


def unique():
    """Keys that are taken, that were given up, and that moved, before the checkpoint and after it."""
    yield ("CREATE TABLE members (id INTEGER PRIMARY KEY, email TEXT UNIQUE, team SMALLINT, place TEXT, "
           "CONSTRAINT \"a place in a team\" UNIQUE (team, place))")
    yield "CREATE TABLE codes (code BIGINT UNIQUE, at TIMESTAMP, UNIQUE (at, code))"
    rows = [f"({n}, {'NULL' if n % 9 == 0 else quoted(f'member {n} at home')}, {n % 5}, {quoted(str(n // 5))})"
            for n in range(60)]
    yield "INSERT INTO members VALUES " + ", ".join(rows)
    yield "INSERT INTO codes VALUES (1, '2001-01-01'), (2, NULL), (NULL, '2001-01-01'), (NULL, NULL), (5, NULL)"
    yield "DELETE FROM members WHERE id = 7"
    yield from ("SEAL members", "SEAL codes", "MAINTAIN", "CHECKPOINT")
    yield "UPDATE members SET team = team + 10 WHERE id < 20"
    yield "DELETE FROM members WHERE id = 8"
    yield "INSERT INTO members VALUES (100, 'member 8 at home', 3, '1')"
    yield "UPDATE codes SET code = 3 WHERE code = 5"
    yield "CREATE TABLE late (a INTEGER, b INTEGER UNIQUE)"
    yield "INSERT INTO late VALUES (1, 1), (2, NULL), (3, 3)"
    yield "DELETE FROM late WHERE a = 3"


SCRIPTS = {
    "closed": (closed, "close"),
    "replay": (replay, "crash"),
    "ends": (ends, "close"),
    "unique": (unique, "crash"),
}


def tables_after(statements):
    there = []
    for statement in statements:
        words = statement.split()
        if words[:2] == ["CREATE", "TABLE"]:
            there.append(words[2])
        elif words[:2] == ["DROP", "TABLE"]:
            there.remove(words[2])
    return sorted(there)


def expected(program, statements, folder):
    script = os.path.join(folder, "script.sql")
    with open(script, "w") as file:
        for statement in statements:
            if not statement.startswith(("SEAL", "MAINTAIN", "CHECKPOINT")):
                file.write(statement + ";\n")
    return dump(program, tables_after(statements), script=script)


def make(program, maker, name):
    script, codec = name.split("_")
    function, end = SCRIPTS[script]
    statements = list(function())
    with tempfile.TemporaryDirectory() as folder:
        want = expected(program, statements, folder)
        subprocess.run([maker, codec, end, os.path.join(folder, name)], check=True,
                       input="\n".join(statements) + "\n", text=True)
        target = path_of(name, ".tar.xz")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        subprocess.run(["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-C", folder, "-cJf",
                        target, name], check=True)
    with open(path_of(script, ".txt"), "w") as file:
        file.write(want)
    print(f"{name}: {os.path.getsize(target)} bytes, {len(want)} of text")


def main():
    program, maker, *names = sys.argv[1:]
    for name in names or [f"{script}_{codec}" for script in SCRIPTS for codec in ("parquet", "plain")]:
        if os.path.exists(path_of(name, ".tar.xz")):
            print(f"{name}: is there already")
        else:
            make(program, maker, name)


if __name__ == "__main__":
    main()
