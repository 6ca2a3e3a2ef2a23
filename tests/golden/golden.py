"""What making and checking the golden databases share: reading a database as text.

A dump is, table by table, a line `-- name` and the rows as CSV with their header, sorted. It asks for
nothing but `SELECT * FROM table`, which the stub engine answers too.
"""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
FORMATS = {"closed": "format1", "replay": "format1", "ends": "format1", "unique": "format2"}  # of the manifest
SECONDS = 120


def path_of(name, ending):
    """Of a database, or of what it holds."""
    return os.path.join(HERE, FORMATS[name.split("_")[0]], name + ending)


def shell(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, timeout=SECONDS, text=True)


def records(output):
    """The records of a CSV text, those with line breaks in one piece."""
    found, record = [], ""
    for line in output.split("\n")[:-1]:
        record = record + "\n" + line if record else line
        if record.count('"') % 2 == 0:
            found.append(record)
            record = ""
    return found


def dump(program, tables, directory=None, script=None):
    """The tables of a database as text: of the one in the directory, or of what a script makes in memory."""
    asked = [part for table in tables for part in ("-c", f"SELECT '-- {table}' AS mark", "-c", f"SELECT * FROM {table}")]
    done = shell(program, "--csv", *(["-f", script] if script else []), *asked, *([directory] if directory else []))
    if done.returncode != 0:
        raise SystemExit(f"reading {directory or script}: {done.stderr}")
    text, found = [], records(done.stdout)
    marks = [at for at, record in enumerate(found) if record.startswith("-- ") and found[at - 1] == "mark"]
    for at, end in zip(marks, [mark - 1 for mark in marks[1:]] + [len(found)]):
        text += [found[at], found[at + 1], *sorted(found[at + 2:end])]
    return "\n".join(text) + "\n"


def tables_of(text):
    return [line[3:] for line in text.split("\n") if line.startswith("-- ")]
