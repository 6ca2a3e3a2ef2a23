"""Makes a failing script short: as few and as small statements as still show the difference."""
import multiprocessing
import time

from database import Pair
from tree import smaller

REDUCE_SECONDS = 20
HANG_SECONDS = 200  # also on a machine that does much else
UNEQUAL = ("state", "accepted", "affected")  # after these the two databases differ


class Attempt:
    """Tries shorter scripts on one pair of databases; a crash or hang is tried in a child."""

    def __init__(self, conninfo, route, wanted, deadline):
        self.conninfo, self.route, self.wanted, self.deadline = conninfo, route, wanted, deadline
        self.pair = None if wanted in ("crash", "hang") else Pair(conninfo, route)
        self.loaded = None

    def late(self):
        return time.monotonic() > self.deadline

    def fails(self, context, final):
        """Whether the script still fails the same way."""
        if self.late():
            return False
        if self.pair is None:
            return self.fails_in_child(context, final)
        if self.loaded is not context or final.kind != "select":
            self.pair.reset()
            for statement in context:
                if any(isinstance(found, tuple) and found[0] in UNEQUAL for found, _, _ in self.pair.perform(statement)):
                    self.loaded = None
                    return False
            self.loaded = context
        return any(isinstance(found, tuple) and found[0] == self.wanted for found, _, _ in self.pair.perform(final))

    def fails_in_child(self, context, final):
        process = multiprocessing.Process(target=play, args=(self.conninfo, self.route, context + [final]))
        process.start()
        process.join(HANG_SECONDS)
        hung = process.is_alive()
        if hung:
            process.kill()
            process.join()
        return hung if self.wanted == "hang" else not hung and process.exitcode < 0

    def close(self):
        if self.pair:
            self.pair.close()


def play(conninfo, route, statements):
    pair = Pair(conninfo, route)
    for statement in statements:
        pair.perform(statement)


def shorter_context(attempt, context, final):
    """Drops what the failure does not need, in ever smaller chunks."""
    chunk = max(1, len(context) // 2)
    while context and not attempt.late():
        at = 0
        while at < len(context):
            fewer = context[:at] + context[at + chunk:]
            if attempt.fails(fewer, final):
                context = fewer
            else:
                at += chunk
        if chunk == 1:
            break
        chunk = max(1, chunk // 2)
    return context


def smaller_final(attempt, context, final):
    improved = True
    while improved and not attempt.late():
        improved = False
        for tree in smaller(final.tree):
            candidate = final.with_tree(tree)
            if attempt.fails(context, candidate):
                final, improved = candidate, True
                break
    return final


def smaller_context(attempt, context, final):
    """Makes the statements before the failing one smaller: rows of INSERTs above all."""
    for at in range(len(context)):
        improved = True
        while improved and not attempt.late():
            improved = False
            for tree in smaller(context[at].tree):
                candidate = context[:at] + [context[at].with_tree(tree)] + context[at + 1:]
                if attempt.fails(candidate, final):
                    context, improved = candidate, True
                    break
    return context


def reduce(conninfo, route, statements, wanted, seconds=REDUCE_SECONDS):
    """The shortest script found that ends in the difference `wanted`, as a list of statements, or
    None where the failure did not come again."""
    attempt = Attempt(conninfo, route, wanted, time.monotonic() + seconds)
    final = statements[-1]
    context = [s for s in statements[:-1] if s.kind != "select" and s.runs is None]
    if not attempt.fails(context, final):
        context = statements[:-1]
        if not attempt.fails(context, final):
            attempt.close()
            return None
    context = shorter_context(attempt, context, final)
    final = smaller_final(attempt, context, final)
    context = smaller_context(attempt, context, final)
    context = shorter_context(attempt, context, final)
    final = smaller_final(attempt, context, final)
    attempt.close()
    return context + [final]
