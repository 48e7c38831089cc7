"""SHA-256 sums of texts and files, and JSON files that carry their own."""

import hashlib
import json
from pathlib import Path

from srgan.system.files import MOST_OF_JSON, read_bounded, write_json


def sha256_of_text(text: str) -> str:
    """In hexadecimal digits, as all sums here."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def sha256_of_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sum_of(value: dict) -> str:
    """The sum of a JSON object, in whatever order its keys are."""
    return sha256_of_text(json.dumps(value, sort_keys=True))


def write_sealed_json(path: Path, value: dict) -> None:
    """The object with its own sum under "sha256". Raises OSError, ValueError (NaN or infinity)."""
    write_json(path, {**value, "sha256": sum_of(value)})


def read_sealed_json(path: Path, most_bytes: int = MOST_OF_JSON) -> dict:
    """The object without its sum. Raises one of folders.DAMAGES for any other file."""
    value = json.loads(read_bounded(path, most_bytes))
    if value.pop("sha256") != sum_of(value):
        raise ValueError(f"{path.name} was changed")
    return value
