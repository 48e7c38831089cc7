"""SRGAN for low-dose chest CT. `python main.py --help` lists every setting."""

import os
import sys

from srgan import settings
from srgan.system import errors


def main(arguments: list[str]) -> int:
    if hasattr(sys.stdout, "reconfigure"):  # not in a notebook
        sys.stdout.reconfigure(errors="backslashreplace")  # a folder's name may be no text
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its start-up lines say nothing to a user
    try:
        run, given = settings.parse(arguments)
        if run == "train":
            from srgan.commands.train import train as verb
        elif run == "test":
            from srgan.commands.evaluate import test as verb
        else:
            from srgan.commands.simulate import simulate as verb
        code = verb(given)
        sys.stdout.flush()
        return code
    except errors.UserError as error:
        print(f"main.py: {error}", file=sys.stderr)
        return error.exit_code
    except errors.Stopped as error:
        print(f"main.py: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # stdout on a full disk, a closed pipe
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, what is left to flush would raise again
        print(f"main.py: {errors.one_line(error)}", file=sys.stderr)
        return errors.TRY_AGAIN
    except KeyboardInterrupt:
        print("main.py: stopped", file=sys.stderr)
        return errors.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
