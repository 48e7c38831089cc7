"""The command line: `main.py --run VERB`, `main.py VERB` and the installed `srgan VERB`.

Nothing heavy is imported before a command is known to be well formed, so --help is instant.
"""

import argparse
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from srgan.lowdose.levels import Levels
from srgan.settings import GROUPS, IMAGE_NOISE, LOW_DOSE, PROJECTION_NOISE, SETTINGS, VERBS, Setting
from srgan.system import errors, memory, signals, surroundings
from srgan.system.errors import UserError
from srgan.system.files import read_bounded

HELP_FLAGS = {"-h", "--help"}
MOST_BYTES_OF_ARGUMENTS = 1 << 20  # in an @FILE
SUMMARIES = {
    "train": "Train SRResNet, then SRGAN, on normal-dose scans.",
    "test": "Test the trained networks on patients they have never seen, and write a report.",
    "simulate": "Write a copy of one scan as if it had been made at a lower dose.",
    "enhance": "Put one low-dose scan through a trained network and write the result.",
    "export": "Write a trained network for other programs, with a model card.",
}
DESCRIPTIONS = {
    "train": "The same command resumes a run that was stopped.",
    "test": "The noise is that of the training, unless you give it here.",
    "simulate": "It needs --input, --output and --dose, one value such as 0.25. With "
    "--noise-hu alone it prints how many photons give this noise in the centre of a 30 cm water "
    "cylinder.",
    "enhance": "It needs --input and --output. A network of scale 1 denoises the scan at its own "
    "size; one of scale 2 or 4 needs --input-kind.",
    "export": "It needs --format and --output. It loads what it has written and compares it "
    "with the network.",
}
LEVELS = {
    "train": "A noise level or dose is one value, or a range LOW:HIGH from which every patch gets "
    "its own (log-uniform).",
    "test": "A noise level or dose is one value, a range LOW:HIGH from which every slice gets its "
    "own (log-uniform), or a list A,B of which each is tested.",
}
NOTES = {IMAGE_NOISE: "With --noise image.", PROJECTION_NOISE: "With --noise projection."}
OVERVIEW = """\
usage: {call} COMMAND [options]

SRGAN for low-dose chest CT. For research and teaching: not a medical device.

commands:
{commands}

`{call} train --help` lists the options of train, with units and defaults.

The five that most people need:
  {call} train --train-minutes 20
  {call} test
  {call} simulate --input SCAN --dose 0.25 --output NEW_FOLDER
  {call} enhance --input SCAN --output NEW_FOLDER
  {call} export --format onnx --output NEW_FOLDER

Scans are read from the folder data/ (or --data DIR). While it is empty, training makes
synthetic chests. The test writes report/index.html.

`main.py train`, `main.py --run train` and the installed `srgan train` mean the same.
@FILE reads more arguments from a text file, one per line.

exit codes:
  0         done
  2         something in the input must change: an option, a file, a folder
  3         the training diverged
  75        try again later: no space, a folder in use, or another worker is lost
  129       the terminal was closed (SIGHUP), the state is saved
  130, 143  stopped by Ctrl-C or by SIGTERM, the state is saved
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code. arguments: those of this process by default."""
    surroundings.open_streams()
    try:
        with signals.caught():
            code = _run(sys.argv[1:] if arguments is None else arguments)
            sys.stdout.flush()
        return code
    except errors.UserError as error:
        return _fail(error, error.exit_code)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "srgan":
            raise
        return _fail(f"{error.name} {surroundings.INSTALL}", errors.BAD_INPUT)
    except OSError as error:  # stdout on a full disk, a closed pipe
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, what is left to flush would raise again
        gone = "" if surroundings.current_folder() else "the current folder is gone: "
        return _fail(gone + errors.one_line(error), errors.TRY_AGAIN)


def _fail(reason: object, exit_code: int) -> int:
    print(f"{errors.program()}: {reason}", file=sys.stderr)
    return exit_code


def _run(arguments: list[str]) -> int:
    verb, rest = _verb_of(_expanded(arguments))
    if HELP_FLAGS & set(rest):
        print(help_text(verb), end="")
        return errors.DONE
    given = _given(verb, rest)
    surroundings.set_up()
    from srgan.system import log

    log.set_up()
    memory.check_start(f"--run {verb}")
    with memory.told(f"--run {verb}", lambda: memory.FREE_SOME):
        return _command(verb)(given)


def _command(verb: str) -> Callable[[dict[str, Any]], int]:
    """The function that does it, imported no earlier than here."""
    if verb == "train":
        from srgan.commands.train import train as command
    elif verb == "test":
        from srgan.commands.evaluate import test as command
    elif verb == "simulate":
        from srgan.commands.simulate import simulate as command
    elif verb == "enhance":
        from srgan.commands.enhance import enhance as command
    else:
        from srgan.commands.export import export as command
    return command


# ---- from text to settings ----


