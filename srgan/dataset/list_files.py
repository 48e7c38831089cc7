"""List the files below a folder, for the catalogue and for the fingerprint of a store."""

import os
from collections.abc import Collection
from pathlib import Path

from srgan.formats.scan import Skipped
from srgan.system.errors import reason

SYSTEM_FILES = {"thumbs.db", "desktop.ini"}


def files_below(folder: Path, left_out: Collection[Path] = ()) -> tuple[list[Path], list[Skipped]]:
    """Regular files in the order of their names, and files and folders that cannot be opened.

    Hidden files, system files and the folders `left_out` do not count. Links are followed; each
    folder is visited once.
    """
    files, skipped, seen = [], [], set()
    outside, pending = {os.path.abspath(each) for each in left_out}, [folder]
    while pending:
        here = pending.pop()
        if os.path.abspath(here) in outside:
            continue
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                continue  # visited already, by a link
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(here) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(Skipped(here, "folder cannot be read", reason(error)))
            continue
        folders = []
        for entry in names:
            if entry.name.startswith(".") or entry.name.lower() in SYSTEM_FILES:
                continue
            try:
                if entry.is_dir():
                    folders.append(here / entry.name)
                elif entry.is_file():
                    files.append(here / entry.name)
                else:  # opening a pipe could wait forever
                    kind = "a broken link" if entry.is_symlink() else "a pipe, socket or device"
                    skipped.append(Skipped(here / entry.name, "not a regular file", kind))
            except OSError as error:
                skipped.append(Skipped(here / entry.name, "cannot be read", reason(error)))
        pending += reversed(folders)
    return files, skipped
