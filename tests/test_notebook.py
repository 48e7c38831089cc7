import json
import re
import shutil

import nbformat
import pytest

from tests.conftest import ROOT

COPIED = ("srgan", "main.py", "requirements.txt", "data/README.md", "colab.ipynb")


@pytest.fixture
def notebook():
    return nbformat.read(ROOT / "colab.ipynb", as_version=4)


def test_notebook_is_valid_and_holds_no_output(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_notebook_has_its_parameters_in_one_cell(notebook):
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    values = {}
    exec(cell.source, values)
    assert (values["MINUTES"], values["DATA"], values["EXTRA"]) == (20, "data", "")
    assert (values["REPOSITORY"], values["CHECKPOINT"]) == ("", "checkpoint")


def test_notebook_does_not_install_tensorflow_over_another(notebook):
    (cell,) = [c for c in notebook.cells if "pip install" in c.source]
    assert 'find_spec("tensorflow")' in cell.source
    assert 'startswith("tensorflow")' in cell.source


@pytest.mark.slow
def test_notebook_runs_from_top_to_bottom_on_synthetic_chests(notebook, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    for name in COPIED:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    small = "--pretrain-steps 2 --gan-steps 1 --vgg-weights random --batch-size 2"
    cell.source = re.sub(r'^EXTRA = ""', f'EXTRA = "{small}"', cell.source, flags=re.MULTILINE)
    assert small in cell.source
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3", resources=where).execute()

    printed = "".join(
        output.get("text", "") for c in notebook.cells for output in c.get("outputs", ())
    )
    assert re.search(r"found \d+, used \d+, skipped \d+", printed), printed[-3000:]
    assert list((tmp_path / "train").glob("grid-*.png")), printed[-3000:]
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert {"nearest", "bicubic", "srresnet", "srgan"} <= set(summary["methods"])
    pictures = [
        o for c in notebook.cells for o in c.get("outputs", ()) if "image/png" in o.get("data", {})
    ]
    assert len(pictures) >= 3  # two grids and the report's
