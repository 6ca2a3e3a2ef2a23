"""Random statements through OmenDB and PostgreSQL 15: the same rows, types, names and SQLSTATEs?

    fuzz.py [--seed N] [--statements N] [--seconds N] [--jobs N] [--reduce N] [--episode SEED] [--kept]

Runs episodes (a fresh database each: tables, rows, some 200 statements) side by side until the
statements or the seconds are used up. Prints the seed; with the same seed the same statements run
again, and --episode runs one episode alone. Every failing statement is reduced to a short script,
printed with both answers, one for each shape of failure.

What counts: a difference is any other row, type, name, count or SQLSTATE; a crash; a hang. 0A000
where PostgreSQL answers is `unsupported`, nothing else is. Sums of floats are compared to 1e-9
(REAL: 1e-5, sums of many rows: what adding REALs may lose), NUMERIC at our column's scale, 15 digits at most. Where the order of evaluation
decides which of several errors is raised, or whether one is that no result needs, either is right
(`order` in the report).

Exit status: 1 where anything differs, less than 85 % of what PostgreSQL accepts is answered or
less than half of the SELECTs return rows; 77 without PostgreSQL or the engine.
"""
import argparse
import collections
import multiprocessing
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import omendb
import postgres
from compare import shown
import database
from database import Pair
from reduce import reduce
from statements import Episode
from tree import shape

EPISODE_STATEMENTS = 200
HANG_SECONDS = 200  # also on a machine that does much else
ANSWERED_SHARE_MIN, ROWS_SHARE_MIN = 0.85, 0.5
FINDINGS_PER_EPISODE = 12


def run_episode(conninfo, seed, statements, at, pipe):
    """Runs one episode in this process; sends (counts, unsupported messages, findings). `at`
    tells the parent which statement runs."""
    episode = Episode(seed, statements)
    counts, unsupported, findings = collections.Counter(), collections.Counter(), []
    pair = Pair(conninfo, episode.route)
    for number, statement in enumerate(episode.statements):
        at.value = number
        found = None
        for found, ours, theirs in pair.perform(statement):
            count(counts, statement, found, ours, theirs)
            if found == "unsupported":
                unsupported[kind_of(ours.message)] += 1
            elif isinstance(found, tuple):
                findings.append((number, found, shown(ours), shown(theirs)))
        if isinstance(found, tuple) and found[0] in ("state", "accepted", "affected") and statement.kind != "select":
            break  # the two databases are no longer equal
        if found == "order" and statement.kind != "select":
            break  # one of them has written, the other not
        if found == "unsupported" and statement.kind == "ddl" or len(findings) >= FINDINGS_PER_EPISODE:
            break
    pair.close()
    pipe.send((counts, unsupported, findings))


def count(counts, statement, found, ours, theirs):
    counts["statements"] += 1
    counts["differences"] += isinstance(found, tuple)
    counts["order"] += found == "order"
    counts["by " + str(ours.route)] += 1
    if theirs.sqlstate is None:
        counts["accepted"] += 1
        counts["answered"] += found != "unsupported"
        if statement.kind == "select":
            counts["selects"] += 1
            counts["selects with rows"] += bool(theirs.rows)


def kind_of(message):
    """An error message without what changes from statement to statement."""
    return shape(re.sub(r'"[^"]*"', '"x"', message))[:110]


class Job:
    """One episode in a process of its own."""

    def __init__(self, slot, conninfo, seed, statements):
        self.slot, self.seed = slot, seed
        self.at = multiprocessing.Value("q", -1, lock=False)
        self.seen, self.since = -2, time.monotonic()
        self.pipe, sender = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.Process(target=run_episode, args=(conninfo, seed, statements, self.at, sender))
        self.process.start()
        sender.close()

    def poll(self):
        """The episode's result when it has ended, else None."""
        if self.pipe.poll(0.02):
            try:
                result = self.pipe.recv()
            except EOFError:
                self.process.join()
                status = self.process.exitcode
                result = self.broken("crash" if status < 0 else "fuzzer", f"exit status {status}")
            self.process.join()
            return result
        if self.at.value != self.seen:
            self.seen, self.since = self.at.value, time.monotonic()
        elif time.monotonic() - self.since > HANG_SECONDS:
            self.process.kill()
            self.process.join()
            return self.broken("hang", f"no answer within {HANG_SECONDS} s")
        return None

    def broken(self, kind, text):
        counts = collections.Counter(statements=self.at.value + 1, differences=1)
        return counts, collections.Counter(), [(self.at.value, (kind, text), text, "")]


