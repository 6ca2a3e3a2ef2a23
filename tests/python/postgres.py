"""PostgreSQL 15 as the oracle of semantics: a throw-away server, and sessions that speak text.

The server lives in a temporary folder, listens on a Unix socket there and nowhere else, and is
gone when the Server is closed. PostgreSQL refuses to run as root, so root starts it as the user
`postgres` (or `nobody`). `missing()` says what is not installed; tests then skip.
"""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

try:
    from psycopg import pq
except ImportError:
    pq = None

SETTINGS = {"listen_addresses": "", "fsync": "off", "synchronous_commit": "off",
            "full_page_writes": "off", "max_connections": "20", "shared_buffers": "64MB",
            "timezone": "UTC", "lc_messages": "C", "jit": "off", "log_min_messages": "panic",
            "max_parallel_workers_per_gather": "0"}


def binary_folder():
    """The folder with PostgreSQL 15's server programs, or None."""
    for folder in ["/usr/lib/postgresql/15/bin", *(os.path.dirname(path) for path in (
            shutil.which("initdb"),) if path), *glob.glob("/usr/lib/postgresql/*/bin")]:
        if os.path.exists(os.path.join(folder, "initdb")) and os.path.exists(
                os.path.join(folder, "postgres")):
            return folder
    return None


def missing():
    """What keeps this from working, as a sentence, or None."""
    if pq is None:
        return "no psycopg here (tools/setup oracle)"
    if binary_folder() is None:
        return "no PostgreSQL server programs here (tools/setup oracle)"
    return None


class Server:
    """A server in a temporary folder. Use as a context manager.

    `settings` go before those of the oracle; the folder is made in `parent`, where the server's
    user must be able to get to.
    """

    def __init__(self, settings=None, parent=None):
        self.folder = tempfile.mkdtemp(prefix="omen-oracle-", dir=parent)
        self.user = {}
        if os.getuid() == 0:
            names = [entry.pw_name for entry in pwd.getpwall()]
            entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            self.user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        data = os.path.join(self.folder, "data")
        programs = binary_folder()
        environment = {"PATH": programs + ":/usr/bin:/bin", "LC_ALL": "C"}
        try:
            subprocess.run([os.path.join(programs, "initdb"), "-D", data, "-A", "trust", "-U", "oracle",
                            "--encoding=UTF8", "--locale=C", "--no-sync"], check=True, cwd=self.folder,
                           stdout=subprocess.DEVNULL, env=environment, **self.user)
            command = [os.path.join(programs, "postgres"), "-D", data, "-k", self.folder]
            for name, value in {**SETTINGS, **(settings or {})}.items():
                command += ["-c", f"{name}={value}"]
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                            start_new_session=True, **self.user)
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self):
        for _ in range(600):
            connection = pq.PGconn.connect(self.conninfo("postgres").encode())
            if connection.status == pq.ConnStatus.OK:
                connection.finish()
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start")

    def conninfo(self, database):
        return f"host={self.folder} user=oracle dbname={database}"

    def create_database(self, name):
        """A fresh, empty database; one of that name is dropped first."""
        with Session(self.conninfo("postgres")) as session:
            session.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            answer = session.run(f'CREATE DATABASE "{name}" TEMPLATE template0')
            assert answer.sqlstate is None, answer.message

    def close(self):
        process = getattr(self, "process", None)
        if process and process.poll() is None:
            process.send_signal(signal.SIGQUIT)  # at once; the folder goes anyway
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Answer:
    """What one statement gave: rows of bytes (None for NULL), names, type OIDs; or an error."""

    def __init__(self, result):
        self.sqlstate = self.message = None
        self.rows, self.names, self.oids, self.modifiers = [], [], [], []
        self.affected = 0
        if result.status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE,
                             pq.ExecStatus.PIPELINE_ABORTED):
            state = result.error_field(pq.DiagnosticField.SQLSTATE)
            self.sqlstate = state.decode() if state else "08006"
            text = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY)
            self.message = text.decode(errors="replace") if text else "connection lost"
            return
        columns = range(result.nfields)
        self.names = [result.fname(i).decode() for i in columns]
        self.oids = [result.ftype(i) for i in columns]
        self.modifiers = [result.fmod(i) for i in columns]
        value = result.get_value
        self.rows = [[value(row, i) for i in columns] for row in range(result.ntuples)]
        self.affected = result.command_tuples or 0


class Session:
    """One connection. Statements run one after the other, each its own transaction."""

    def __init__(self, conninfo):
        self.connection = pq.PGconn.connect(conninfo.encode())
        if self.connection.status != pq.ConnStatus.OK:
            raise RuntimeError(self.connection.error_message.decode())

    def run(self, sql):
        """Runs one statement, or several in one string; gives the Answer of the last."""
        return Answer(self.connection.exec_(sql.encode() if isinstance(sql, str) else sql))

    def send(self, sql):
        """Starts a statement and does not wait; `receive` must follow."""
        self.connection.send_query(sql.encode() if isinstance(sql, str) else sql)

    def receive(self):
        """The Answer of the statement that `send` started."""
        last = None
        while (result := self.connection.get_result()) is not None:
            last = result
        return Answer(last)

    def prepare(self, name, sql, oids=None):
        """Prepares a statement; the Answer holds an error at most. `oids`: types of parameters."""
        return Answer(self.connection.prepare(name.encode(), sql.encode(), oids))

    def execute(self, name, parameters):
        """Runs a prepared statement; parameters as text bytes, None for NULL."""
        return Answer(self.connection.exec_prepared(name.encode(), parameters))

    def parameter_types(self, name):
        """The type OIDs of a prepared statement's parameters."""
        result = self.connection.describe_prepared(name.encode())
        return [result.param_type(i) for i in range(result.nparams)]

    def close(self):
        if self.connection:
            self.connection.finish()
            self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
