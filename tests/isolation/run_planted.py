"""Plants isolation bugs one at a time and shows that the workload finds each of them, or the simulation.

Usage: run_planted.py BUILD_DIR [--seeds N] [--simulate] [NAME...]

Each tests/isolation/planted/*.patch says what it breaks and what the workload is to be run with
(`Arguments:`). It is built as tests/crash/run_planted.py says. Then the workload must fail with one of N
seeds (8), counted from 1, and pass with that seed without the bug. Patches whose program is the
simulation are for it alone; with --simulate all are. What is printed runs it again. Closes with
`planted: bugs=N found=N`.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
import run_planted as planted

RUN_SECONDS = 60
SIMULATION = ["--transactions", "40000"]
STOPPED = ["-fsanitize-coverage=trace-pc", "-D__builtin_ia32_pause=fibre_pause",
           "-include", os.path.join(HERE, "fibres.h")]


def run(build, program, arguments, seed):
    """The exit status and what was printed; who hangs or dies has failed too."""
    engine = os.environ.get("OMENDB_ENGINE", os.path.join(build, "libomendb_engine.so"))
    try:
        done = subprocess.run([program, "--seed", str(seed), *arguments], capture_output=True, text=True,
                              timeout=RUN_SECONDS, env={**os.environ, "OMENDB_ENGINE": engine})
    except subprocess.TimeoutExpired:
        return -1, "hangs"
    return done.returncode, done.stdout + done.stderr


def told(text):
    """The line that says what is wrong."""
    counts = re.findall(r"^  \d+ x .*$", text, re.M)
    wrong = re.findall(r"^(?:client \d+: |background: |fibres: |.*[Aa]ssert|.*died).*$", text, re.M)
    return "; ".join(line.strip()[:150] for line in counts[:2] + wrong[:1]) or text.strip()[-200:]


def find(build, patch, seeds, simulate):
    """One line about the patch, and whether it was found."""
    arguments = (re.search(r"^Arguments: *(.*)$", patch["text"], re.M) or [None, ""])[1].split()
    simulate = simulate or patch["program"] == "simulate"
    if simulate:
        patch, arguments = {**patch, "program": "simulate"}, SIMULATION
    own = os.path.join(build, "tests/isolation", patch["program"])
    with tempfile.TemporaryDirectory(prefix="omendb-planted-") as folder:
        program = planted.build_planted(build, patch, folder, "tests/isolation", STOPPED if simulate else ())
        for seed in range(1, seeds + 1):
            status, text = run(build, program, arguments, seed)
            if status != 0:
                break
        else:
            return f"{patch['name']}: NOT FOUND", False
    status, without = run(build, own, arguments, seed)
    if status != 0:
        return f"{patch['name']}: seed {seed} fails without the bug too: {told(without)}", False
    return f"{patch['name']}: {patch['program']} --seed {seed} {' '.join(arguments)}: {told(text)}", True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--simulate", action="store_true")
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    return planted.run_all(os.path.join(HERE, "planted"), options,
                           lambda patch: find(build, patch, options.seeds, options.simulate))


if __name__ == "__main__":
    sys.exit(main())
