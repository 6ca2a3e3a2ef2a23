#!/usr/bin/env python3
"""Asks PostgreSQL 15 what the expressions of semantics_cases.txt give.

Usage: semantics_cases.py --dsn DSN [--write]

Without --write it prints every line whose answer differs; with it the file is rewritten. The
server's database is in the C locale and UTF-8, its time zone UTC. Lines that end in "=> !0A000"
are what OmenDB refuses and PostgreSQL answers: they stay. -0 is written 0, because OmenDB has one
zero.
"""
import argparse
import os
import sys

import psycopg

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "semantics_cases.txt")


def answer(connection, expression):
    try:
        with connection.cursor(binary=False) as cursor:
            cursor.execute(f"SELECT ({expression})".encode())
            value = cursor.pgresult.get_value(0, 0)
    except psycopg.Error as error:
        return "!" + error.sqlstate
    text = "NULL" if value is None else value.decode()
    number = not expression.startswith("cast(") or "char" not in expression
    return "0" if text == "-0" and number else text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    lines, differing = [], 0
    with psycopg.connect(arguments.dsn, autocommit=True) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        for line in open(PATH, encoding="utf-8"):
            line = line.rstrip("\n")
            expression, _, expected = line.partition(" => ")
            if line.strip() and not line.startswith("#") and expected != "!0A000":
                got = answer(connection, expression)
                if got != expected:
                    differing += 1
                    if expected:
                        print(f"{expression}: {expected} in the file, {got} in PostgreSQL")
                line = f"{expression} => {got}"
            lines.append(line)
    if arguments.write:
        with open(PATH, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return 1 if differing and not arguments.write else 0


if __name__ == "__main__":
    sys.exit(main())
