import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srgan.training.plan import EVENTS, FEWEST, Costs, Plan, cosine, extended, from_minutes


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
    plan = from_minutes(10, 0.4, Costs(pretrain_s=0.1, gan_s=0.5, event_s=2.0, spent_s=20.0))
    left = 600 - 20 - 2 * EVENTS * 2.0
    assert plan.pretrain_steps == int(0.6 * left / 0.1)
    assert plan.gan_cost == pytest.approx(5.0)
    assert abs(plan.gan_steps - 0.4 * left / 0.5) <= 1
    alone = from_minutes(10, 0.0, Costs(0.1, 1.0, 2.0))
    assert (alone.pretrain_steps, alone.gan_steps) == (int((600 - EVENTS * 2.0) / 0.1), 0)


def test_plan_work_counts_a_gan_step_at_its_cost():
    plan = Plan(100, 10, gan_cost=5.0)
    assert [plan.work(s) for s in (0, 75, 100, 110)] == pytest.approx([0, 0.5, 2 / 3, 1])


def test_from_minutes_gives_a_step_even_for_a_tiny_budget_and_then_no_gan():
    plan = from_minutes(0.01, 0.4, Costs(0.1, 0.5, 2.0, 30.0))
    assert (plan.pretrain_steps, plan.gan_steps) == (1, 0)


@given(
    st.floats(0.01, 60),
    st.just(0.0) | st.floats(0.01, 0.95),
    st.floats(0.001, 5),
    st.floats(0.001, 5),
)
def test_from_minutes_never_plans_a_gan_of_fewer_steps_than_it_needs(minutes, share, step_s, gan_s):
    costs = Costs(step_s, gan_s, event_s=0.1, spent_s=1.0)
    plan = from_minutes(minutes, share, costs)
    assert plan.gan_steps == 0 or plan.gan_steps >= FEWEST
    enough = from_minutes(costs.minutes_needed(share) + 0.01, share, costs)
    assert enough.pretrain_steps >= FEWEST
    assert enough.gan_steps >= (FEWEST if share else 0)


COSTS = Costs(pretrain_s=0.1, gan_s=0.5, event_s=0.0)
TEN = from_minutes(10, 0.4, COSTS)  # 3600 and 480 steps


def test_an_extended_plan_is_that_of_the_larger_budget_while_pre_training_lasts():
    for step in (0, 1, 2000, 3600):
        plan = extended(TEN, step, 20, 600 * TEN.work(step), 0.4, COSTS)
        assert abs(plan.pretrain_steps - 7200) <= 2, step
        assert abs(plan.gan_steps - 960) <= 2
        assert plan.begins == step
        assert plan.is_event(step)


def test_minutes_that_come_after_pre_training_are_for_the_gan():
    for step in (3601, 3700, 4080):
        plan = extended(TEN, step, 20, 600 * TEN.work(step), 0.9, COSTS)
        assert plan.pretrain_steps == 3600
        assert abs(plan.gan_steps - (480 + 1200)) <= 2
    assert extended(TEN, 4080, 10.001, 600, 0.4, COSTS).gan_steps == 481  # at least one


def test_a_larger_share_ends_pre_training_and_a_small_budget_leaves_the_gan_out():
    assert extended(TEN, 3000, 10, 300, 0.9, COSTS) == Plan(3000, 600, 5.0, 3000)
    alone = extended(Plan(100, 0), 100, 10.1, 600, 0.01, COSTS)
    assert (alone.pretrain_steps, alone.gan_steps) == (160, 0)


def test_rates_stages_and_rows_ahead_are_those_of_the_plan_from_the_start():
    whole, gone_on = Plan(120, 40), Plan(120, 40, begins=60)
    for step in range(61, 161):
        assert whole.share(step) == gone_on.share(step)
        assert whole.is_event(step) == gone_on.is_event(step)
        assert whole.is_row(step) == gone_on.is_row(step)
