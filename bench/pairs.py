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


def figure(name, ours, peer, peer_name, target, pairs=11, planning=None):
    """Times both functions in turn and prints the figure's line; True where the target is met.

    ours, peer: callables without arguments; peer = None prints `undecided`. planning: does of ours
    what comes before running; its median is shown as `planning=`, and is part of ours.
    """
    if peer is None:
        print(f"{name} ours={seconds(ours) * 1e3:.2f}ms peer=missing({peer_name}) "
              f"target<={target:.2f} undecided", flush=True)
        return False
    ours(), peer()
    mine, theirs = [], []
    for pair in range(pairs):
        for side in ((ours, mine), (peer, theirs))[:: 1 if pair % 2 == 0 else -1]:
            side[1].append(seconds(side[0]))
    ratios = [a / b for a, b in zip(mine, theirs)]
    low, high = interval(ratios)
    ratio = statistics.median(ratios)
    planned = ""
    if planning is not None:
        planned = f" planning={statistics.median(seconds(planning) for _ in range(pairs)) * 1e3:.2f}ms"
    verdict = "met" if high <= target else "missed" if low > target else "undecided"
    print(f"{name} ours={statistics.median(mine) * 1e3:.2f}ms{planned} "
          f"peer={statistics.median(theirs) * 1e3:.2f}ms({peer_name}) ratio={ratio:.2f} "
          f"[{low:.2f},{high:.2f}] target<={target:.2f} {verdict}", flush=True)
    return verdict == "met"
