"""Plays random schedules on PostgreSQL 15 and on OmenDB and reports where they differ.

    random_schedules.py [--seed N] [--schedules N] [--seconds N] [--one SEED] [--route R] [--jobs N]
                        [--show]

Two to four sessions, alone or in transactions of either level, do a few statements each on a few rows,
mixed at random. A schedule follows from its own seed; `--one` plays that one again. A schedule that
differs is reduced and printed in the form of schedules/*.txt.

Some kinds of difference are counted, not reported, and the rest of such a schedule is not compared:
  order     a statement for several rows, or one that reads others to know what to write, had to wait:
            PostgreSQL locks rows in the order they lie in, OmenDB by key, and what was changed
            meanwhile is looked at again row by row there, by running the statement again here
  queue     somebody waits for a row that others share: PostgreSQL lets who shares it too by, here he
            waits behind
  woken     several waited when a step set them free: who goes first is anybody's guess in PostgreSQL
  later     here a statement waits for a lock and then fails, with 40001 or, where it takes a new key,
            23505; PostgreSQL sees at once that it will fail
  strict    40001 at REPEATABLE READ for a key that another has deleted since the snapshot, where
            PostgreSQL would show two rows of one key, and for FOR KEY SHARE of a row changed since
  sooner    23505 at once for a unique key whose row another transaction has changed in other columns:
            PostgreSQL waits for that one first, and fails with 40P01 where that closes a circle
  again     a row was deleted and inserted again while a statement waited for it: PostgreSQL does not find
            the new one, here it is the row of that key
  deadlock  both found one, and chose otherwise who fails
  oracle    PostgreSQL does not answer twice the same: several waited for one row
Closes with `isolation: schedules=N differences=N`. Exit status 77 where there is no PostgreSQL, or where
OmenDB has no transactions over several statements.
"""
import argparse
import collections
import concurrent.futures
import os
import random
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))
import postgres
import sides
from play import Play, waits_of
from run_schedules import SKIP, Worker, difference
from schedule import LEVELS, Schedule, Step

SETUP = ["CREATE TABLE t (id INT PRIMARY KEY, v INT, w INT)",
         "INSERT INTO t VALUES (1, 10, 1), (2, 20, 1), (3, 30, 2), (4, 40, 2)",
         "CREATE TABLE u (id INT PRIMARY KEY, t_id INT, d INT)",
         "INSERT INTO u VALUES (1, 1, 5), (2, 3, 7)",
         "CREATE TABLE k (id INT PRIMARY KEY, a INT UNIQUE, b INT UNIQUE)",
         "INSERT INTO k VALUES (1, 1, 1), (2, 2, 2), (3, NULL, NULL)"]
FINAL = ["SELECT * FROM t ORDER BY id", "SELECT * FROM u ORDER BY id", "SELECT * FROM k ORDER BY id"]
REDUCE_SECONDS = 15
CLASSES = ("order", "woken", "queue", "later", "sooner", "again", "strict", "deadlock", "oracle")
sides.HANG_SECONDS = 4
BATCH = 20
SIMPLE = re.compile(r"(UPDATE [tk] SET [^()]*|DELETE FROM [tk]|SELECT [^()]* FROM [tk]) WHERE id = -?\d+( AND v > \d+)?( FOR [A-Z ]+)?$|"
                    r"INSERT INTO [tk] VALUES \([^()]*\)$")
WRITES = re.compile(r"(UPDATE|DELETE|INSERT|SELECT .* FOR (UPDATE|NO KEY|SHARE|KEY))")

