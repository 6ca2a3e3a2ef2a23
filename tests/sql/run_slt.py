"""Runs sqllogictest files through OmenDB, once per route, or through PostgreSQL.

    run_slt.py [--routes auto,index,engine] [--every N] [--jobs N] [--show N] PATH...
    run_slt.py --oracle PATH...             does PostgreSQL agree with the files?
    run_slt.py --oracle --rewrite FILE...   put PostgreSQL's answers into our own files
    run_slt.py --oracle --exceptions FOLDER list where PostgreSQL disagrees with a foreign corpus

PATH is a file or a folder. Each file gets a database of its own; files run side by side. A route
is forced by SET omen.route; `auto` leaves the choice to the router. Per route and folder one line
says how many records pass, fail and are unsupported: unsupported is what fails with 0A000, or asks
for something whose creation did, or would see rows that only such a statement writes, and nothing
else. A wrong answer, a crash and a hang are failures. Per forced route one line says which share of the records meant for it the route
answered itself: full-key point statements and INSERT VALUES for `index`, queries for `engine`.

SQLite's corpus holds records that PostgreSQL answers otherwise although they are meant for it;
slt_exceptions.txt, written by --exceptions, has PostgreSQL's answers to those.

`--every N` runs the statements and every N-th query. Exit status: 1 where a record failed, one of
select1 to select3 was unsupported, or a route answered less than 40 % of its records; 77 where there
is nothing to run.
"""
import argparse
import collections
import multiprocessing
import os
import re
import sys
import time

import slt

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import omendb
import postgres

EXCEPTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "slt_exceptions.txt")
HANG_SECONDS = 60
ROUTE_SHARE_MIN = 0.4
ANSWERED_WHOLLY = ("select1.test", "select2.test", "select3.test")  # of SQLite's: nothing is unsupported
CREATED = re.compile(r"\s*CREATE\s+(?:UNIQUE\s+|TEMP\s+|TEMPORARY\s+)?(TABLE|VIEW|INDEX|TRIGGER)\s+"
                     r"(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", re.IGNORECASE)
WRITTEN = re.compile(r"\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|COPY)\s+(\w+)", re.IGNORECASE)
POINT = re.compile(r"\s*(?:SELECT\s+(?:\*|\w+(?:\s*,\s*\w+)*)\s+FROM|DELETE\s+FROM|UPDATE)\s+(\w+)"
                   r"(?:\s+SET\s+.*?)?\s+WHERE\s+(.*)$", re.IGNORECASE | re.DOTALL)
KEY_EQUALS = re.compile(r"\s*(\w+)\s*=\s*(?:-?\d+|'(?:[^']|'')*')\s*$", re.IGNORECASE)
INSERT_VALUES = re.compile(r"\s*INSERT\s+INTO\s+\w+\s*(?:\([^()]*\))?\s*VALUES\b", re.IGNORECASE)


class Outcome:
    """What a database answered to one statement."""

    def __init__(self, rows=(), sqlstate=None, message=None, affected=0, route=None, oids=()):
        self.rows, self.sqlstate, self.message = rows, sqlstate, message
        self.affected, self.route, self.oids = affected, route, oids


class OmenSession:
    engines = ("postgresql", "omendb")

    def __init__(self, route):
        self.database = omendb.Database(file_access=True, thread_count=1)
        self.connection = self.database.connect()
        if route != "auto":
            self.connection.run(f"SET omen.route = {route}").close()

    def run(self, sql):
        try:
            with self.connection.run(sql.encode(errors="surrogateescape")) as statement:
                return Outcome(statement.texts(), affected=statement.rows_affected,
                               route=statement.route)
        except omendb.Error as error:
            return Outcome(sqlstate=error.sqlstate, message=error.message)

    def close(self):
        self.connection.close()
        self.database.close()


class OracleSession:
    engines = ("postgresql",)

    def __init__(self, server, database):
        server.create_database(database)
        self.session = postgres.Session(server.conninfo(database))

    def run(self, sql):
        answer = self.session.run(sql.encode(errors="surrogateescape"))
        return Outcome(answer.rows, answer.sqlstate, answer.message, answer.affected,
                       oids=answer.oids)

    def close(self):
        self.session.close()


