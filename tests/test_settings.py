import subprocess
import sys
from pathlib import Path

import pytest

from srgan import settings
from srgan.lowdose.levels import Levels
from srgan.system.errors import UserError

ROOT = Path(__file__).parent.parent


def parse(text):
    return settings.parse(text.split())


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
        "--run fly",
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
        "--run train @no-such-file",
        "",
    ],
)
def test_wrong_input_is_told_by_its_flag(arguments):
    flag = next(iter(arguments.split()[2:]), "--run").removeprefix("@")
    with pytest.raises(UserError, match=rf"{flag}\b"):
        parse(arguments)


def test_crop_must_divide_and_steps_go_together():
    for arguments in ("--run train --crop 66", "--run train --pretrain-steps 3"):
        with pytest.raises(UserError):
            settings.make(parse(arguments)[1])


def test_levels_one_value_a_range_and_a_list():
    assert Levels.parse("1700") == Levels((1700.0,))
    assert Levels.parse("500:5000") == Levels((500.0, 5000.0), True)
    assert Levels.parse("500,1700") == Levels((500.0, 1700.0))
    assert Levels.parse("5:5") == Levels((5.0, 5.0), False)
    for text in ("1700", "500:5000", "500,1700"):
        assert str(Levels.parse(text)) == text


def test_windows_are_names_with_their_ends_in_hu():
    _, given = parse("--run test --window bone:-450:1050,fat_1:-250.5:50")
    assert given["window"] == {"bone": (-450.0, 1050.0), "fat_1": (-250.5, 50.0)}


def test_order_is_defaults_then_checkpoint_then_command_line():
    made = settings.make({"seed": 3}, {"seed": 2, "scale": 2})
    assert (made.seed, made.scale, made.crop) == (3, 2, 64)


def test_record_comes_back_and_holds_no_path():
    _, given = parse("--run train --noise-lambda 1700 --split secret.csv --data secret --seed 5")
    kept = settings.record(settings.make(given))
    assert "secret" not in str(kept)
    back = settings.make({}, settings.from_record(kept))
    assert back.noise_lambda == Levels((1700.0,))
    assert back.seed == 5
    with pytest.raises(UserError, match="lacks"):
        settings.from_record({"no_such": 1})


def test_a_file_of_arguments(tmp_path):
    (tmp_path / "args").write_text("--run\ntrain\n\n--seed\n7\n")
    assert settings.parse([f"@{tmp_path}/args"]) == ("train", {"seed": 7})


def test_help_names_every_setting_with_its_default_and_starts_nothing_heavy():
    command = [sys.executable, "-X", "importtime", str(ROOT / "main.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shown = " ".join(done.stdout.split())
    for field in settings.fields():
        assert settings.flag(field.name) in shown
        if isinstance(field.default, (int, float, str)) and not isinstance(field.default, bool):
            assert f"default: {field.default}" in shown
    for heavy in ("tensorflow", "scipy", "SimpleITK", "pydicom", "matplotlib", "numpy"):
        assert f" {heavy}\n" not in done.stderr


def test_main_turns_a_user_error_into_one_line_and_exit_code_2():
    command = [sys.executable, str(ROOT / "main.py"), "--run", "train", "--scale", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "--scale" in done.stderr