def parse(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """Arguments to (verb, the settings given by name). Raises UserError."""
    verb, rest = _verb_of(_expanded(arguments))
    return verb, _given(verb, rest)


def _expanded(arguments: list[str]) -> list[str]:
    """Each @FILE replaced by the arguments in it. Raises UserError."""
    arguments = [a for given in arguments for a in _from_file(given)]
    if any("\0" in argument for argument in arguments):
        raise UserError("an argument contains a NUL character")
    return arguments


def _from_file(argument: str) -> list[str]:
    """The lines of @FILE that are not empty. Any other argument as it is."""
    if not argument.startswith("@"):
        return [argument]
    name = argument[1:]
    try:
        lines = read_bounded(Path(name), MOST_BYTES_OF_ARGUMENTS).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise UserError(f"cannot read {name}: {reason}") from None
    if any(line.startswith("@") for line in lines):
        raise UserError(f"{name}: a file of arguments cannot name another one")
    return [line for line in lines if line.strip()]


class _HelpFormatter(argparse.HelpFormatter):
    def _split_lines(self, text, width):
        return textwrap.wrap(text, width, break_on_hyphens=False)  # no --gan- at a line's end


class _Parser(argparse.ArgumentParser):
    def __init__(self, **more):
        super().__init__(add_help=False, allow_abbrev=False, formatter_class=_HelpFormatter, **more)

    def error(self, message):
        raise UserError(f"{message}. See --help.")


def _verb_of(arguments: list[str]) -> tuple[str | None, list[str]]:
    """(verb, the other arguments): the value of --run, else the first argument.

    None where only help is wanted. Raises UserError.
    """
    parser = _Parser()
    parser.add_argument("--run")
    found, rest = parser.parse_known_args(arguments)
    verb = shown = found.run
    if verb is not None:
        shown = f"--run {verb}"
    elif rest and not rest[0].startswith("-"):
        verb, *rest = rest
        shown = verb
    elif not HELP_FLAGS & set(rest):
        raise UserError(f"no command: give --run {_either(VERBS)}. See --help.")
    if verb not in (None, *VERBS):
        raise UserError(f"{shown}: unknown command; choose {_either(VERBS)}")
    return verb, rest


def _either(words: Sequence[str]) -> str:
    """ "a, b or c"."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _given(verb: str, arguments: list[str]) -> dict[str, Any]:
    """The settings that the arguments of a verb name. Raises UserError."""
    texts = vars(_parser(verb).parse_args(arguments))
    given = {}
    for name, setting in SETTINGS.items():
        text = texts[name]
        if text is None:
            continue
        if verb not in setting.verbs:
            owners = " and ".join(setting.verbs)
            raise UserError(f"{setting.flag} belongs to {owners}, not to {verb}")
        try:
            given[name] = setting.kind_for(verb).parse(text)
        except ValueError as error:
            raise UserError(f"{setting.flag}: {error}") from error
    dose = given.get("dose")
    if verb == "train" and dose is not None and not dose.is_range and len(dose.values) > 1:
        raise UserError("--dose: a list is for test; give one value or a range LOW:HIGH")
    return given


# ---- help ----


def help_text(verb: str | None) -> str:
    """What `VERB --help` prints, or without a verb the overview."""
    if verb is not None:
        return _parser(verb).format_help()
    commands = "\n".join(f"  {name:<10}{line}" for name, line in SUMMARIES.items())
    return OVERVIEW.format(call=_call(), commands=commands)


def _call() -> str:
    """How a command is started, up to its name."""
    return "srgan" if errors.program() == "srgan" else "python main.py --run"


def _parser(verb: str) -> argparse.ArgumentParser:
    """Knows the flags of every verb, to say whose a wrong one is, and shows those of this one."""
    parser = _Parser(
        usage=f"{_call()} {verb} [options]",
        description=f"{SUMMARIES[verb]} {DESCRIPTIONS[verb]}",
    )
    for group in GROUPS:
        note = LEVELS.get(verb) if group == LOW_DOSE else NOTES.get(group)
        section = parser.add_argument_group(group, None if verb == "simulate" else note)
        for setting in SETTINGS.values():
            if setting.group == group:
                owner = verb if verb in setting.verbs else setting.verbs[0]
                metavar = setting.kind_for(owner).metavar
                switch = {"action": "store_const", "const": True}
                value = {"metavar": metavar} if metavar else switch
                section.add_argument(setting.flag, help=_help(setting, verb), **value)
    return parser


def _help(setting: Setting, verb: str) -> str:
    if verb not in setting.verbs:
        return argparse.SUPPRESS
    default = _default(setting, verb)
    notes = [setting.unit, default and f"default: {default}"]
    remark = ", ".join(filter(None, notes))
    return (setting.help_for(verb) + (f" ({remark})" if remark else "")).replace("%", "%%")


def _default(setting: Setting, verb: str) -> str:
    """The default in words, or "" where there is none to speak of."""
    levels = isinstance(setting.default, Levels)
    if setting.default is None or setting.default is False or (levels and verb == "simulate"):
        return ""
    if setting.name == "scale" and verb != "train":
        return ""  # its help says it
    if verb == "test" and setting.recorded and setting.name != "vgg_weights":
        return "geometric middle of the training range" if levels else "as in training"
    number = isinstance(setting.default, float)
    return f"{setting.default:g}" if number else str(setting.default)