class Keys:
    """The primary keys of a file's tables, to tell which statements name a full key."""

    def __init__(self):
        self.columns = {}

    def learn(self, sql):
        created = CREATED.match(sql)
        if not created or created[1].upper() != "TABLE":
            return
        listed = re.search(r"PRIMARY\s+KEY\s*\(([^)]*)\)", sql, re.IGNORECASE)
        inline = re.search(r"[(,]\s*(\w+)\s[^,()]*(?:\([^)]*\))?[^,()]*PRIMARY\s+KEY", sql, re.IGNORECASE)
        names = listed[1].split(",") if listed else [inline[1]] if inline else []
        self.columns[created[2].lower()] = {name.strip().lower() for name in names}

    def meant_for_index(self, sql):
        if INSERT_VALUES.match(sql):
            return True
        point = POINT.match(sql)
        key = self.columns.get(point[1].lower()) if point else None
        if not key:
            return False
        parts = [KEY_EQUALS.match(part) for part in re.split(r"\s+AND\s+", point[2], flags=re.IGNORECASE)]
        return all(parts) and {part[1].lower() for part in parts} == key


class Missing:
    """What statements that ended with 0A000 would have made: names of objects that do not exist,
    and tables whose rows are not those the file expects."""

    def __init__(self):
        self.absent, self.changed = set(), set()

    def learn(self, sql):
        created = CREATED.match(sql)
        if created:
            self.absent.add(created[2].lower())
        written = WRITTEN.match(sql)
        if written:
            self.changed.add(written[1].lower())

    @staticmethod
    def named(sql, names):
        return any(re.search(rf"\b{re.escape(name)}\b", sql, re.IGNORECASE) for name in names)


def judge(record, outcome, labels, missing):
    """("pass" | "fail" | "unsupported", why)."""
    verdict, why = judge_alone(record, outcome, labels, missing)
    if verdict == "fail" and outcome.sqlstate is None and missing.named(record.sql, missing.changed):
        verdict, why = "unsupported", "sees rows that an unsupported statement would have written"
    if verdict == "unsupported":
        missing.learn(record.sql)
    return verdict, why


def judge_alone(record, outcome, labels, missing):
    if outcome.sqlstate == "0A000" and record.detail != "0A000":
        return "unsupported", outcome.message
    if outcome.sqlstate == "42P01" and missing.named(record.sql, missing.absent):
        return "unsupported", "asks what an unsupported statement would have made"
    if record.alternative and outcome.sqlstate == record.alternative:
        return "pass", None
    if record.wanted == "error":
        if outcome.sqlstate is None:
            return "fail", "no error"
        if record.detail and re.fullmatch(r"[0-9A-Z]{5}", record.detail):
            if outcome.sqlstate != record.detail:
                return "fail", f"wanted {record.detail}, got {outcome.sqlstate} {outcome.message}"
        elif record.detail and not re.search(record.detail, outcome.message):
            return "fail", f"wanted {record.detail!r}, got {outcome.message!r}"
        return "pass", None
    if outcome.sqlstate is not None:
        return "fail", f"{outcome.sqlstate} {outcome.message}"
    if record.wanted == "count" and outcome.affected != int(record.detail):
        return "fail", f"wanted {record.detail} rows written, got {outcome.affected}"
    why = slt.compare(record, outcome.rows, labels) if record.wanted == "rows" else None
    return ("fail" if why else "pass"), why


def run_file(path, exceptions, open_session, every, line, pipe):
    """Runs one file in this process and sends its counts: a Counter and a list of findings.
    `exceptions` are the file's, by line."""
    session = open_session()
    counts, findings, labels, missing, keys = collections.Counter(), [], {}, Missing(), Keys()
    queries = 0
    for record in slt.parse(path, session.engines):
        if record.kind == "query":
            queries += 1
            if (queries - 1) % every:
                continue
        line.value = record.line + 1
        if line.value in exceptions:
            slt.apply_exception(record, exceptions[line.value])
        keys.learn(record.sql)
        outcome = session.run(record.sql)
        verdict, why = judge(record, outcome, labels, missing)
        counts[verdict] += 1
        if verdict != "pass":
            findings.append((verdict, record.line + 1, record.sql, why))
        if outcome.sqlstate is None:
            if keys.meant_for_index(record.sql):
                counts["meant index"] += 1
                counts["by index"] += outcome.route in ("index", "core")
            if record.kind == "query":
                counts["meant engine"] += 1
                counts["by engine"] += outcome.route == "engine"
    session.close()
    pipe.send((counts, findings))


