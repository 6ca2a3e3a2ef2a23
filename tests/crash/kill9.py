"""Kills the real library and shell on a real file system with SIGKILL, and holds them to what they acknowledged.

Usage: kill9.py PATH_TO_OMENDB [--clients PATH_TO_KILL9_CLIENTS] [--kills N] [--seconds S] [--seed N]
                [--folder DIRECTORY]

A ledger here keeps every statement and counts the acknowledgements that came back. After a kill at a
random moment (some while it opens) the database is opened again by the shell and must be the state
after statement k, for some k with acknowledged <= k <= sent: each statement whole or not at all, none
lost, none out of order. The operating system survives a kill, so what this proves is that nothing
acknowledged stays in the process; power cuts are crash.c's.

Without --clients the shell is killed, one connection with many statements under way. With it, a process
of CLIENTS connections at work at once (kill9_clients.c), each with keys and a ledger of its own, beside
checkpoints made one after the other. Checkpoints need an engine that writes segments: OMENDB_ENGINE.
`amid` counts kills that met a checkpoint under way: files in data/ newer than the manifest. Every tenth
time the database is verified before it is opened.

Rows are read by `SELECT * FROM t`, which the stub answers too. Closes with
`kill9: kills=N acknowledged=M amid=K lost=0`; the exit status is 1 where something is lost, or time
was up before so many kills.
"""
import argparse
import csv
import io
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

KEYS = 400          # of the shell's table
ROWS_MAX = 8
IN_FLIGHT_MAX = 64
CLIENTS = 4
CLIENT_KEYS = 64    # of each client, as kill9_clients.c has it
BATCH = 8
START_SECONDS = 60  # for a process that is to acknowledge its first statement
VERIFY_EVERY = 10


class Wrong(Exception):
    pass


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("shell")
    parser.add_argument("--clients", help="the program kill9_clients: kill it instead of the shell")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", help="where the database is made; default: a temporary folder")
    return parser.parse_args()


def moment(chance):
    """Seconds for which a process works after its first acknowledgement."""
    return chance.choice([0.0, 0.01, 0.05, 0.2, 0.4]) * chance.random()


class Process:
    """A program on pipes, to be killed."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)

    def write(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def read(self):
        return self.process.stdout.read() or b""

    def kill(self):
        """What it still had to say."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        rest, errors = self.read(), self.process.stderr.read().decode()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        if errors:
            raise Wrong(f"it complains: {errors}")
        return rest


# --- the shell, one connection


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


class ShellLedger:
    """What was sent: the state after each statement that is not surely acknowledged."""

    def __init__(self, options, chance):
        self.options, self.chance = options, chance
        self.states = [{}]  # after `acknowledged` statements, then one more each
        self.acknowledged = 0
        made = subprocess.run([options.shell, "-c", "CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT, note TEXT)",
                               options.database], capture_output=True, text=True)
        if made.returncode != 0:
            raise Wrong(made.stderr)
        self.checkpoints = subprocess.run([options.shell, "-c", "CHECKPOINT", options.database],
                                          capture_output=True).returncode == 0

    def start(self):
        self.tags, self.output = [], b""
        return Process(self.options.shell, "--keep-going", self.options.database)

    def take(self, data):
        """Counts the tags that came back; they come in the order of the statements."""
        *lines, self.output = (self.output + data).split(b"\n")
        for line in lines:
            if not line.strip():
                continue
            if not self.tags or line.decode() != self.tags[0]:
                raise Wrong(f"expected {self.tags[:1]}, the shell says {line!r}")
            self.tags.pop(0)
            self.states.pop(0)
            self.acknowledged += 1

    def go_on(self, process):
        if len(self.tags) >= IN_FLIGHT_MAX:
            time.sleep(0.0005)
            return
        number = self.acknowledged + len(self.states)
        text, tag, state = statement(self.chance, self.states[-1], number, self.checkpoints)
        self.states.append(state)
        self.tags.append(tag)
        process.write(text)

    def settle(self, found):
        if found not in self.states:
            raise Wrong(f"no state between acknowledged ({self.acknowledged}) and sent "
                        f"(+{len(self.states) - 1}) is there")
        self.acknowledged += self.states.index(found)
        self.states = [found]


# --- several clients in one process


def mix(value):
    mask = 2**64 - 1
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & mask
    value = (value ^ value >> 27) * 0x94D049BB133111EB & mask
    return value ^ value >> 31


class Client:
    """What one of them has: its state after `done` statements."""

    def __init__(self, seed, number):
        self.seed, self.number, self.done, self.state = seed, number, 0, {}

    def row(self, key):
        key = self.number * CLIENT_KEYS + key
        return key, (self.done, f"{self.done} of {key} " + ("abcdefghijklmnopqrstuvwxyz" * 2)[:self.done % 40])

    def step(self):
        """Its next statement, as kill9_clients.c does it."""
        self.done += 1
        chance = mix((self.seed + self.number * 1000003 + self.done * 7919) % 2**64)
        key, what = (chance >> 8) % CLIENT_KEYS, chance % 8
        if what == 0:
            rows = dict(self.row((key + i) % CLIENT_KEYS) for i in range(BATCH))
            self.state = {**rows, **self.state}
        elif what <= 2:
            self.state.pop(self.number * CLIENT_KEYS + key, None)
        else:
            self.state.update([self.row(key)])

    def advance(self, done):
        while self.done < done:
            self.step()


