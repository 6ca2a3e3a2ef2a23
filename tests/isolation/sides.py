"""The two databases a schedule is played on. Both start statements without waiting for them and
know of each session whether it still runs, waits for a lock, or is done.

PostgreSQL is asked through a connection of its own who waits for a lock that it was not granted.
OmenDB has a thread per session, and is asked the same by the view omen_locks where there is one. Where
there is none it is told who waits in PostgreSQL (`expected`): the others must end, and those who are
still at it after GRACE_SECONDS wait.
"""
import os
import queue
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import omendb
import postgres

DEADLOCK_SECONDS = 0.01  # PostgreSQL's deadlock_timeout
LOOKED_SECONDS = 0.02    # by then who waits has looked for a deadlock: the one who closes it dies
GRACE_SECONDS = 0.04
HANG_SECONDS = 8
SETTINGS = {"deadlock_timeout": "10ms", "max_connections": "60"}
WRITES = ("INSERT", "UPDATE", "DELETE")
CONTROL = ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT")


class Outcome:
    """What a statement gave: rows of text (None for NULL), a count, or an error."""

    def __init__(self, sql, rows=None, affected=0, tag=None, sqlstate=None, message=None):
        self.rows, self.affected, self.tag = rows, affected, tag
        self.sqlstate, self.message = sqlstate, message
        word = sql.split(None, 1)[0].upper().rstrip(";")
        if word not in WRITES:
            self.affected = None
        if word not in CONTROL:
            self.tag = None
        if rows is not None and "ORDER BY" not in sql.upper():
            rows.sort(key=lambda row: [(value is None, value) for value in row])

    def __str__(self):
        if self.sqlstate:
            return f"ERROR {self.sqlstate}"
        if self.rows is not None:
            return " ".join(f"({', '.join('NULL' if v is None else v for v in row)})" for row in self.rows) or "no rows"
        if self.affected is None:
            return self.tag or "done"
        return "1 row" if self.affected == 1 else f"{self.affected} rows"


class Postgres:
    """The oracle. `server` lives on; `reset` empties its database."""
    name = "postgresql"

    def __init__(self, server, database="isolation"):
        self.server, self.database = server, database
        server.create_database(database)
        self.monitor = postgres.Session(server.conninfo(database))
        self.monitor.run("SET client_min_messages = error")
        self.sessions, self.idle = {}, []

    def reset(self, setup, names):
        self.end()
        self.monitor.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        for sql in setup:
            answer = self.monitor.run(sql)
            if answer.sqlstate:
                raise ValueError(f"{sql}: {answer.message}")
        for name in names:
            session = self.idle.pop() if self.idle else postgres.Session(self.server.conninfo(self.database))
            session.run(f"SET statement_timeout = {HANG_SECONDS * 1000}")
            self.sessions[name] = [session, None, 0.0]

    def start(self, name, sql):
        session = self.sessions[name]
        session[0].send(sql)
        session[1], session[2] = sql, 0.0

    def _poll(self, name):
        """The Outcome of a statement that has ended, otherwise None."""
        session, sql, _ = self.sessions[name]
        session.connection.consume_input()
        if session.connection.is_busy():
            return None
        result = None
        while (more := session.connection.get_result()) is not None:
            result = more
        status = (result.command_status or b"").decode() if result else ""
        answer = postgres.Answer(result)
        self.sessions[name][1] = None
        if answer.sqlstate:
            return Outcome(sql, sqlstate=answer.sqlstate, message=answer.message)
        rows = [[None if v is None else v.decode() for v in row] for row in answer.rows] if answer.names else None
        return Outcome(sql, rows, answer.affected, status)

    def _waiting(self):
        """The sessions that wait for a lock now."""
        pids = {session[0].connection.backend_pid: name for name, session in self.sessions.items()}
        answer = self.monitor.run("SELECT DISTINCT pid FROM pg_locks WHERE NOT granted")
        return {pids[int(row[0])] for row in answer.rows if int(row[0]) in pids}

    def settle(self, names, expected=None, ends=()):
        """Waits until each of the sessions has ended or waits for a lock, and gives the Outcomes
        of those that ended. Those in `ends` must end."""
        done = {}
        started = time.monotonic()
        while True:
            for name in names:
                if name not in done and (outcome := self._poll(name)) is not None:
                    done[name] = outcome
            waiting = self._waiting()  # after it, since an ended statement may have woken others
            left = [name for name in names if name not in done]
            now = time.monotonic()
            for name in left:
                session = self.sessions[name]
                session[2] = (session[2] or now) if name in waiting else 0.0
            since = [self.sessions[name][2] for name in left]
            if not left or all(since) and now - max(since) > LOOKED_SECONDS and not set(left) & set(ends):
                return done
            if now - started > HANG_SECONDS:
                return done
            time.sleep(0.001)

    def end(self, names=None):
        """Ends sessions, all without `names`, whatever they do."""
        for session, _, _ in [self.sessions.pop(name) for name in names or list(self.sessions)]:
            if session.connection.is_busy():
                session.connection.get_cancel().cancel()
                session.receive()
            session.run("ROLLBACK")
            session.run("DISCARD ALL")
            self.idle.append(session)

    def close(self):
        self.end()
        for session in [*self.idle, self.monitor]:
            session.close()