# (weight, text); {k} a key, {j} another, {c} a number, {mode} a row lock.
STATEMENTS = [
    (8, "UPDATE t SET v = v + {c} WHERE id = {k}"), (3, "UPDATE t SET v = {c}, w = w + 1 WHERE id = {k}"),
    (3, "DELETE FROM t WHERE id = {k}"), (4, "INSERT INTO t VALUES ({k}, {c}, 3)"),
    (1, "UPDATE t SET id = {j} WHERE id = {k}"), (2, "UPDATE t SET v = v + 1 WHERE id = {k} AND v > {c}"),
    (4, "SELECT * FROM t WHERE id = {k}"), (3, "SELECT * FROM t ORDER BY id"),
    (3, "SELECT count(*), min(id), max(id), sum(v) FROM t"), (1, "SELECT w, count(*), sum(v) FROM t GROUP BY w ORDER BY w"),
    (1, "SELECT x.id, y.id FROM t x JOIN t y ON y.v = x.v + 10 ORDER BY x.id, y.id"),
    (1, "SELECT id FROM t WHERE v > (SELECT avg(v) FROM t) ORDER BY id"),
    (1, "SELECT t.id, u.d FROM t JOIN u ON u.t_id = t.id ORDER BY t.id, u.d"),
    (1, "SELECT id FROM t WHERE v BETWEEN {c} AND 35 ORDER BY id"),
    (4, "SELECT v FROM t WHERE id = {k} FOR {mode}"), (2, "SELECT v FROM t WHERE id = {k} FOR {mode} NOWAIT"),
    (1, "SELECT v FROM t WHERE id = {k} FOR {mode} SKIP LOCKED"),
    (1, "SELECT id FROM t ORDER BY id FOR {mode} SKIP LOCKED"), (1, "SELECT id FROM t ORDER BY id LIMIT 1 FOR {mode} SKIP LOCKED"),
    (1, "SELECT id, v FROM t ORDER BY id FOR {mode}"),
    (1, "UPDATE t SET v = v + 1"), (1, "UPDATE t SET v = v + {c} WHERE v > {c}"), (1, "DELETE FROM t WHERE v > {c}"),
    (1, "INSERT INTO t SELECT id + 10, v, w FROM t"), (1, "INSERT INTO t VALUES ({k}, 1, 1), ({j}, 2, 2)"),
    (1, "UPDATE t SET v = (SELECT max(v) FROM t) WHERE id = {k}"),
    (1, "UPDATE t SET v = v + u.d FROM u WHERE u.t_id = t.id AND t.id = {k}"),
    (1, "UPDATE u SET d = d + 1 WHERE id = 1"), (1, "INSERT INTO u SELECT id, id, v FROM t WHERE id = {k}"),
    (1, "UPDATE t SET id = id + 100 WHERE id = {k}"), (1, "SELECT 1 / 0"),
]
# On the table with unique keys; {a} and {b} are values of them.
KEYED = [
    (6, "INSERT INTO k VALUES ({k}, {a}, NULL)"), (3, "INSERT INTO k VALUES ({k}, {a}, {b})"),
    (6, "UPDATE k SET a = {a} WHERE id = {k}"), (2, "UPDATE k SET b = {b} WHERE id = {k}"),
    (2, "UPDATE k SET a = {a}, b = {b} WHERE id = {k}"), (2, "UPDATE k SET a = NULL WHERE id = {k}"),
    (2, "UPDATE k SET a = a + 1 WHERE id = {k}"), (6, "DELETE FROM k WHERE id = {k}"), (1, "DELETE FROM k WHERE a = {a}"),
    (1, "UPDATE k SET id = {j} WHERE id = {k}"), (2, "UPDATE k SET b = b + 0 WHERE id = {k}"), (1, "UPDATE k SET b = b + 1 WHERE a = {a}"),
    (1, "INSERT INTO k SELECT id + 10, a + 10, b + 10 FROM k"), (1, "INSERT INTO k SELECT {k}, a, b + 1 FROM k WHERE id = {j}"),
    (3, "SELECT * FROM k ORDER BY id"), (2, "SELECT * FROM k WHERE id = {k}"), (1, "SELECT count(*), sum(a) FROM k"),
    (2, "SELECT a FROM k WHERE id = {k} FOR {mode}"), (1, "SELECT a FROM k WHERE id = {k} FOR {mode} NOWAIT"),
    (1, "UPDATE t SET v = v + 1 WHERE id = {k}"), (1, "SELECT 1 / 0"),
]
MODES = ["UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"]
WITHIN = [(3, "SAVEPOINT s"), (3, "ROLLBACK TO s"), (1, "RELEASE s")]


def chosen(source, weighted):
    return source.choices([text for _, text in weighted], [weight for weight, _ in weighted])[0]


