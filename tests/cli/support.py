"""What the shell's tests share: running it, on pipes and on a terminal of its own.

Usage of each test: test_....py PATH_TO_OMENDB. None needs the real engine; where OMENDB_ENGINE
names the stub engine, `SELECT * FROM table` gives many rows.
"""
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata
import unittest

SHELL = os.path.abspath(sys.argv.pop(1))
SECONDS = 60


def environment(**changes):
    """The environment without what a developer's machine adds; None takes a variable away."""
    values = dict(os.environ, OMENDB_HISTORY="", TERM="xterm")
    values.update(changes)
    return {name: value for name, value in values.items() if value is not None}


def run(*arguments, text="", env=None, **more):
    """Runs the shell on pipes. Text in and out; bytes are passed on as they are."""
    data = text if isinstance(text, bytes) else text.encode()
    done = subprocess.run([SHELL, *arguments], input=data, capture_output=True, timeout=SECONDS,
                          env=env or environment(), **more)
    done.stdout = done.stdout.decode("utf-8", "surrogateescape")
    done.stderr = done.stderr.decode("utf-8", "surrogateescape")
    return done


def take_terminal():
    """What a login does: its terminal is the session's, and hanging up is not ignored, whatever nohup said."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Terminal:
    """The shell on a pseudo-terminal; its standard output may be a file instead."""

    def __init__(self, *arguments, columns=80, rows=24, env=None, stdout=None):
        self.master, slave = os.openpty()
        self.resize(columns, rows, slave)
        self.attributes = termios.tcgetattr(slave)
        self.text = ""
        self.process = subprocess.Popen(
            [SHELL, *arguments], stdin=slave, stdout=stdout or slave, stderr=slave, env=env or environment(),
            start_new_session=True, preexec_fn=take_terminal)
        os.close(slave)

    def resize(self, columns, rows, descriptor=None):
        fcntl.ioctl(self.master if descriptor is None else descriptor, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        os.write(self.master, text.encode())

    def read(self, seconds):
        """More output; False where none came in time or the terminal is closed."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:
            return False
        self.text += data.decode("utf-8", "surrogateescape")
        return bool(data)

    def expect(self, text):
        """Reads until `text` is there; gives what came before it and forgets both."""
        end = time.monotonic() + SECONDS
        while text not in self.text:
            if not self.read(max(0, end - time.monotonic())):
                raise AssertionError(f"{text!r} did not come, but {self.text!r}")
        before, self.text = self.text.split(text, 1)
        return before

    def press(self, keys):
        """Sends keys, each tab alone, as somebody types who pastes nothing; gives what is printed so far."""
        shown = ""
        for part in re.findall(r"\t|[^\t]+", keys):
            if part == "\t":
                self.send(part)
                self.read(SECONDS)
                shown, self.text = shown + self.text, ""
            else:
                shown += self.drawn(part)
        return shown

    def drawn(self, keys=""):
        """What is printed for the keys, up to the bell that a page down behind the history rings."""
        self.send(keys + "\x1b[6~")
        return self.expect("\a")

    def type(self, text, prompt="omendb> "):
        """Types a line at the prompt and gives what is printed before the next one."""
        self.send(text + "\r")
        return plain(self.expect(prompt))

    def is_as_before(self):
        """Whether the terminal is as it was when the shell was started, not raw."""
        return termios.tcgetattr(self.master) == self.attributes

    def wait(self):
        """Reads to the end and gives the exit status."""
        while self.read(SECONDS):
            pass
        return self.process.wait(SECONDS)

    def close_line(self):
        os.close(self.master)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(SECONDS)
        os.close(self.master)


class Screen:
    """What a terminal of that size shows of the bytes it got: the sequences that the shell uses, and no others."""

    def __init__(self, columns, rows):
        self.columns, self.rows, self.row, self.column = columns, rows, 0, 0
        self.lines = [""]

    def put(self, character):
        if unicodedata.combining(character):
            line = self.lines[self.row]
            self.lines[self.row] = line + character
            return
        width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if self.column + width > self.columns:
            self.feed("\r\n")
        line = self.lines[self.row].ljust(self.column)
        cells = line[:self.column] + character + "\0" * (width - 1) + line[self.column + width:]
        self.lines[self.row], self.column = cells, self.column + width

    def feed(self, text):
        for match in re.finditer(r"\x1b\[(\??[0-9;]*)([A-Za-z])|\x1b.|[^\x1b]", text, re.DOTALL):
            number, letter, character = int(match[1]) if (match[1] or "").isdigit() else 1, match[2], match[0]
            if letter == "A":
                self.row = max(self.row - number, max(0, len(self.lines) - self.rows))
            elif letter == "C":
                self.column = min(self.column + number, self.columns - 1)
            elif letter == "K":
                self.lines[self.row] = self.lines[self.row][:self.column]
            elif letter == "J" and match[1] == "2":
                self.lines, self.row, self.column = [""], 0, 0
            elif letter == "J":
                self.lines[self.row:] = [self.lines[self.row][:self.column]]
            elif letter == "H":
                self.row, self.column = max(0, len(self.lines) - self.rows), 0
            elif letter in ("h", "l") and match[1] == "?2004":
                pass
            elif character == "\r":
                self.column = 0
            elif character == "\n":
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif character != "\a":
                assert not letter and character >= " ", f"{match[0]!r} goes to the terminal"
                self.put(character)
        return self

    def shown(self):
        """The lines without blanks at their ends."""
        return [line.replace("\0", "").rstrip() for line in self.lines]


def plain(text):
    """Without the escape sequences of line editing, and with plain line ends."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]", "", text).replace("\r\n", "\n")


def main():
    unittest.main(module="__main__")
