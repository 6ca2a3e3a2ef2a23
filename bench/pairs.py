"""Paired timings for benchmarks in Python: interleaved runs, the median ratio and its interval.

The same method and the same output line as bench/figure.h.
"""
import math
import statistics
import time


def interval(values, confidence=0.95):
    """A distribution-free interval for the median: two order statistics (binomial)."""
    ordered = sorted(values)
    count = len(ordered)
    low = 0
    tail = 0.5 ** count
    while low + 1 < count // 2:
        wider = tail + math.comb(count, low + 1) * 0.5 ** count
        if wider > (1 - confidence) / 2:
            break
        tail = wider
        low += 1
    return ordered[low], ordered[count - 1 - low]


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def verdict_of(low, high, target):
    """What an interval of ratios says of a target."""
    return "met" if high <= target else "missed" if low > target else "undecided"


class Pairs:
    """The seconds that both sides took in turn."""

    def __init__(self, mine, theirs):
        self.mine, self.theirs = mine, theirs
        self.ratios = [a / b for a, b in zip(mine, theirs)]

    def show(self, name, peer_name, target, planned=""):
        """Prints the figure's line; True where the target is met."""
        low, high = interval(self.ratios)
        verdict = verdict_of(low, high, target)
        print(f"{name} ours={statistics.median(self.mine) * 1e3:.2f}ms{planned} "
              f"peer={statistics.median(self.theirs) * 1e3:.2f}ms({peer_name}) "
              f"ratio={statistics.median(self.ratios):.2f} "
              f"[{low:.2f},{high:.2f}] target<={target:.2f} {verdict}", flush=True)
        return verdict == "met"


def timed_pairs(ours, peer, pairs=11, prepare=(None, None)):
    """Times both functions in turn, after a run of each that does not count. What `prepare` has for
    each runs before each of its runs and isn't timed."""
    mine, theirs = [], []
    for pair in range(-1, pairs):
        for run, times, before in ((ours, mine, prepare[0]),
                                   (peer, theirs, prepare[1]))[:: 1 if pair % 2 == 0 else -1]:
            if before is not None:
                before()
            taken = seconds(run)
            if pair >= 0:
                times.append(taken)
    return Pairs(mine, theirs)


def figure(name, ours, peer, peer_name, target, pairs=11, planning=None):
    """Times both functions in turn and prints the figure's line; True where the target is met.

    ours, peer: callables without arguments; peer = None prints `undecided`. planning: does of ours
    what comes before running; its median is shown as `planning=`, and is part of ours.
    """
    if peer is None:
        print(f"{name} ours={seconds(ours) * 1e3:.2f}ms peer=missing({peer_name}) "
              f"target<={target:.2f} undecided", flush=True)
        return False
    measured = timed_pairs(ours, peer, pairs)
    planned = ""
    if planning is not None:
        planned = f" planning={statistics.median(seconds(planning) for _ in range(pairs)) * 1e3:.2f}ms"
    return measured.show(name, peer_name, target, planned)
