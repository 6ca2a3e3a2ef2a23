"""Plants bugs one at a time and shows that the crash tests find each of them.

Usage: run_planted.py BUILD_DIR [--seconds S] [NAME...]

Each tests/crash/planted/*.patch says what it breaks, which program is to find it, and a seed that
does. It is applied to a copy of the sources; what it changes is compiled and linked before the
build's own objects. Then the program with that seed must fail, and the build's own must pass. Where
no seed is given, or that one no longer finds the bug, seeds are tried from 1 on for S seconds (60)
and the one found is printed. Closes with `planted: bugs=N found=N`.
"""
import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def read_patch(path):
    text = open(path).read()
    field = lambda name, default: (re.search(rf"^{name}: *(.+)$", text, re.M) or [None, default])[1]
    return {
        "name": os.path.basename(path)[:-len(".patch")],
        "text": text,
        "program": field("Program", "crash"),
        "seed": field("Seed", None),
        "files": re.findall(r"^\+\+\+ b/(\S+)", text, re.M),
    }


def build_planted(build, patch, folder, tests="tests/crash", flags=()):
    """The path of the patched program; `tests`: where the build has the program; `flags`: what its sources
    are to be compiled with besides."""
    shutil.copytree(os.path.join(TOP, "src"), os.path.join(folder, "src"))
    subprocess.run(["patch", "-p1", "--quiet", "-d", folder], input=patch["text"], text=True, check=True)
    objects = []
    for number, name in enumerate(name for name in patch["files"] if name.endswith(".c")):
        objects.append(os.path.join(folder, f"planted{number}.o"))
        subprocess.run(["cc", "-std=gnu11", "-O2", "-fno-strict-aliasing", "-DOMEN_PLANTED",
                        *flags, f"-I{folder}/src", f"-I{TOP}/include", "-c", os.path.join(folder, name),
                        "-o", objects[-1]], check=True)
    target = f"{tests}/{patch['program']}"
    commands = subprocess.run(["ninja", "-C", build, "-t", "commands", target], capture_output=True,
                              text=True, check=True).stdout
    link = shlex.split(commands.strip().split("\n")[-1])
    planted = os.path.join(folder, patch["program"])
    at = link.index(target)
    link[at] = planted
    link[at + 1:at + 1] = ["-Wl,--allow-multiple-definition", *objects] # the first counts
    subprocess.run(link, cwd=build, check=True)
    return planted


def run(build, program, *more):
    """The exit status and what was printed; a crash of the program is a find too."""
    engine = os.environ.get("OMENDB_ENGINE", os.path.join(build, "libomendb_engine.so"))
    done = subprocess.run([program, "--quiet", *more], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "OMENDB_ENGINE": engine})
    return done.returncode, done.stdout + done.stderr


def find(build, patch, seconds):
    """One line about the patch, and whether it was found."""
    own = os.path.join(build, "tests/crash", patch["program"])
    with tempfile.TemporaryDirectory(prefix="omendb-planted-") as folder:
        planted = build_planted(build, patch, folder)
        seed = patch["seed"]
        if seed is not None:
            status, text = run(build, planted, "--seed", seed, "--episodes", "1")
        if seed is None or status == 0:
            status, text = run(build, planted, "--seed", "1", "--seconds", str(seconds))
            match = re.search(r"\(SEED=(\d+)\)", text)
            seed = match[1] if match else None
        if status == 0 or seed is None:
            return f"{patch['name']}: NOT FOUND", False
    what = re.search(r"^crash: \w+ \(SEED=.*$", text, re.M)
    status, _ = run(build, own, "--seed", seed, "--episodes", "1")
    if status != 0:
        return f"{patch['name']}: {patch['program']} --seed {seed} fails without the bug too", False
    return f"{patch['name']}: {patch['program']} --seed {seed}: {what[0] if what else text.strip()[-200:]}", True


def run_all(folder, options, find):
    """Plants the patches of a folder that options.names asks for, and prints what `find` says of each: a line,
    and whether it is right. Gives the exit status."""
    paths = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".patch"))
    patches = [patch for patch in map(read_patch, paths)
               if not options.names or any(name in patch["name"] for name in options.names)]
    found = 0
    for patch in patches:
        line, right = find(patch)
        print(line, flush=True)
        found += right
    print(f"planted: bugs={len(patches)} found={found}")
    return 0 if found == len(patches) else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    return run_all(os.path.join(HERE, "planted"), options, lambda patch: find(build, patch, options.seconds))


if __name__ == "__main__":
    sys.exit(main())