class ClientsLedger:
    RECORD = struct.Struct("=QQ")

    def __init__(self, options, chance):
        self.options = options
        self.clients = [Client(options.seed, number) for number in range(CLIENTS)]
        self.acknowledged = 0

    def start(self):
        self.output = b""
        return Process(self.options.clients, self.options.database, str(self.options.seed),
                       *(str(client.done) for client in self.clients))

    def take(self, data):
        self.output += data
        whole = len(self.output) // self.RECORD.size * self.RECORD.size
        for number, done in self.RECORD.iter_unpack(self.output[:whole]):
            client = self.clients[number]
            if done != client.done + 1:
                raise Wrong(f"client {number} acknowledges {done} after {client.done}")
            client.step()
            self.acknowledged += 1
        self.output = self.output[whole:]

    def go_on(self, process):
        time.sleep(0.001)

    def settle(self, found):
        for client in self.clients:
            first = client.number * CLIENT_KEYS
            rows = {key: row for key, row in found.items() if first <= key < first + CLIENT_KEYS}
            if rows == client.state:
                continue
            before = client.done
            client.step()  # the one that was under way
            if rows != client.state:
                raise Wrong(f"client {client.number} has neither what was after statement {before}, which was "
                            f"acknowledged, nor after the next")


# --- the run


def one_life(ledger, chance):
    """A process works until it is killed."""
    process = ledger.start()
    end, patience = None, time.monotonic() + START_SECONDS
    before = ledger.acknowledged
    while end is None or time.monotonic() < end:
        ledger.take(process.read())
        if end is None and ledger.acknowledged > before:
            end = time.monotonic() + moment(chance)
        if process.process.poll() is not None or time.monotonic() > patience:
            break
        ledger.go_on(process)
    ledger.take(process.kill())
    if end is None:
        raise Wrong("it ended, or did nothing")


def is_amid(database):
    """Whether a checkpoint was under way: it has written files that no manifest names yet."""
    if os.path.exists(os.path.join(database, "manifest.new")):
        return True
    since = os.stat(os.path.join(database, "manifest")).st_mtime_ns
    return any(entry.stat().st_mtime_ns > since for entry in os.scandir(os.path.join(database, "data")))


def read_back(options):
    done = subprocess.run([options.shell, "--csv", "-c", "SELECT * FROM t", options.database], capture_output=True,
                          timeout=60, text=True)
    if done.returncode != 0:
        raise Wrong(done.stderr)
    rows = list(csv.reader(io.StringIO(done.stdout)))[1:]
    found = {int(key): (int(v), note) for key, v, note in rows}
    if len(found) != len(rows):
        raise Wrong("a key came twice")
    return found


def verify(options):
    done = subprocess.run([options.shell, "verify", options.database], capture_output=True, timeout=60, text=True)
    if done.returncode != 0:
        raise Wrong(f"verify: {done.stdout}{done.stderr}")


class Run:
    def __init__(self, options):
        self.options, self.chance = options, random.Random(options.seed)
        self.kills = self.amid = 0
        self.ledger = (ClientsLedger if options.clients else ShellLedger)(options, self.chance)

    def killed(self):
        self.kills += 1
        self.amid += is_amid(self.options.database)

    def go(self):
        end = time.monotonic() + self.options.seconds
        while self.kills < self.options.kills and time.monotonic() < end:
            one_life(self.ledger, self.chance)
            self.killed()
            while self.chance.random() < 0.3:  # opening is killed too
                process = self.ledger.start()
                time.sleep(self.chance.random() * 0.04)
                self.ledger.take(process.kill())
                self.killed()
            if self.chance.randrange(VERIFY_EVERY) == 0:
                verify(self.options)
            self.ledger.settle(read_back(self.options))


def main():
    options = arguments()
    top = options.folder or tempfile.mkdtemp(prefix="omendb-kill9-")
    options.database = os.path.join(top, "db")
    print(f"kill9: SEED={options.seed} folder={options.database}", flush=True)
    run, why = None, None
    try:
        run = Run(options)
        run.go()
    except Wrong as wrong:
        why = str(wrong)
    kills, acknowledged, amid = (run.kills, run.ledger.acknowledged, run.amid) if run else (0, 0, 0)
    if why:
        print(f"kill9: after {kills} kills: {why}")
        print(f"kill9: kills={kills} acknowledged={acknowledged} amid={amid} lost=1 (SEED={options.seed}, kept: {top})")
        return 1
    if not options.folder:
        shutil.rmtree(top)
    print(f"kill9: kills={kills} acknowledged={acknowledged} amid={amid} lost=0")
    return 0 if kills >= options.kills else 1


if __name__ == "__main__":
    sys.exit(main())
