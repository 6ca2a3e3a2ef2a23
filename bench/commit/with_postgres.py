#!/usr/bin/env python3
"""Runs a command beside a PostgreSQL server of its own, on the disk of a folder.

Usage: with_postgres.py FOLDER COMMAND...

PGHOST, PGUSER, PGDATABASE and POSTGRES_PID tell the command where the server is, PATH has pgbench. The server is
as durable as OmenDB (fsync, synchronous_commit and full_page_writes on) and has its best settings
for many small commits on a small machine. Without PostgreSQL the command runs alone. Exits as the
command does.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../../tests/python")]

import postgres  # noqa: E402

SETTINGS = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
            "wal_sync_method": "fdatasync", "wal_level": "minimal", "max_wal_senders": "0",
            "max_connections": "100", "shared_buffers": "1GB", "wal_buffers": "64MB",
            "max_wal_size": "16GB", "min_wal_size": "1GB", "checkpoint_timeout": "1h",
            "autovacuum": "off"}


def main():
    folder, command = sys.argv[1], sys.argv[2:]
    reason = postgres.missing()
    if reason:
        print(f"with_postgres: {reason}", file=sys.stderr)
        return subprocess.run(command).returncode
    with postgres.Server(SETTINGS, os.path.abspath(folder)) as server:
        environment = dict(os.environ, PGHOST=server.folder, PGUSER="oracle", PGDATABASE="postgres",
                           POSTGRES_PID=str(server.process.pid),
                           PATH=postgres.binary_folder() + ":" + os.environ["PATH"])
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
