"""TF_CONFIG: who trains together, and what is said where it is wrong."""

import json

import pytest

from srgan.system.errors import UserError
from srgan.training.cluster import cluster

TWO = {"worker": ["node1:12345", "[fe80::2]:12345"]}


@pytest.fixture
def of(monkeypatch):
    """of(cluster, type, index): what TF_CONFIG with these says; of(text): with this text."""

    def of(jobs, kind="worker", index=0):
        config = {"cluster": jobs, "task": {"type": kind, "index": index}}
        monkeypatch.setenv("TF_CONFIG", jobs if isinstance(jobs, str) else json.dumps(config))
        return cluster()

    return of


def test_workers_are_named_as_in_tf_config_and_the_first_is_the_chief(of):
    first, second = of(TWO, index=0), of(TWO, index="1")
    assert (first.index, first.is_chief) == (0, True)
    assert (second.index, second.is_chief) == (1, False)
    assert second.names == ("worker 0 (node1:12345)", "worker 1 ([fe80::2]:12345)")


def test_a_job_of_a_chief_and_workers_as_operators_make_it(of):
    jobs = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    assert of(jobs, "chief", 0).is_chief
    worker = of(jobs, "worker", 0)
    assert worker.index == 1
    assert worker.names == ("chief (a:1)", "worker 0 (b:1)", "worker 1 (c:1)")


@pytest.mark.parametrize("text", ["", " ", "{}", '{"cluster": {"worker": ["a:1"]}}'])
def test_one_address_or_none_is_an_ordinary_run(of, text):
    assert of(text) is None


def test_the_channel_has_the_first_port_that_no_worker_has(of):
    assert of({"worker": ["a:5", "a:6", "b:7"]}).channel == ("a", 8)
    assert of({"worker": ["[::1]:5", "a:5"]}).channel == ("::1", 6)
    assert of({"worker": ["a:65535", "b:65534"]}).channel == ("a", 65533)


@pytest.mark.parametrize(
    ("jobs", "kind", "index", "said"),
    [
        ("{", "", 0, "TF_CONFIG: Expecting property name"),
        ("[" * 100_000, "", 0, "TF_CONFIG: "),
        ("[]", "", 0, "it is no JSON object"),
        ('{"cluster": []}', "", 0, "must be JSON objects"),
        (TWO, "worker", 2, 'the task, type "worker" and index 2, is none of the cluster\'s 2'),
        (TWO, "worker", -1, "index -1"),
        (TWO, "worker", None, "index null"),
        (TWO, "worker", True, "index true"),
        (TWO, "evaluator", 0, 'type "evaluator"'),
        (TWO, ["worker"], {}, 'type ["worker"]'),
        (TWO | {"ps": ["c:1"]}, "worker", 0, 'tasks of type "ps"'),
        ({"worker": ["a:1", "a:1"]}, "worker", 0, "same address"),
        ({"worker": "a:1"}, "worker", 0, "no list"),
        ({"worker": ["a:1", "b"]}, "worker", 0, '"b" is no address'),
        ({"worker": ["a:1", "b:65536"]}, "worker", 0, '"b:65536" is no address'),
        ({"worker": ["a:1", "b\x1b[2J:5"]}, "worker", 0, "is no address"),
        ({"chief": ["a:1", "b:1"]}, "chief", 0, "more than one chief"),
    ],
)
def test_a_wrong_tf_config_is_one_line_with_an_example(of, jobs, kind, index, said):
    with pytest.raises(UserError) as refused:
        of(jobs, kind, index)
    assert said in str(refused.value)
    assert '{"cluster": {"worker": [' in str(refused.value)
    assert refused.value.exit_code == 2
