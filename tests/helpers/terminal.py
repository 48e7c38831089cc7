"""A terminal of so many columns: a pseudo-terminal, and pyte as what shows it."""

import os
import select
import subprocess
import termios

import pyte


class Terminal:
    """`file` is the end that a program writes to. `screen` shows what it wrote so far."""

    def __init__(self, columns: int, rows: int = 24):
        self._shown, program = os.openpty()
        self.file = open(program, "w")  # noqa: SIM115, closed below
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.resize(columns)

    def close(self) -> None:
        self.file.close()
        os.close(self._shown)

    def resize(self, columns: int) -> None:
        self.read()
        termios.tcsetwinsize(self.file.fileno(), (self.screen.lines, columns))
        self.screen.resize(columns=columns)

    def read(self, wait_s: float = 0.0) -> bytes:
        """Show what was written since; returns it."""
        read = b""
        while select.select([self._shown], [], [], wait_s)[0]:
            read += os.read(self._shown, 1 << 16)
            wait_s = 0.0
        self._stream.feed(read)
        return read

    def rows(self) -> list[str]:
        """The rows of the screen that are not empty."""
        self.read()
        return [row.rstrip() for row in self.screen.display if row.strip()]

    def run(self, command: list[str], **more) -> list[list[str]]:
        """Run a program that ends well; the rows that were on the screen after each piece read."""
        shown = []
        with subprocess.Popen(command, stdout=self.file, stderr=self.file, **more) as process:
            while process.poll() is None:
                if self.read(0.05):
                    shown.append(self.rows())
        assert process.returncode == 0, self.rows()
        return [*shown, self.rows()]
