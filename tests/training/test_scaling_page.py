"""docs/scaling.md: its Slurm script and its Kubernetes command, with stand-ins for the cluster."""

import os
import re
import subprocess

import pytest

from srgan.training.cluster import cluster
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "scaling.md").read_text()
FAKES = {
    "scontrol": """
if [ "$1" = show ]; then printf 'n1\\nn2\\n'; else echo "$@" >> requeued; fi""",
    "srun": """
shift
for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@" || code=$?; done
exit ${code:-0}""",
    "python": """
echo "$TF_CONFIG" >> configs
exit $CODE""",
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run(script, code, **environment) in a folder, where python ends with `code`."""
    for name, body in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/bash{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    os.link(tmp_path / "python", tmp_path / ".venv" / "bin" / "python")

    def run(script, code=0, **more):
        path = f"{tmp_path}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "CODE": str(code)} | more
        return subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment).returncode

    return run


def clusters(folder, monkeypatch):
    for line in (folder / "configs").read_text().splitlines():
        monkeypatch.setenv("TF_CONFIG", line)
        yield cluster()


@pytest.mark.parametrize(("code", "again"), [(0, False), (2, False), (75, True), (143, True)])
def test_the_slurm_script_names_the_nodes_and_queues_again(run, tmp_path, monkeypatch, code, again):
    (script,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    assert run(script, code, SLURM_JOB_ID="7", SLURM_JOB_NODELIST="n[1-2]") == code
    found = list(clusters(tmp_path, monkeypatch))
    assert [each.index for each in found] == [0, 1]
    assert {each.addresses for each in found} == {("n1:12345", "n2:12345")}
    assert (tmp_path / "requeued").exists() == again


def test_the_kubernetes_command_names_the_pods(run, tmp_path, monkeypatch):
    (lines,) = re.findall(r"- \|\n((?: {14}.*\n)+)", PAGE)
    for index in (0, 1):
        assert run(lines, JOB_COMPLETION_INDEX=str(index)) == 0
    found = list(clusters(tmp_path, monkeypatch))
    assert [each.index for each in found] == [0, 1]
    assert {each.addresses for each in found} == {("srgan-0.srgan:12345", "srgan-1.srgan:12345")}


def test_the_settings_of_two_machines_are_a_chief_and_a_worker(monkeypatch):
    texts = re.findall(r"export TF_CONFIG='(.*)'", PAGE)
    for index, text in enumerate(texts):
        monkeypatch.setenv("TF_CONFIG", text)
        assert cluster().index == index
    assert len(texts) == 2
