import re
import subprocess
import sys
from pathlib import Path

import pytest

from srgan import cli
from srgan.settings import NOISE_VERBS, SETTINGS, VERBS
from srgan.system.errors import UserError
from tests.conftest import ROOT

HEAVY = ("numpy", "scipy", "tensorflow", "keras", "pydicom", "SimpleITK", "matplotlib", "skimage")
NOT_DOSES = ("0", "-0.1", "1.2", "nan", "0.5:0.1", "0.5,0")


def parse(text):
    return cli.parse(text.split())


@pytest.mark.parametrize(
    "arguments",
    [
        "--run train --scale 3",
        "--run train --train-minutes -1",
        "--run train --train-minutes nan",
        "--run train --noise-lambda 5000:500",
        "--run train --noise-lambda 0",
        "--run train --noise-lambda abc",
        "--run train --noise-sigma 2",
        "--run train --noise-sigma -0.1",
        "--run train --gan-share 1.5",
        "--run train --batch-size 0",
        "--run train --pretrain-steps x",
        "--run train --nosuch 1",
        "--run train --see 1",
        "--run fly",
        "--run",
        "--run train --window bone:-450:1050",
        "--run test --window bone",
        "--run test --window bone:-450",
        "--run test --window bone:-450:x",
        "--run test --window bone:nan:1050",
        "--run test --window bone:-450:inf",
        "--run test --window bone:1050:-450",
        "--run test --window bone:40:40",
        "--run test --window b.one:-450:1050",
        "--run test --window :-450:1050",
        "--run test --window bone:-450:1050,bone:0:1",
        "--run test --window bone:-450:1050,",
        "--run test --crop 32",
        "--run test --compare a,,b",
        "--run test --compare a,b,c,d,e,f",
        "--run train --compare a",
        "--run train --dose 0.5,0.25",
        *(f"--run {verb} --dose {dose}" for verb in NOISE_VERBS for dose in NOT_DOSES),
        "--run train @no-such-file",
        "--run simulate --data a",
        "",
    ],
)
def test_parse_names_the_flag_that_is_wrong(arguments):
    wrong = next(iter(arguments.split()[2:]), "--run").removeprefix("@")
    with pytest.raises(UserError, match=rf"{wrong}\b") as error:
        parse(arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            "--run fly",
            "--run fly: unknown command; choose train, test, simulate, enhance or export",
        ),
        ("fly --seed 1", "fly: unknown command; choose train, test, simulate, enhance or export"),
        ("--seed 1", "no command: give --run train, test, simulate, enhance or export"),
        ("--seed 1 train", "no command"),
        ("train test", "unrecognized arguments: test"),
        ("test --run train", "unrecognized arguments: test"),
        ("test --crop 32", "--crop belongs to train, not to test"),
        ("simulate --data a", "--data belongs to train and test, not to simulate"),
        ("train --data", "--data: expected one argument"),
    ],
)
def test_parse_says_what_is_wrong_with_the_command(arguments, reason):
    with pytest.raises(UserError, match=reason):
        parse(arguments)


@pytest.mark.parametrize("verb", VERBS)
def test_run_verb_and_verb_mean_the_same(verb):
    has_seed = verb in SETTINGS["seed"].verbs
    flag, given = ("--seed", {"seed": 7}) if has_seed else ("--output", {"output": Path("7")})
    for arguments in (f"--run {verb} {flag} 7", f"{verb} {flag} 7", f"{flag} 7 --run={verb}"):
        assert parse(arguments) == (verb, given)


def test_a_flag_of_no_value_is_on():
    assert parse("train --fresh --deterministic")[1] == {"fresh": True, "deterministic": True}


def test_parse_reads_windows_as_names_with_their_ends_in_hu():
    _, given = parse("test --window bone:-450:1050,fat_1:-250.5:50")
    assert given["window"] == {"bone": (-450.0, 1050.0), "fat_1": (-250.5, 50.0)}


def test_parse_reads_arguments_from_a_file(tmp_path):
    for command in ("--run\ntrain", "train"):
        (tmp_path / "args").write_text(f"{command}\n\n--seed\n7\n")
        assert cli.parse([f"@{tmp_path}/args"]) == ("train", {"seed": 7})


def test_parse_refuses_a_nul_character():
    with pytest.raises(UserError, match="NUL"):
        cli.parse(["train", "--data", "a\0b"])


# ---- help ----


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_shows_each_of_its_flags_with_unit_and_default_and_no_other(verb):
    text = cli.help_text(verb)
    shown = " ".join(text.split())
    for setting in SETTINGS.values():
        is_shown = re.search(rf"^  {setting.flag}( |$)", text, re.MULTILINE) is not None
        assert is_shown == (verb in setting.verbs), setting.flag
        if verb in setting.verbs:
            assert " ".join(setting.help_for(verb).split()) in shown
            assert setting.unit in shown
    assert f"{verb} [options]" in text


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        ("train", "More than before extends a run. (minutes, default: 20)"),
        ("train", "Photons at full scale, for the Poisson noise. (photons, default: 500:5000)"),
        ("train", "Random seed for weights, patches and noise. (default: 0)"),
        ("train", "moved to a folder aside-NNN. --train-dir"),  # no default of a switch
        ("test", "Linear attenuation of water. (1/mm, default: as in training)"),
        ("test", "that the scan was made with. (default: geometric middle of the training range)"),
        ("test", "FILE: an .h5 file. (default: auto)"),
        ("simulate", "Fraction of the dose that the scan was made with. --photons"),
        ("simulate", "Linear attenuation of water. (1/mm, default: 0.0192)"),
    ],
)
def test_help_says_the_default_that_holds_for_the_verb(verb, text, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert text in " ".join(cli.help_text(verb).split())


def test_help_shows_groups_and_only_those_with_a_flag_of_the_verb():
    titles = {"data:", "low dose:", "network:", "budget:", "output:"}
    assert titles <= set(cli.help_text("train").splitlines())
    shown = set(cli.help_text("simulate").splitlines())
    assert titles & shown == {"data:", "output:"}


def test_overview_lists_the_verbs_three_commands_and_the_exit_codes(monkeypatch):
    text = cli.help_text(None)
    for verb in VERBS:
        assert f"  {verb} " in text
        assert f"  python main.py --run {verb}" in text
    for code in ("0", "2", "3", "75", "129", "130, 143"):
        assert f"\n  {code} " in text
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/srgan"])
    assert "\n  srgan test\n" in cli.help_text(None)


@pytest.mark.parametrize(
    "arguments",
    ["--help", "-h", "train --help", "--run train --help", "--run test -h --nosuch", "simulate -h"],
)
def test_help_imports_nothing_heavy_and_ends_with_0(arguments):
    script = f"""
import sys
from srgan import cli
code = cli.main({arguments.split()})
print(code, [name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"
    assert done.stdout.startswith("usage: ")


# ---- the program ----


@pytest.mark.parametrize(("name", "start"), [("main.py", "main.py: "), ("srgan", "srgan: ")])
def test_main_turns_a_user_error_into_one_line_and_exit_code_2(name, start, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"/somewhere/{name}"])
    assert cli.main(["train", "--scale", "3"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{start}--scale: '3' is not one of 1, 2, 4\n"


def test_main_py_is_the_program(run_main, tmp_path):
    done = run_main(tmp_path, "train --scale 3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "main.py: --scale: '3' is not one of 1, 2, 4\n"
    assert run_main(tmp_path, "--help").stdout == cli.help_text(None)