def statement(source, keys, texts):
    key, other = source.sample(keys, 2)
    return chosen(source, texts).format(k=key, j=other, c=source.choice([5, 15, 25]), mode=source.choice(MODES),
                                        a=source.choice([1, 2, 5]), b=source.choice([1, 2, 5]))


def script(source, name, keys, texts):
    """One session's steps."""
    count = source.randint(2, 6)
    if source.random() < 0.2:
        return [Step(name, statement(source, keys, texts)) for _ in range(count)]
    level = source.choice(LEVELS)
    steps = [Step(name, f"BEGIN ISOLATION LEVEL {level}")]
    saved = False
    for _ in range(count):
        within = source.random() < (0.25 if saved else 0.1)
        sql = (chosen(source, WITHIN) if saved else "SAVEPOINT s") if within else statement(source, keys, texts)
        saved = saved or sql == "SAVEPOINT s"
        steps.append(Step(name, sql))
    return steps + [Step(name, "COMMIT" if source.random() < 0.75 else "ROLLBACK")]


def generate(seed):
    source = random.Random(seed)
    keys = source.sample([1, 2, 3, 4, 5, 6], source.choice([2, 3, 6]))  # few: they meet
    texts = KEYED if source.random() < 0.4 else STATEMENTS
    scripts = [script(source, name, keys, texts) for name in "abcd"[:source.choice([2, 2, 3, 4])]]
    order = [number for number, steps in enumerate(scripts) for _ in steps]
    source.shuffle(order)
    return Schedule(f"random {seed}", list(SETUP), [scripts[number].pop(0) for number in order], list(FINAL))


def several(line):
    """Whether a step's line is one of a statement that locks more than a row it names."""
    sql = line[5:].removeprefix("... ")[:66].rstrip() if len(line) > 5 else ""
    sql = re.split(r"\s{2,}", sql)[0]
    return bool(WRITES.match(sql)) and not SIMPLE.match(sql)


def waiting(lines):
    """How many wait at the end of these lines."""
    return sum(line.endswith(" waits") for line in lines) - sum(line[5:9] == "... " for line in lines)


def woken(lines):
    """Whether several waited when the last step began that these lines tell of."""
    last = max((number for number, line in enumerate(lines) if line[5:9] != "... "), default=0)
    return waiting(lines[:last]) > 1 and last < len(lines) - 1


def inserted_again(line, before):
    """Whether rows of the table that the line is about were deleted, and others inserted."""
    table = re.search("(UPDATE|FROM) ([tk]) ", line)
    done = [earlier for earlier in before if table and earlier.endswith(("row", "rows")) and f" {table[2]} " in earlier]
    return any(" DELETE " in earlier or " SET id" in earlier for earlier in done) and any("INSERT" in earlier for earlier in done)


def compare(theirs, ours):
    """None, or the class of the first difference."""
    mine, wanted = ours.split("\n"), theirs.split("\n")
    for number, (a, b) in enumerate(zip(mine + [""], wanted + [""])):
        if a == b:
            continue
        before = mine[1:number + 1] + wanted[number:number + 1]
        if any(several(line) and (line.endswith(" waits") or line[5:9] == "... ") for line in before):
            return "order"
        if woken(mine[1:number + 1]) or woken(wanted[1:number + 1]):
            return "woken"
        if any("SHARE" in line for line in before) and waiting(mine[1:number]) and \
                any(WRITES.match(line[5:]) for line in (a, b)):
            return "queue"
        if a.endswith(" waits") and b.endswith("ERROR 40001") or \
                a.endswith((" waits", "ERROR 40P01")) and b.endswith("ERROR 23505") and re.search("INSERT|SET (id|a|b)", b):
            return "later"
        if b[5:9] == "... " and b.endswith(("0 rows", "no rows")) and inserted_again(b, mine[1:number]):
            return "again"
        if b.endswith((" waits", "ERROR 40P01")) and a.endswith("ERROR 23505") and re.search("(INTO|UPDATE) k ", a):
            return "sooner"
        if a.endswith("ERROR 40001") and re.search("INSERT|SET id|FOR KEY SHARE", a):
            return "strict"
        if "ERROR 40P01" in theirs and "ERROR 40P01" in ours and ("40P01" in a or "40P01" in b):
            return "deadlock"
        return "difference"
    return None if len(mine) == len(wanted) else "difference"