class Job:
    """One file on one route, in a process of its own."""

    def __init__(self, path, exceptions, route, open_session, every):
        self.path, self.route = path, route
        self.line = multiprocessing.Value("q", 0, lock=False)
        self.seen, self.since = -1, time.monotonic()
        self.pipe, sender = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.Process(target=run_file,
                                               args=(path, exceptions, open_session, every, self.line, sender))
        self.process.start()
        sender.close()

    def poll(self):
        """(counts, findings) when it has ended, else None."""
        if self.pipe.poll(0.02):
            try:
                result = self.pipe.recv()
            except EOFError:
                self.process.join()
                result = self.broken(f"the process died (exit status {self.process.exitcode})")
            self.process.join()
            return result
        now = time.monotonic()
        if self.line.value != self.seen:
            self.seen, self.since = self.line.value, now
        elif now - self.since > HANG_SECONDS:
            self.process.kill()
            self.process.join()
            return self.broken(f"no answer within {HANG_SECONDS} s")
        return None

    def broken(self, why):
        return collections.Counter(fail=1), [("fail", self.line.value, "", why)]


def run_all(work, jobs_max, done):
    """Runs tuples of Job's arguments, `jobs_max` side by side; calls
    done(job, counts, findings) for each that ends."""
    waiting, running = list(work), []
    while waiting or running:
        while waiting and len(running) < jobs_max:
            running.append(Job(*waiting.pop(0)))
        for job in list(running):
            result = job.poll()
            if result:
                running.remove(job)
                done(job, *result)


def rewrite(path, server):
    """Puts PostgreSQL's answers into one of our own files."""
    session = OracleSession(server, "rewrite")
    answers = {}
    for record in slt.parse(path, session.engines):
        outcome = session.run(record.sql)
        results = None
        if outcome.sqlstate:
            head = f"{record.kind} error {outcome.sqlstate}"
        elif record.kind == "statement":
            head = f"statement count {outcome.affected}" if record.wanted == "count" else "statement ok"
        else:
            types = "".join("I" if oid in (20, 21, 23) else "T" for oid in outcome.oids)
            head = f"query {types} {record.sort}" + (f" {record.label}" if record.label else "")
            results = [" ".join(row) for row in slt.shown(outcome.rows, types, record.sort)]
        answers[record.line] = record, head, results
    session.close()
    text = slt.rewritten(path, answers)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def exceptions_of(path, server):
    """The lines of one file that PostgreSQL answers otherwise: {line: what it answers}."""
    session = OracleSession(server, "exceptions")
    found, labels = {}, {}
    for record in slt.parse(path, session.engines):
        outcome = session.run(record.sql)
        if judge(record, outcome, labels, Missing())[0] == "pass":
            continue
        if outcome.sqlstate or record.kind == "statement":
            found[record.line + 1] = outcome.sqlstate or "ok"
        else:
            found[record.line + 1] = slt.digest_line(outcome.rows, record.types, record.sort)
    session.close()
    return found


def write_exceptions(files, server):
    with open(EXCEPTIONS, "w", encoding="utf-8") as out:
        out.write("# Written by run_slt.py --oracle --exceptions: FILE PostgreSQL's answer: LINES\n")
        for path, inside in files:
            groups = collections.defaultdict(list)
            for line, answer in exceptions_of(path, server).items():
                groups[answer].append(str(line))
            for answer, numbers in groups.items():
                out.write(f"{inside} {answer}: {' '.join(numbers)}\n")


def files_of(paths):
    """(path, path inside the folder given) of every .test and .slt file under the paths."""
    for top in paths:
        if os.path.isfile(top):
            yield top, os.path.basename(top)
        for folder, _, names in sorted(os.walk(top)):
            for name in sorted(names):
                if name.endswith((".test", ".slt")):
                    path = os.path.join(folder, name)
                    yield path, os.path.relpath(path, top)


