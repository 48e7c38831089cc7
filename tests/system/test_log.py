"""Messages and progress: on stderr of the program, nowhere for who imports srgan."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from srgan.system import log, progress

ROOT = Path(__file__).parent.parent.parent
LIBRARY = """
import logging
from srgan.system import progress
progress.LINE_EVERY_S = 0
logging.getLogger("srgan.dataset").warning("a message")
list(progress.progress("ab", 2, "letters"))
"""


def test_a_library_user_sees_nothing():
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_message_is_one_visible_line_on_stderr(capsys):
    logging.getLogger("srgan.dataset").info("two\nlines \x1b[2J 100 %s")
    logging.getLogger("srgan.dataset").warning("mind")
    assert capsys.readouterr() == ("", "two\\nlines \\x1b[2J 100 %s\nwarning: mind\n")


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_a_message_without_stderr_ends_nothing(monkeypatch, stderr):
    file = io.StringIO()
    file.close()
    monkeypatch.setattr(sys, "stderr", file if stderr else None)
    logging.getLogger("srgan").info("lost")
    assert list(progress.progress("ab", 2, "letters")) == ["a", "b"]


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


def test_in_a_file_progress_is_a_line_every_half_minute_with_the_time_left(monkeypatch, said):
    clock = Clock(monkeypatch)
    for _ in progress.progress(range(10), 10, "slices"):
        clock.now += 20
    assert said == [
        "slices 2/10, 02:40 left",
        "slices 4/10, 02:00 left",
        "slices 6/10, 01:20 left",
        "slices 8/10, 00:40 left",
        "slices 10/10, 00:00 left",
    ]


def test_the_time_left_follows_the_work_and_starts_after_the_first_step(monkeypatch, said):
    clock = Clock(monkeypatch)
    with progress.Progress(4, "pretrain") as bar:
        clock.now = 29  # compiling
        bar.update(1, work=0.1)
        clock.now, bar.text = 39, "gan"
        bar.update(2, work=0.2)
    assert said == ["gan 2/4, 01:20 left"]


def test_several_loops_are_one_job(monkeypatch, said):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0)
    with progress.Progress(4, "slices") as bar:
        for _ in range(2):
            assert list(bar.over("ab")) == ["a", "b"]
    assert [line.split(",")[0] for line in said] == [f"slices {i}/4" for i in (1, 2, 3, 4)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_a_bar_is_drawn_around_messages_and_gone_at_the_end(monkeypatch):
    terminal, clock = Terminal(), Clock(monkeypatch)
    monkeypatch.setattr(sys, "stderr", terminal)
    assert log.on_terminal()
    for i in progress.progress(range(3), 3, "slices"):
        clock.now += 1
        if i == 1:
            logging.getLogger("srgan").info("a message")
    drawn = terminal.getvalue()
    assert " slices 1/3, 00:00 left" in drawn
    before, after = drawn.split("a message\n")
    assert before.endswith("\r")
    assert before.rstrip("\r").endswith(" ")  # the bar was cleared
    assert "slices" in after
    assert drawn.endswith("\r")