def played(one):
    """(class, PostgreSQL's text, ours) of a schedule."""
    theirs = Play(Worker.oracle, one).run().text()
    ours = Play(Worker.ours, one, waits_of(theirs)).run().text()
    kind = compare(theirs, ours)
    if kind == "difference" and any(Play(Worker.oracle, one).run().text() != theirs for _ in range(3)):
        kind = "oracle"
    return kind, theirs, ours


def reduced(one):
    """The shortest schedule found that differs too."""
    deadline = time.monotonic() + REDUCE_SECONDS
    at = 0
    while at < len(one.steps) and time.monotonic() < deadline:
        fewer = Schedule(one.name, one.setup, one.steps[:at] + one.steps[at + 1:], one.final)
        if fewer.steps and played(fewer)[0] == "difference":
            one, at = fewer, 0
        else:
            at += 1
    return one


def play_batch(seeds):
    """Counts of classes, how many steps waited, and [(schedule's text, difference)]."""
    counts, found = collections.Counter(), []
    for seed in seeds:
        one = generate(seed)
        kind, theirs, ours = played(one)
        counts[kind or "same"] += 1
        counts["waits"] += theirs.count(" waits")
        counts["steps"] += len(one.steps)
        counts["errors"] += theirs.count("ERROR ")
        if kind == "difference" and len(found) < 2:
            one = reduced(one)
            _, theirs, ours = played(one)
            found.append((str(one), difference("omendb", theirs, ours)))
    return counts, found


def run(options, server):
    """The counts of all."""
    counts, shown = collections.Counter(), 0
    seeds = iter([options.one] if options.one is not None else range(options.seed, options.seed + options.schedules))
    deadline = time.monotonic() + options.seconds
    with concurrent.futures.ProcessPoolExecutor(options.jobs, initializer=Worker.start,
                                                initargs=(server, options.route)) as pool:
        running = {}
        while True:
            while len(running) < options.jobs and time.monotonic() < deadline:
                batch = [seed for _, seed in zip(range(BATCH), seeds)]
                if not batch:
                    break
                running[pool.submit(play_batch, batch)] = batch
            if not running:
                return counts
            done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                batch = running.pop(future)
                try:
                    more, found = future.result()
                except concurrent.futures.process.BrokenProcessPool:
                    raise SystemExit(f"a process died in seeds {batch[0]} to {batch[-1]}, or in "
                                     f"{[(other[0], other[-1]) for other in running.values()]}")
                counts.update(more)
                for text, lines in found[:max(0, options.report - shown)]:
                    shown += 1
                    print(f"DIFFERENCE\n{text}\n\n{lines}\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("OMEN_SEED", random.randrange(1 << 30))))
    parser.add_argument("--schedules", type=int, default=1 << 30)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--one", type=int)
    parser.add_argument("--route", default="auto")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--report", type=int, default=10, help="how many differences to print")
    parser.add_argument("--show", action="store_true", help="print the schedule of --one, and play nothing")
    options = parser.parse_args()
    if options.show:
        print(generate(options.one))
        return 0
    missing = postgres.missing()
    if missing or not sides.has_transactions():
        print(missing or "no transactions over several statements here")
        return SKIP
    print(f"seed {options.seed}", flush=True)
    started = time.monotonic()
    with postgres.Server(sides.SETTINGS) as server:
        counts = run(options, server)
    played_count = sum(counts[kind] for kind in ("same", *CLASSES, "difference"))
    print(f"{counts['steps']} steps, {counts['waits']} waits, {counts['errors']} errors in "
          f"{time.monotonic() - started:.0f} s; not compared to the end: "
          + " ".join(f"{kind}={counts[kind]}" for kind in CLASSES))
    print(f"isolation: schedules={played_count} differences={counts['difference']}")
    return 1 if counts["difference"] or not counts["same"] else 0


if __name__ == "__main__":
    sys.exit(main())
