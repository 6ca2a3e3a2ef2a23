"""Simulates sessions with several seeds, each twice: no anomaly, and the same history both times.

Usage: run_simulate.py PROGRAM [--transactions N] SEED...
"""
import argparse
import re
import subprocess
import sys


def simulate(program, seed, transactions):
    """What was printed, and the history's hash; None where something was wrong."""
    done = subprocess.run([program, "--seed", str(seed), "--transactions", str(transactions)],
                          capture_output=True, text=True)
    found = re.search(r"anomalies=0 history=([0-9a-f]{16})$", done.stdout, re.M)
    return done.stdout + done.stderr, found[1] if found and done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("seeds", nargs="+", type=int)
    parser.add_argument("--transactions", type=int, default=20000)
    options = parser.parse_args()
    hashes = set()
    for seed in options.seeds:
        text, first = simulate(options.program, seed, options.transactions)
        print(text, flush=True)
        if first is None:
            return 1
        text, second = simulate(options.program, seed, options.transactions)
        if first != second:
            print(text, f"seed {seed}: two runs, two histories: {first} and {second}", sep="\n")
            return 1
        hashes.add(first)
    if len(hashes) != len(set(options.seeds)):
        print("two seeds, one history")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
