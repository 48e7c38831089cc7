import pytest

from srgan.training import waiting
from srgan.training.waiting import Waiting


@pytest.fixture
def clock(monkeypatch):
    """now[0]: the time that the loop sees."""
    now = [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    return now


def batches_after(clock, *seconds):
    for k, each in enumerate(seconds):
        clock[0] += each
        yield k


def test_waiting_is_the_time_for_batches_after_the_first_in_the_time_of_the_loop(clock):
    counted, seen = Waiting(), []
    for k in counted.over(batches_after(clock, 100.0, 1.0, 3.0)):
        seen.append(k)
        clock[0] += 12.0  # a step
    assert seen == [0, 1, 2]
    assert counted == Waiting(waited_s=4.0, loop_s=40.0)
    assert counted.share == 0.1


def test_waiting_of_several_loops_is_added_up(clock):
    counted = Waiting(waited_s=1.0, loop_s=10.0)
    for _ in counted.over(batches_after(clock, 5.0)):
        clock[0] += 10.0
        break  # what a signal does
    for _ in counted.over(batches_after(clock, 5.0)):
        clock[0] += 30.0
    assert counted == Waiting(waited_s=1.0, loop_s=40.0)


def test_waiting_of_no_steps_is_a_share_of_zero():
    assert Waiting().share == 0.0