class Report:
    def __init__(self, reduce_max, statements_per_episode, only):
        self.only = only
        self.counts, self.unsupported = collections.Counter(), collections.Counter()
        self.reduce_max, self.statements_per_episode = reduce_max, statements_per_episode
        self.shapes = collections.Counter()

    def add(self, conninfo, seed, result):
        counts, unsupported, findings = result
        self.counts.update(counts)
        self.unsupported.update(unsupported)
        for number, found, ours, theirs in findings:
            self.finding(conninfo, seed, number, found, ours, theirs)

    def finding(self, conninfo, seed, number, found, ours, theirs):
        """Prints a difference, reduced, unless one of its shape was printed."""
        if self.only and found[0] not in self.only:
            self.shapes[found[0]] += 1
            return
        if found[0] in ("error", "sqlstate", "crash", "hang", "type", "name"):
            rough = f"{found[0]} {kind_of(ours if found[0] in ('error', 'sqlstate') else found[1])[:90]}"
            self.shapes[rough] += 1
            if self.shapes[rough] > 1:
                return
        if self.reduce_max <= 0:
            return
        episode = Episode(seed, self.statements_per_episode)
        script = reduce_in_child(conninfo, episode.route, episode.statements[:number + 1], found[0])
        if script:
            text, ours, theirs = script
            key = found[0] + " " + shape(text[-1])
            self.shapes[key] += 1
            if self.shapes[key] > 1:
                return
        else:
            text = ["-- not reduced", str(episode.statements[number].tree)]
        self.reduce_max -= 1
        print(f"\nDIFFERENCE {found[0]}: {found[1]}   (--episode {seed}, statement {number}, route {episode.route})")
        for line in text:
            print(f"    {line};")
        print(f"  omendb:     {ours}\n  postgresql: {theirs}", flush=True)

    def close(self, seconds):
        """Prints the summary; gives whether all is well."""
        counts = self.counts
        answered = counts["answered"] / max(1, counts["accepted"])
        with_rows = counts["selects with rows"] / max(1, counts["selects"])
        print("\nunsupported, by message:" if self.unsupported else "")
        for message, number in self.unsupported.most_common(25):
            print(f"  {number:6}  {message}")
        if self.shapes:
            print("differences, by shape:")
        for key, number in self.shapes.most_common(40):
            print(f"  {number:6}  {key[:200]}")
        print(f"{counts['statements']} statements in {seconds:.0f} s: {counts['differences']} differences, "
              f"{answered:.1%} of {counts['accepted']} accepted ones answered, "
              f"{with_rows:.0%} of {counts['selects']} SELECTs with rows, {counts['order']} by order of evaluation")
        print("routes: " + ", ".join(f"{k[3:]} {v}" for k, v in sorted(counts.items()) if k.startswith("by ")))
        return counts["differences"] == 0 and counts["statements"] > 0 and \
            answered >= ANSWERED_SHARE_MIN and with_rows >= ROWS_SHARE_MIN


def reduced(conninfo, route, statements, wanted, pipe):
    script = reduce(conninfo, route, statements, wanted)
    if script is None:
        pipe.send(None)
        return
    text = [str(s.tree) for s in script]
    if script[-1].runs is not None:
        text[-1] += f"  -- parameters {script[-1].runs}"
    if wanted in ("crash", "hang"):
        pipe.send((text, wanted, ""))
        return
    pair = Pair(conninfo, route)
    for statement in script:
        results = pair.perform(statement)
    _, ours, theirs = next((r for r in results if isinstance(r[0], tuple)), results[-1])
    pipe.send((text, shown(ours), shown(theirs)))


def reduce_in_child(conninfo, route, statements, wanted):
    """(lines of the script, our answer, PostgreSQL's), or None."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=reduced, args=(conninfo, route, statements, wanted, sender))
    process.start()
    sender.close()
    try:
        result = receiver.recv() if receiver.poll(90) else None
    except EOFError:
        result = None
    process.kill()
    process.join()
    return result


def fuzz(server, options):
    seeds = random.Random(options.seed)
    report = Report(options.reduce, options.episode_statements, options.only.split(",") if options.only else [])
    started = time.monotonic()
    slots = list(range(options.jobs))
    for slot in slots + ["reduce"]:
        server.create_database(f"fuzz{slot}")
    running = []
    planned = 0

    def more():
        if options.episode is not None:
            return planned == 0
        return planned < options.statements and time.monotonic() - started < options.seconds

    while running or more():
        while slots and more():
            seed = options.episode if options.episode is not None else seeds.randrange(1 << 32)
            slot = slots.pop()
            running.append(Job(slot, server.conninfo(f"fuzz{slot}"), seed, options.episode_statements))
            planned += options.episode_statements
        for job in list(running):
            result = job.poll()
            if result:
                running.remove(job)
                slots.append(job.slot)
                report.add(server.conninfo("fuzzreduce"), job.seed, result)
    return report.close(time.monotonic() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("OMEN_SEED", random.randrange(1 << 31))))
    parser.add_argument("--statements", type=int, default=1 << 60)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--reduce", type=int, default=20, help="how many differences to reduce and print")
    parser.add_argument("--only", help="classes of differences to print, e.g. rows,crash,accepted")
    parser.add_argument("--episode", type=int, help="run the episode of this seed alone")
    parser.add_argument("--kept", action="store_true", help="databases in directories, opened again now and then")
    parser.add_argument("--episode-statements", type=int, default=EPISODE_STATEMENTS)
    options = parser.parse_args()
    database.KEPT = options.kept
    if options.statements != 1 << 60 and "--seconds" not in sys.argv:
        options.seconds = 1e9
    engine = os.environ.get("OMENDB_ENGINE", os.path.join(omendb.TOP, "build", "libomendb_engine.so"))
    why = postgres.missing() or (None if os.path.exists(engine) else f"no engine at {engine}")
    if why:
        print("skipped: " + why)
        return 77
    print(f"OMEN_SEED={options.seed}", flush=True)
    with postgres.Server() as server:
        return 0 if fuzz(server, options) else 1


if __name__ == "__main__":
    sys.exit(main())