class Report:
    """Counts per route and folder, and what to print of them."""

    def __init__(self, show):
        self.show, self.counts, self.reasons = show, {}, collections.Counter()
        self.whole = True
        self.started = time.monotonic()

    def add(self, route, folder, path, counts, findings):
        self.counts.setdefault((route, folder), collections.Counter()).update(counts)
        if os.path.basename(path) in ANSWERED_WHOLLY and counts.get("unsupported"):
            print(f"FAIL {route} {path}: {counts['unsupported']} are unsupported, where none may be")
            self.whole = False
        failures = 0
        for verdict, line, sql, why in findings:
            if verdict == "unsupported":
                self.reasons[why] += 1
                continue
            failures += 1
            if failures <= self.show:
                print(f"FAIL {route} {path}:{line}: {why}\n    " + sql.replace("\n", "\n    "), flush=True)
        if failures > self.show:
            print(f"FAIL {route} {path}: {failures - self.show} more")

    def close(self, routes):
        """Prints the lines; gives whether all is well."""
        well = self.whole
        for route in routes:
            total = collections.Counter()
            for (of, folder), counts in sorted(self.counts.items()):
                if of == route:
                    total.update(counts)
                    self.line(route, folder, counts)
            self.line(route, "all", total)
            well &= total["fail"] == 0
            if route in ("index", "engine"):
                meant, by = total[f"meant {route}"], total[f"by {route}"]
                share = by / meant if meant else 1
                print(f"{route:8} answered {by} of the {meant} records meant for it ({share:.0%})")
                well &= share >= ROUTE_SHARE_MIN
        for reason, count in self.reasons.most_common(self.show):
            print(f"unsupported {count:7}  {reason}")
        print(f"{time.monotonic() - self.started:.0f} s")
        return well

    @staticmethod
    def line(route, folder, counts):
        print(f"{route:8} {folder:40} {counts['pass']:7} pass {counts['fail']:5} fail "
              f"{counts['unsupported']:6} unsupported")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--routes", default="auto,index,engine")
    parser.add_argument("--every", type=int, default=1, help="run every N-th query only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--show", type=int, default=5, help="failures printed per file")
    parser.add_argument("--oracle", action="store_true", help="run on PostgreSQL instead")
    parser.add_argument("--rewrite", action="store_true", help="with --oracle: store its answers")
    parser.add_argument("--exceptions", action="store_true",
                        help="with --oracle: rewrite slt_exceptions.txt")
    options = parser.parse_args()
    files = list(files_of(options.paths))
    if not files:
        print(f"skipped: nothing at {' '.join(options.paths)}")
        return 77
    report = Report(options.show)
    inside = dict(files)
    exceptions = {path: {} for path in inside}
    for (name, line), answer in slt.read_exceptions(EXCEPTIONS).items():
        for path in inside:
            if path.endswith("/" + name):
                exceptions[path][line] = answer

    def done(job, counts, findings):
        folder = os.path.dirname(inside[job.path]) or os.path.basename(job.path)
        report.add(job.route, folder, job.path, counts, findings)

    files.sort(key=lambda file: -os.path.getsize(file[0]))
    if not options.oracle:
        routes = options.routes.split(",")
        run_all([(path, exceptions[path], route, lambda route=route: OmenSession(route), options.every)
                 for path, _ in files for route in routes], options.jobs, done)
        return 0 if report.close(routes) else 1
    if postgres.missing():
        print("skipped: " + postgres.missing())
        return 77
    with postgres.Server() as server:
        if options.rewrite:
            for path, _ in files:
                rewrite(path, server)
            return 0
        if options.exceptions:
            write_exceptions(sorted(files), server)
            return 0
        run_all([(path, exceptions[path], "oracle", lambda n=n: OracleSession(server, f"slt{n}"), options.every)
                 for n, (path, _) in enumerate(files)], options.jobs, done)
    return 0 if report.close(["oracle"]) else 1


if __name__ == "__main__":
    sys.exit(main())
