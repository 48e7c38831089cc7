"""Where the data file of a volume may lie: nobody's header reads a file that was not given."""

import os
import re
from pathlib import Path

from srgan.system.errors import Skip


def named_beside(header_path: Path, field: str, name: str) -> Path:
    """The path of a data file that a field of a header names: a plain name in its folder.

    No message repeats the name: it may be a path of another machine. Raises Skip.
    """
    if name.upper().split(" ")[0] == "LIST" or "%" in name:
        raise Skip("data in several files", f"{field} is a list or a pattern")
    name = re.sub(r"^(\.[/\\]+)+", "", name)
    if name in ("", ".", "..") or set(name) & set('/\\:*?"<>|\0'):
        raise Skip("data file outside the folder", f"{field} is not a plain file name")
    return header_path.parent / name


def check_place(header_path: Path, data_path: Path, tree: Path) -> None:
    """Raise Skip where the data file is a link that leaves what the user gave.

    data_path: the header itself, or a plain name in its folder. As a link it may lead into that
    folder, into the folder of the file that the header is a link to, or anywhere below `tree`, the
    folder that the user named (git-annex keeps the data in a part of it).
    """
    if not os.path.islink(data_path):  # it lies beside its header
        return
    try:
        data = data_path.resolve()
        folders = header_path.parent.resolve(), header_path.resolve().parent
        inside = data.parent in folders or data.is_relative_to(tree.resolve())
    except (OSError, ValueError, RuntimeError):  # RuntimeError: a loop of links
        raise Skip("data file is missing", "it cannot be looked up") from None
    if not inside:
        raise Skip("data file outside the folder", "the data file is a link that leaves it")