class Worker(threading.Thread):
    """A session of OmenDB's. One statement at a time."""

    def __init__(self, database, route):
        super().__init__(daemon=True)
        self.connection = database.connect()
        if route != "auto":
            self.connection.query(f"SET omen.route = {route}")
        self.inbox, self.outbox = queue.SimpleQueue(), queue.SimpleQueue()
        self.busy = False
        self.start()

    def run(self):
        while (sql := self.inbox.get()) is not None:
            self.outbox.put(run_ours(self.connection, sql))
        self.connection.close()

    def send(self, sql):
        self.busy = True
        self.inbox.put(sql)

    def take(self, seconds):
        """The Outcome, or None where there is none within so many seconds."""
        try:
            outcome = self.outbox.get(timeout=max(seconds, 0.0001))
        except queue.Empty:
            return None
        self.busy = False
        return outcome


def run_ours(connection, sql):
    """One statement through a connection of OmenDB's."""
    try:
        with connection.prepare(sql) as statement:
            statement.execute()
            if not statement.columns:
                return Outcome(sql, None, statement.rows_affected, statement.tag)
            rows = [[None if v is None else v.decode() for v in row] for row in statement.texts()]
            return Outcome(sql, rows)
    except omendb.Error as error:
        return Outcome(sql, sqlstate=error.sqlstate, message=error.message)


class Omen:
    """OmenDB, in memory or in a folder."""
    name = "omendb"

    def __init__(self, route="auto", path=None):
        self.route, self.path = route, path
        self.database, self.monitor, self.sessions = None, None, {}
        self.open()

    def open(self):
        self.database = omendb.Database(path=self.path)
        self.monitor = self.database.connect()

    def reset(self, setup, names):
        self.end()
        for (table,) in self.monitor.query("SHOW TABLES"):
            self.monitor.query(f'DROP TABLE "{table}"')
        for sql in setup:
            self.monitor.query(sql)
        for name in names:
            self.sessions[name] = Worker(self.database, self.route)

    def start(self, name, sql):
        self.sessions[name].send(sql)

    def settle(self, names, expected=None, ends=()):
        """As Postgres.settle. `expected`: who waits in the end; None where nobody knows."""
        done = {}
        deadline = time.monotonic() + HANG_SECONDS
        for name in names:
            wait = expected is None or name in expected
            if not wait or name in ends:
                if (outcome := self.sessions[name].take(deadline - time.monotonic())) is not None:
                    done[name] = outcome
        deadline = time.monotonic() + GRACE_SECONDS * (1 if expected is not None else 5)
        for name in names:
            if name not in done and self.sessions[name].busy and \
                    (outcome := self.sessions[name].take(deadline - time.monotonic())) is not None:
                done[name] = outcome
        return done

    def end(self, names=None):
        for worker in [self.sessions.pop(name) for name in names or list(self.sessions)]:
            if worker.busy:
                self.database.library.omen_interrupt(worker.connection.handle)
                if worker.take(HANG_SECONDS) is None:
                    raise Hang("a statement does not end, although it was interrupted")
            worker.inbox.put(None)
            worker.join()

    def close(self):
        self.end()
        self.monitor.close()
        self.database.close()


class Hang(Exception):
    pass


def has_transactions():
    """Whether OmenDB knows BEGIN at all."""
    with omendb.Database() as database, database.connect() as connection:
        return run_ours(connection, "BEGIN").sqlstate is None and run_ours(connection, "ROLLBACK").sqlstate is None
