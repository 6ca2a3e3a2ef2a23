"""Schedules: which session does which statement when.

A file holds schedules, one after the other:

    # Lines like this one say what is tested.
    setup CREATE TABLE t (id INT PRIMARY KEY, v INT)      of all schedules of the file

    schedule lost update
    setup INSERT INTO t VALUES (1, 10)
    a  BEGIN ISOLATION LEVEL {level}
    b  BEGIN ISOLATION LEVEL {level}
    a  UPDATE t SET v = 11 WHERE id = 1
    b  UPDATE t SET v = 12 WHERE id = 1
    a  COMMIT
    b  COMMIT
    final SELECT * FROM t ORDER BY id

A step is a session's letter and a statement. Where `{level}` stands in a schedule it runs once for
each level, and after a line `each mode FOR UPDATE | FOR SHARE` once for each `{mode}`. `all orders` runs it once for each way to mix the sessions' steps, each session's own
order kept. A step of a session that still waits is put off until the session is free. `a! ...` is a
step that ends by itself, however long it waits: one with a timeout. `omendb REASON` says why OmenDB answers
otherwise than PostgreSQL: what it answers is kept as well, as `schedule lost update (omendb)`. `final` statements run at the end,
in a session of their own, when all others have rolled back what they left open.
"""
import itertools
import re

LEVELS = ("READ COMMITTED", "REPEATABLE READ")
LINE = re.compile(r"(setup|final|schedule|omendb|[a-h]!?)\s+(.*\S)\s*$")
EACH = re.compile(r"each\s+(\w+)\s+(.*)$")


class Step:
    """One statement of one session; `ends` where it ends by itself."""

    def __init__(self, session, sql, ends=False):
        self.session, self.sql, self.ends = session, sql, ends

    def __str__(self):
        return f"{self.session}{'!' if self.ends else ' '} {self.sql}"


class Schedule:
    def __init__(self, name, setup, steps, final):
        self.name, self.setup, self.steps, self.final = name, setup, steps, final
        self.each, self.reason = {}, None

    @property
    def sessions(self):
        return sorted({step.session for step in self.steps})

    def __str__(self):
        return "\n".join([f"schedule {self.name}", *(f"setup {sql}" for sql in self.setup),
                          *map(str, self.steps), *(f"final {sql}" for sql in self.final)])


def orders(steps):
    """All ways to mix the sessions' steps."""
    lists = [[step for step in steps if step.session == name]
             for name in sorted({step.session for step in steps})]

    def mixed(positions):
        if all(at == len(list_) for at, list_ in zip(positions, lists)):
            yield []
        for number, (at, list_) in enumerate(zip(positions, lists)):
            if at < len(list_):
                rest = positions[:number] + (at + 1,) + positions[number + 1:]
                for more in mixed(rest):
                    yield [list_[at]] + more

    return mixed((0,) * len(lists))


def expanded(schedule, all_orders):
    """The schedule once for each level and order that it asks for."""
    text = str(schedule)
    words = {name: values for name, values in {"level": LEVELS, **schedule.each}.items() if f"{{{name}}}" in text}
    for values in itertools.product(*words.values()):
        def fill(sql):
            for word, value in zip(words, values):
                sql = sql.replace(f"{{{word}}}", value)
            return sql

        name = ", ".join([schedule.name, *(value.lower() for value in values)])
        steps = [Step(step.session, fill(step.sql), step.ends) for step in schedule.steps]
        setup, final = [*map(fill, schedule.setup)], [*map(fill, schedule.final)]
        for order in orders(steps) if all_orders else [steps]:
            letters = "".join(step.session for step in order)
            one = Schedule(f"{name}, order {letters}" if all_orders else name, setup, order, final)
            one.reason = schedule.reason
            yield one


def read(path):
    """The schedules of a file, expanded."""
    common, found, current, all_orders = [], [], None, False

    def finish():
        if current:
            found.extend(expanded(current, all_orders))

    for number, line in enumerate(open(path), 1):
        line = line.split("#")[0].rstrip() if line.startswith("#") else line.rstrip()
        if not line:
            continue
        if line == "all orders" and current:
            all_orders = True
            continue
        match = EACH.match(line)
        if match and current:
            current.each[match[1]] = match[2].split(" | ")
            continue
        match = LINE.match(line)
        if not match:
            raise ValueError(f"{path}:{number}: neither a step nor anything else: {line}")
        word, rest = match.groups()
        if word == "schedule":
            finish()
            current, all_orders = Schedule(rest, list(common), [], []), False
        elif word == "setup":
            (current.setup if current else common).append(rest)
        elif current is None:
            raise ValueError(f"{path}:{number}: a step before the first schedule")
        elif word == "omendb":
            current.reason = rest
        elif word == "final":
            current.final.append(rest)
        else:
            current.steps.append(Step(word[0], rest, word.endswith("!")))
    finish()
    return found
