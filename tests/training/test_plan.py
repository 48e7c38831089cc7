import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srgan.training.plan import EVENTS, Plan, cosine, from_minutes


@settings(deadline=None)
@given(st.integers(1, 20000), st.integers(0, 3000))
def test_plan_has_events_in_every_stage_and_at_its_end(pretrain, gan):
    plan = Plan(pretrain, gan)
    events = [s for s in range(1, plan.steps + 1) if plan.is_event(s)]
    assert len([s for s in events if plan.stage(s) == "pretrain"]) == min(EVENTS, pretrain)
    assert len([s for s in events if plan.stage(s) == "gan"]) == min(EVENTS, gan)
    assert pretrain in events
    assert plan.is_event(0)
    assert plan.steps in events
    assert all(plan.is_row(s) for s in events)


def test_plan_shares_and_the_cosine_of_the_learning_rate():
    plan = Plan(100, 50)
    assert plan.share(1) == 0
    assert plan.share(100) == 0.99
    assert plan.share(101) == 0
    assert cosine(0) == 1
    assert cosine(1) == pytest.approx(0.01)


def test_from_minutes_uses_the_measured_times():
    plan = from_minutes(10, 0.4, pretrain_s=0.1, gan_s=0.5, event_s=2.0, spent_s=20.0)
    left = 600 - 20 - 2 * EVENTS * 2.0
    assert plan.pretrain_steps == int(0.6 * left / 0.1)
    assert plan.gan_cost == pytest.approx(5.0)
    assert abs(plan.gan_steps - 0.4 * left / 0.5) <= 1
    alone = from_minutes(10, 0.0, 0.1, 1.0, 2.0)
    assert (alone.pretrain_steps, alone.gan_steps) == (int((600 - EVENTS * 2.0) / 0.1), 0)


def test_plan_work_counts_a_gan_step_at_its_cost():
    plan = Plan(100, 10, gan_cost=5.0)
    assert [plan.work(s) for s in (0, 75, 100, 110)] == pytest.approx([0, 0.5, 2 / 3, 1])


def test_from_minutes_gives_a_step_even_for_a_tiny_budget():
    plan = from_minutes(0.01, 0.4, 0.1, 0.5, 2.0, 30.0)
    assert plan.pretrain_steps == 1
    assert plan.gan_steps == 0 or plan.gan_steps == 1
