"""Messages and progress: on stderr of the program, nowhere for who imports srgan."""

import io
import logging
import subprocess
import sys

import pytest

from srgan.system import log, progress
from tests.conftest import ROOT
from tests.helpers.terminal import Terminal

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


# ---- on a terminal ----

LOSSES = " ".join(f"loss_{i} 0.123456" for i in range(12))  # wider than 200 columns
WARNING = "warning: step 40: the GAN is below its own input"


@pytest.fixture
def terminal_of(monkeypatch):
    """terminal_of(columns) is stderr from then on, and every update is drawn."""
    made = []

    def terminal_of(columns: int) -> Terminal:
        made.append(Terminal(columns))
        monkeypatch.setattr(sys, "stderr", made[0].file)
        monkeypatch.setattr(progress, "DRAW_EVERY_S", 0.0)
        return made[0]

    yield terminal_of
    made[0].close()


def progress_rows(terminal):
    return [row for row in terminal.rows() if " left" in row]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_redraw_is_one_row_with_the_counts_and_the_newest_warning_stays(terminal_of, columns):
    terminal = terminal_of(columns)
    assert log.on_terminal()
    with progress.Progress(1000, f"gan {LOSSES}") as bar:
        bar.update(1)
        logging.getLogger("srgan").warning(WARNING.removeprefix("warning: "))
        warned = terminal.rows()[:-1]
        assert "".join(warned) == WARNING
        for done in range(2, 101):
            bar.update(done)
            (row,) = progress_rows(terminal)
            assert terminal.rows() == [*warned, row]
            assert f"{done}/1000, " in row
            assert row.endswith(" left")
            assert len(row) < columns
            assert "gan" in row
        logging.getLogger("srgan").info("a message")
        assert terminal.rows() == [*warned, "a message", row]
    assert terminal.rows() == [*warned, "a message"]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_newest_warning_stays_on_the_screen_while_other_messages_go(terminal_of, columns):
    terminal = terminal_of(columns)
    event = "step {}/1000 gan: validation 36.08 dB (bicubic 39.76), texture 1.02 of normal dose"
    with progress.Progress(1000, f"gan {LOSSES}") as bar:
        bar.update(1)
        logging.getLogger("srgan").warning("an older one")
        logging.getLogger("srgan").warning(WARNING.removeprefix("warning: "))
        for step in range(2, 100):
            logging.getLogger("srgan").info(event.format(step))
            bar.update(step)
            assert len(progress_rows(terminal)) == 1
            assert WARNING in "".join(row.ljust(columns) for row in terminal.rows())
    assert "an older one" not in "".join(terminal.rows())


def test_a_redraw_is_one_row_while_the_window_is_resized(terminal_of):
    terminal = terminal_of(80)
    with progress.Progress(1000, f"gan {LOSSES}") as bar:
        for done, columns in enumerate((80, 200, 40, 41, 200, 80, 12, 200), 1):
            terminal.resize(columns)
            bar.update(done)
            logging.getLogger("srgan").info(f"{done}")
            *above, row = terminal.rows()
            assert above == [str(i) for i in range(1, done + 1)]
            assert f"{done}/1000" in row
            assert len(row) < columns
    assert len(terminal.rows()) == done


def test_a_terminal_that_does_not_say_its_size_is_taken_to_have_80_columns(monkeypatch):
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys, "__stdout__", None)
    assert log.size() == (80, 24)


def test_the_row_is_not_drawn_more_often_than_can_be_seen(terminal_of, monkeypatch):
    terminal = terminal_of(80)
    monkeypatch.setattr(progress, "DRAW_EVERY_S", 0.1)
    clock = Clock(monkeypatch)
    with progress.Progress(1000, "steps") as bar:
        for done in range(1, 101):
            clock.now += 0.01
            bar.update(done)
        assert terminal.read().count(b"\r") == 10


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_program_draws_one_row_on_a_terminal(columns, small_scans, tmp_path):
    """Rows of progress, of which a redraw would leave more than one."""
    terminal = Terminal(columns)
    steps = "--pretrain-steps 0 --gan-steps 0"
    command = f"{ROOT}/main.py --run train --data {small_scans} {steps}".split()
    shown = terminal.run([sys.executable, *command], cwd=tmp_path)
    drawn = [sum(" left" in row for row in rows) for rows in shown]
    assert 1 in drawn
    assert set(drawn) <= {0, 1}
    assert drawn[-1] == 0
    text = "".join(row.ljust(columns) for row in shown[-1])
    assert "found 12, used 12, skipped 0" in text
    terminal.close()


@pytest.mark.slow
def test_a_training_draws_one_row_in_a_narrow_window_and_at_scale_1_names_the_input(
    small_scans, tmp_path
):
    terminal = Terminal(40, rows=60)
    tiny = "--scale 1 --crop 16 --batch-size 2 --content-loss pixel --precision float32"
    command = f"{ROOT}/main.py train --data {small_scans} {tiny} --pretrain-steps 3 --gan-steps 0"
    shown = terminal.run([sys.executable, *command.split()], cwd=tmp_path)
    drawn = [sum(" left" in row for row in rows) for rows in shown]
    assert 1 in drawn
    assert set(drawn) <= {0, 1}
    text = "".join(row.ljust(40) for row in shown[-1])
    assert "(input " in text
    assert "bicubic" not in text
    terminal.close()


def test_the_program_writes_plain_lines_where_there_is_no_terminal(small_scans, run_main, tmp_path):
    steps = "--pretrain-steps 0 --gan-steps 0"
    done = run_main(tmp_path, f"--run train --data {small_scans} {steps}")
    for text in (done.stdout, done.stderr):
        assert all(line.isprintable() for line in text.splitlines())
        assert "\r" not in text
