"""Plays a schedule on one of the databases and writes down what happened, step by step."""
from schedule import Step

LAST = "z"  # the session of the final statements


class Event:
    """What became of a step: an Outcome, or "waits"; `late` where it had waited before."""

    def __init__(self, session, sql, outcome, late=False):
        self.session, self.sql, self.outcome, self.late = session, sql, outcome, late

    def __str__(self):
        sql = f"... {self.sql}" if self.late else self.sql
        return f"  {self.session}  {sql:70} {self.outcome}"


class Play:
    """One run. `events` is what is compared. `expected`: who is to wait each time that all is
    still, as `waits_of` finds it in the text of another database's run. Where others wait, the rest is
    not played: what would follow says nothing, and could wait for ever."""

    def __init__(self, side, schedule, expected=None):
        self.side, self.schedule, self.expected = side, schedule, expected
        self.events, self.settled, self.apart = [], 0, False
        self.pending, self.late = {}, set()
        self.rolled_back = set()
        self.off = {name: [] for name in schedule.sessions}

    def run(self):
        self.side.reset(self.schedule.setup, [*self.schedule.sessions, LAST])
        for step in self.schedule.steps:
            if self.apart:
                break
            if step.session in self.pending:
                self.off[step.session].append(step)
            else:
                self.step(step)
        self.finish()
        self.side.end(self.schedule.sessions)
        for sql in self.schedule.final if not self.apart else ():
            self.step(Step(LAST, sql, True))
        self.side.end()
        return self

    def step(self, step):
        """Starts a step, waits until all is still, and goes on with what had been put off."""
        self.pending[step.session] = step
        self.rolled_back.discard(step.session)
        self.side.start(step.session, step.sql)
        self.settle(step)
        for name, steps in self.off.items():
            if steps and name not in self.pending and not self.apart:
                self.step(steps.pop(0))

    def settle(self, started):
        expected = self.expected[self.settled] if self.expected and self.settled < len(self.expected) else None
        self.settled += 1
        ends = [name for name, step in self.pending.items() if step.ends]
        done = self.side.settle(sorted(self.pending), expected, ends)
        if started.session not in done:
            self.events.append(Event(started.session, started.sql, "waits"))
        for name in sorted(done, key=lambda name: (name != started.session, name)):
            step = self.pending.pop(name)
            self.events.append(Event(name, step.sql, done[name], name in self.late))
        self.late = set(self.pending)
        self.apart = expected is not None and expected != self.late

    def finish(self):
        """While somebody waits: rolls back, session by session."""
        while self.pending and not self.apart:
            idle = [name for name in self.schedule.sessions if name not in self.pending]
            if not idle or self.rolled_back >= set(idle):
                self.events.append(Event("-", "all wait for ever", ""))
                self.apart = True
                return
            name = min(idle, key=lambda name: (name in self.rolled_back, name))
            self.step(Step(name, "ROLLBACK", True))
            self.rolled_back.add(name)

    def text(self):
        return "\n".join([f"schedule {self.schedule.name}", *map(str, self.events)])


def waits_of(text):
    """Who waited each time that all was still, in the text of a run."""
    waits, waiting = [], set()
    for line in text.split("\n")[1:]:
        late = line[5:9] == "... "
        if not late and line[2] != "-":
            waiting = set(waiting)
            waits.append(waiting)
        if line.endswith(" waits"):
            waiting.add(line[2])
        elif late:
            waiting.discard(line[2])
    return waits
