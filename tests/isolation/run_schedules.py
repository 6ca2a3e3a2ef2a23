"""Plays the schedules of tests/isolation/schedules on PostgreSQL 15 and on OmenDB.

    run_schedules.py [FILE...] [--only WORD] [--route auto|index|engine] [--jobs N]
                     [--show] [--postgres] [--record | --record-omendb]

Each outcome is compared: rows, counts, SQLSTATE, and whether a step waited. What PostgreSQL answered
is kept beside each file as *.out: where it is not installed OmenDB is compared with that, and where
it is, PostgreSQL too. `--record` writes the *.out; `--record-omendb` adds what OmenDB answers to schedules that say why it
answers otherwise. `--postgres` leaves OmenDB out. `--show` prints
what happened. Exit status 77 where OmenDB has no transactions over several statements; 1 after a
difference.
"""
import argparse
import concurrent.futures
import difflib
import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))
import postgres
import schedule
import sides
from play import Play, waits_of

SKIP = 77
OURS = " (omendb)"  # behind the name of what OmenDB answers otherwise


def difference(name, wanted, got):
    lines = list(difflib.unified_diff(wanted.split("\n"), got.split("\n"), "postgresql", name, n=99, lineterm=""))
    return "\n".join(lines[3:])


def out_path(path):
    return path[:-len(".txt")] + ".out"


def recorded(path):
    """{schedule: text} of a file's *.out."""
    if not os.path.exists(out_path(path)):
        return {}
    texts = open(out_path(path)).read().rstrip("\n").split("\n\n")
    return {text.split("\n")[0][len("schedule "):]: text for text in texts}


class Worker:
    """The databases of one process."""
    oracle = ours = None

    @classmethod
    def start(cls, server, route):
        cls.oracle = sides.Postgres(server, f"isolation{os.getpid()}") if server else None
        cls.ours = sides.Omen(route) if route else None
        if cls.ours:
            cls.ours.monitor.query("SELECT sum(x) FROM (VALUES (1), (2)) AS v (x)")  # the engine is loaded now

    @classmethod
    def play(cls, one, kept, kept_ours):
        """The texts of PostgreSQL's run and of OmenDB's, each None where it is not there."""
        theirs = Play(cls.oracle, one).run().text() if cls.oracle else None
        wanted = kept_ours or theirs or kept
        ours = Play(cls.ours, one, waits_of(wanted)).run().text() if cls.ours and wanted else None
        return theirs, ours


def play_all(todo, server, route, jobs):
    """(path, schedule, PostgreSQL's text, ours) of each."""
    with concurrent.futures.ProcessPoolExecutor(jobs, initializer=Worker.start, initargs=(server, route)) as pool:
        futures = [(path, one, pool.submit(Worker.play, one, *texts)) for path, one, texts in todo]
        for path, one, future in futures:
            try:
                yield path, one, *future.result()
            except concurrent.futures.process.BrokenProcessPool:
                running = [name.name for _, name, future in futures if not future.done()][:jobs + 1]
                raise SystemExit(f"a process died in one of: {'; '.join([one.name, *running])}")


def compare(options, todo, server, route):
    """How many schedules differ, and what is to be recorded: {path: texts}."""
    differences, texts = 0, {}
    kept = {(path, one.name): text for path, one, text in todo}
    for path, one, theirs, ours in play_all(todo, server, route, options.jobs):
        if options.show:
            print((theirs or ours or "nothing is known of " + one.name) + "\n")
        old, old_ours = kept[path, one.name]
        texts.setdefault(path, []).append(theirs or old)
        if ours and options.record_omendb and one.reason:
            old_ours = ours if ours != (theirs or old) else None
        if old_ours:
            texts[path].append(old_ours.replace(f"schedule {one.name}", f"schedule {one.name}{OURS}", 1))
        pairs = [] if options.record else [("postgresql", old, theirs)]
        for name, wanted, got in pairs + [("omendb", old_ours or theirs or old, ours)]:
            if got is not None and got != wanted:
                differences += 1
                print(f"DIFFERENCE: {name} in {os.path.basename(path)}\n{difference(name, wanted or '', got)}\n",
                      flush=True)
    return differences, texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--only", default="", help="schedules whose name holds this")
    parser.add_argument("--route", default="auto")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--record-omendb", action="store_true")
    options = parser.parse_args()
    missing = postgres.missing()
    if missing and (options.postgres or options.record):
        print(missing)
        return SKIP
    route = None if options.postgres or options.record else options.route
    if route and not sides.has_transactions():
        print("no transactions over several statements here")
        return SKIP
    paths = options.files or sorted(glob.glob(os.path.join(HERE, "schedules", "*.txt")))
    todo = []
    for path in paths:
        kept = recorded(path)
        todo += [(path, one, (kept.get(one.name), kept.get(one.name + OURS, "").replace(OURS, "", 1)))
                 for one in schedule.read(path) if options.only in one.name]
    server = None if missing else postgres.Server(sides.SETTINGS)
    try:
        differences, texts = compare(options, todo, server, route)
    finally:
        if server:
            server.close()
    for path, lines in texts.items() if options.record or options.record_omendb else ():
        with open(out_path(path), "w") as out:
            out.write("\n\n".join(lines) + "\n")
    print(f"isolation: schedules={len(todo)} differences={differences}")
    return 1 if differences or not todo else 0


if __name__ == "__main__":
    sys.exit(main())
