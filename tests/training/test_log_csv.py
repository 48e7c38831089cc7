"""The rows of log.csv: what is a mean over which steps, and which columns there are."""

import csv

from srgan.training.log_csv import COLUMNS, Log

APPLIED = {"applied": 1, "fault": 0}
FAULT = {"applied": 0, "fault": 1}
OVERFLOW = {"applied": 0, "fault": 0, "overflow": 1}


def written(log, folder):
    log.write(folder / "log.csv")
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_is_the_mean_over_the_steps_that_were_applied_and_counts_the_others(tmp_path):
    log = Log()
    for losses in ({"l1": 0.5, **APPLIED}, {"l1": 0.0, **FAULT}, {"l1": 0.25, **APPLIED}):
        log.add(losses)
    assert log.add_row(3, "pretrain", 1e-3, {}) == {"l1": 0.375}
    (row,) = written(log, tmp_path)
    assert (row["l1"], row["skipped"]) == ("0.375", "1")
    assert list(row) == [name for name in COLUMNS if name != "overflow"]


def test_a_step_that_overflowed_in_float16_is_counted_and_leaves_no_blank(tmp_path):
    log = Log()
    log.add({"l1": 0.5, **OVERFLOW})
    assert log.add_row(1, "pretrain", 1e-3, {}) == {"l1": 0.5}
    log.add({"l1": 0.25, **APPLIED, "overflow": 0})
    log.add({"l1": 0.75, **OVERFLOW})
    log.add({"l1": 0.0, **FAULT, "overflow": 0})
    log.add_row(4, "pretrain", 1e-3, {})
    log.add({"l1": 0.5, **APPLIED, "overflow": 0})
    log.add_row(5, "pretrain", 1e-3, {})
    rows = written(log, tmp_path)
    assert [row["l1"] for row in rows] == ["0.5", "0.5", "0.5"]
    assert [row["overflow"] for row in rows] == ["1", "1", "0"]
    assert [row["skipped"] for row in rows] == ["0", "1", "0"]
