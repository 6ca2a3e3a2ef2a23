"""Kills the real shell on a real file system with SIGKILL, and holds it to what it acknowledged.

Usage: kill9.py PATH_TO_OMENDB [--kills N] [--seconds S] [--seed N] [--folder DIRECTORY]

A ledger here keeps every statement sent and counts the acknowledgements that came back. After a
kill at a random moment the database is opened again (sometimes that is killed too) and must be the
state after statement k, for some k with acknowledged <= k <= sent: each statement whole or not at
all, none lost, none out of order. The operating system survives a kill, so what this proves is that
nothing acknowledged stays in the process; power cuts are crash.c's.

The engine is used for one statement only, `SELECT * FROM t`, which the stub answers too. Closes with
`kill9: kills=N acknowledged=M lost=0`.
"""
import argparse
import csv
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

KEYS = 400
ROWS_MAX = 8
IN_FLIGHT_MAX = 64


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("shell")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", help="where the database is made; default: a temporary folder")
    return parser.parse_args()


def statement(chance, state, number, checkpoints):
    """One statement as (text, tag, new state); the state maps ids to (v, note)."""
    after = dict(state)
    choice = chance.random()
    absent = [key for key in range(KEYS) if key not in state]
    if choice < 0.03 and checkpoints:
        return "CHECKPOINT;", "CHECKPOINT", after
    if (choice < 0.55 and absent) or not state:
        first = chance.choice(absent)
        keys = [key for key in range(first, min(first + chance.randint(1, ROWS_MAX), KEYS)) if key not in state]
        rows = {key: (number, f"note {number} of {key} " + "x" * chance.randint(0, 60)) for key in keys}
        after.update(rows)
        values = ", ".join(f"({key}, {v}, '{note}')" for key, (v, note) in rows.items())
        return f"INSERT INTO t VALUES {values};", f"INSERT 0 {len(rows)}", after
    key = chance.choice(sorted(state))
    if choice < 0.85:
        after[key] = (number, f"changed by {number}")
        return f"UPDATE t SET v = {number}, note = 'changed by {number}' WHERE id = {key};", "UPDATE 1", after
    del after[key]
    return f"DELETE FROM t WHERE id = {key};", "DELETE 1", after


class Ledger:
    """What was sent: the state after each statement that is not surely acknowledged."""

    def __init__(self):
        self.states = [{}]  # after `acknowledged` statements, then one more each
        self.acknowledged = 0

    def send(self, state):
        self.states.append(state)

    def acknowledge(self, count):
        del self.states[:count]
        self.acknowledged += count

    def settle(self, found):
        """True where the state found may be; it is then the only one."""
        if found not in self.states:
            return False
        self.acknowledged += self.states.index(found)
        self.states = [found]
        return True


class Shell:
    def __init__(self, path, folder, *more):
        self.process = subprocess.Popen([path, "--keep-going", *more, folder], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.output = b""

    def write(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def lines(self):
        """Whole lines that came since the last call."""
        data = self.process.stdout.read()
        self.output += data or b""
        *whole, self.output = self.output.split(b"\n")
        return [line.decode() for line in whole if line.strip()]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        lines = self.lines()
        errors = self.process.stderr.read().decode()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        return lines, errors


def acknowledge(ledger, tags, lines):
    """Counts the tags that came back; they come in the order of the statements."""
    for line in lines:
        if not tags or line != tags[0]:
            raise SystemExit(f"kill9: expected {tags[:1]}, the shell says {line!r}")
        tags.pop(0)
        ledger.acknowledge(1)


def one_life(options, folder, chance, ledger):
    """Runs statements in a process of its own until it is killed."""
    shell = Shell(options.shell, folder)
    end = time.monotonic() + chance.choice([0.02, 0.1, 0.4, 0.8]) * (0.2 + chance.random())
    tags = []
    while time.monotonic() < end:
        acknowledge(ledger, tags, shell.lines())
        if len(tags) >= IN_FLIGHT_MAX:
            time.sleep(0.0005)
            continue
        number = ledger.acknowledged + len(ledger.states)
        text, tag, state = statement(chance, ledger.states[-1], number, options.checkpoints)
        ledger.send(state)
        tags.append(tag)
        shell.write(text)
    lines, errors = shell.kill()
    acknowledge(ledger, tags, lines)
    if errors:
        raise SystemExit(f"kill9: the shell complains: {errors}")


def read_back(options, folder):
    done = subprocess.run([options.shell, "--csv", "-c", "SELECT * FROM t", folder], capture_output=True,
                          timeout=60, text=True)
    if done.returncode != 0:
        return None, done.stderr
    rows = list(csv.reader(io.StringIO(done.stdout)))[1:]
    found = {int(key): (int(v), note) for key, v, note in rows}
    if len(found) != len(rows):
        return None, "a key came twice"
    return found, ""


def main():
    options = arguments()
    chance = random.Random(options.seed)
    top = options.folder or tempfile.mkdtemp(prefix="omendb-kill9-")
    folder = os.path.join(top, "db")
    print(f"kill9: SEED={options.seed} folder={folder}", flush=True)
    made = subprocess.run([options.shell, "-c", "CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT, note TEXT)",
                           folder], capture_output=True, text=True)
    if made.returncode != 0:
        raise SystemExit(f"kill9: {made.stderr}")
    options.checkpoints = subprocess.run([options.shell, "-c", "CHECKPOINT", folder],
                                         capture_output=True).returncode == 0
    ledger, kills, begun = Ledger(), 0, time.monotonic()
    while kills < options.kills and time.monotonic() - begun < options.seconds:
        one_life(options, folder, chance, ledger)
        kills += 1
        while chance.random() < 0.3:  # opening is killed too
            shell = Shell(options.shell, folder)
            time.sleep(chance.random() * 0.02)
            shell.kill()
            kills += 1
        found, why = read_back(options, folder)
        if found is None or not ledger.settle(found):
            print(f"kill9: after {kills} kills: {why or 'no state between acknowledged and sent is there'}; "
                  f"acknowledged={ledger.acknowledged} in flight={len(ledger.states) - 1}")
            print(f"kill9: kills={kills} acknowledged={ledger.acknowledged} lost=1 (SEED={options.seed}, kept: {top})")
            return 1
    if not options.folder:
        shutil.rmtree(top)
    print(f"kill9: kills={kills} acknowledged={ledger.acknowledged} lost=0")
    return 0 if kills >= min(options.kills, 1) else 1


if __name__ == "__main__":
    sys.exit(main())
