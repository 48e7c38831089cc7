"""How a good file is made a bad one: headers of volumes, DICOM files, manifests of checkpoints.

Each function takes a random.Random and what is good, and returns what is most likely bad.
"""

import copy
import gzip
import json
import math
import re
import struct
import zlib
from collections.abc import Callable
from random import Random

OUTSIDE = "outside.raw"  # lies beside the folder that is read; nobody may open it
NUMBERS = [
    "0", "-1", "1", "1e308", "-1e308", "nan", "inf", "2147483647", "4294967296", "1e-320", "0x10",
    "18446744073709551616", "9" * 5000, "1_0", "²", "1.5", "", "--1", "999999999999",
]  # fmt: skip
NAMES = [
    f"../{OUTSIDE}", f"./../{OUTSIDE}", "/etc/passwd", "/dev/zero", "/dev/stdin", "..", ".", "",
    "LIST", "~", f"LIST 2D\n../{OUTSIDE}", f"LIST 3\r\n/{OUTSIDE}", "LOCAL", "scan%03d.raw 1 3 1",
    "link.raw", "loop.raw", "pipe.raw", "folder.raw", "scan.mhd", f"scan.raw\0../{OUTSIDE}",
    f"sub/../../{OUTSIDE}", f"..\\{OUTSIDE}", "C:\\x.raw", "\x1b[2J", "=1+1", "x" * 5000,
    "./scan.raw", ".\\scan.raw", ".//./inside.raw", f"./.\\../{OUTSIDE}", ".//etc/passwd", "./",
]  # fmt: skip


def several(rng: Random, data: bytes, changes: list[Callable]) -> bytes:
    """One to three of the changes, one after the other."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(changes)(rng, data)
    return data


# ---- any bytes ----


def place(rng: Random, data: bytes) -> int:
    """Anywhere, as often in the first kilobytes, where the header is."""
    return rng.randrange(min(len(data), rng.choice((600, 3000, 1 << 40))) or 1) if data else 0


def flip(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if data else 0):
        changed[place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng: Random, data: bytes) -> bytes:
    return data[: place(rng, data)]


def insert(rng: Random, data: bytes) -> bytes:
    at, n = place(rng, data), rng.choice((1, 2, 8, 300, 70_000))
    new = rng.randbytes(n) if n < 1000 else rng.choice((b"\0", b"\xff", b"x")) * n
    return data[:at] + new + data[at:]


def remove(rng: Random, data: bytes) -> bytes:
    at = place(rng, data)
    return data[:at] + data[at + rng.choice((1, 2, 8, 300)) :]


def fill(rng: Random, data: bytes) -> bytes:
    at, n = place(rng, data), rng.choice((1, 2, 4, 64))
    return data[:at] + rng.choice((b"\0", b"\xff", b"\x80")) * n + data[at + n :]


BYTES = [flip, flip, cut, insert, remove, fill]

# ---- MetaImage headers ----

KEYWORDS = (
    b"NDims DimSize ElementSpacing ElementType ElementDataFile HeaderSize CompressedData "
    b"CompressedDataSize ElementNumberOfChannels TransformMatrix BinaryData BinaryDataByteOrderMSB "
    b"Offset ObjectType Comment AnatomicalOrientation Rotation elementdatafile Position "
    b"ElementSize DistanceUnits ElementToIntensityFunctionSlope 0008|0060 0010|0020 dimsize"
).split()


FORMS = [
    (b" ", b"\n"), (b" ", b"\t"), (b" = ", b": "), (b" = ", b" "), (b" = ", b" =\n"), (b".", b","),
    (b"\n", b"\r\n"), (b"\n", b"\r"), (b"\n", b" "), (b"\n", b"\n# "), (b"\n", b"\n1 2\n"),
    (b"\n", b"\nsome words\n"), (b"\n", b" mm\n"), (b"\n", b"\n" * 7000), (b"0", b"0" * 300),
]  # fmt: skip


def swap_keyword(rng: Random, data: bytes) -> bytes:
    return data.replace(rng.choice(KEYWORDS), rng.choice(KEYWORDS), 1)


def shuffle_lines(rng: Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def repeat_line(rng: Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return b"".join(lines)


def change_number(rng: Random, data: bytes) -> bytes:
    found = list(re.finditer(rb"(?<== ).*|-?[\d.]+", data))
    if not found:
        return data
    match = rng.choice(found)
    words = " ".join([rng.choice(NUMBERS)] * rng.choice((1, 1, 3, 9)))
    return data[: match.start()] + words.encode() + data[match.end() :]


def change_form(rng: Random, data: bytes) -> bytes:
    """Other blanks, separators, decimal marks and lines of comment in the first kilobytes."""
    old, new = rng.choice(FORMS)
    parts = data[:2000].split(old)
    joined = b"".join(p + rng.choice((old, old, new)) for p in parts[:-1]) + parts[-1]
    return joined + data[2000:]


def change_name(rng: Random, data: bytes) -> bytes:
    name = rng.choice(NAMES).encode()
    return re.sub(rb"(ElementDataFile *=).*", lambda m: m[1] + b" " + name, data)


def hide_name(rng: Random, data: bytes) -> bytes:
    """A second ElementDataFile where a reader of another kind would see it."""
    named = b"ElementDataFile = " + rng.choice(NAMES).encode()
    before = b"Comment = " + b"x" * rng.choice((0, 10, 244, 255, 489, 499, 511, 4095))
    return before + rng.choice((b"", b" ", b"\r", b"\0", b"\x0b")) + named + b"\n" + data


METAIMAGE = [*BYTES, swap_keyword, shuffle_lines, repeat_line, *[change_number] * 3, change_name]
METAIMAGE += [hide_name, change_form, change_form]

# ---- NIfTI and NRRD ----

NRRD_WORDS = (
    b"dimension sizes type space directions origin kinds endian encoding data file byte skip line "
    b"raw gzip short float uchar left right posterior superior domain vector none little : := #"
).split()
WORDS = [struct.pack(f, v) for f in ["<f", ">f", "<d"] for v in (0, -1, 1e30, math.nan, math.inf)]
WORDS += [struct.pack(f, v) for f in ["<h", ">h", "<i", "<q"] for v in (0, -1, 2, 4, 32767)]


def change_word(rng: Random, data: bytes) -> bytes:
    """A number of a NIfTI header is another one."""
    at, new = 2 * rng.randrange(270), rng.choice(WORDS)
    return data[:at] + new + data[at + len(new) :]


def swap_nrrd_word(rng: Random, data: bytes) -> bytes:
    return data.replace(rng.choice(NRRD_WORDS), rng.choice(NRRD_WORDS), 1)


def change_nrrd_name(rng: Random, data: bytes) -> bytes:
    """Another data file, or one where there was none."""
    line = b"data file: " + rng.choice(NAMES).encode() + b"\n"
    return re.sub(rb"data file: .*\n|(?=type: )", lambda _: line, data, count=1)


def inside_gzip(change: Callable) -> Callable:
    """A change of what gzip data inflate to; of the bytes themselves where they are none."""

    def mutate(rng: Random, data: bytes) -> bytes:
        try:
            return gzip.compress(change(rng, gzip.decompress(data)), 1)
        except (OSError, EOFError, zlib.error):
            return change(rng, data)

    return mutate


NIFTI = [*BYTES, *map(inside_gzip, BYTES), *[inside_gzip(change_word)] * 8]
NRRD = [*BYTES, swap_nrrd_word, shuffle_lines, repeat_line, *[change_number] * 3, change_nrrd_name]

# ---- DICOM ----

VRS = [b"SQ", b"UN", b"OB", b"OW", b"UT", b"DS", b"IS", b"US", b"LO", b"UI", b"FD", b"XX", b"\0\0"]
SYNTAXES = "1.2 1.2.1 1.2.1.99 1.2.2 1.2.4.50 1.2.4.57 1.2.4.70 1.2.4.80 1.2.4.90 1.2.4.201 1.2.5"
SYNTAXES = [f"1.2.840.10008.{end}" for end in SYNTAXES.split()] + ["1.2.3", "", "9" * 64]
LENGTHS = [0, 1, 2, 3, 7, 0xFFFE, 0xFFFF]
LONG_LENGTHS = [*LENGTHS, 0x10000, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF]
DEEP = struct.pack("<HH2s2xLHHL", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)


def elements(data: bytes) -> list[tuple[int, int, int]]:
    """(start, value, length) of the elements in an explicit little-endian file."""
    found, at = [], 132 if data[128:132] == b"DICM" else 0
    while at + 12 <= len(data):
        vr = data[at + 4 : at + 6]
        long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
        value = at + (12 if long else 8)
        (length,) = struct.unpack_from("<L" if long else "<H", data, value - (4 if long else 2))
        if not vr.isalpha() or value + length > len(data):
            break
        found.append((at, value, length))
        at = value + length
    return found


def of_element(change: Callable) -> Callable:
    """A change of one element, or of a few bits where there are no elements."""

    def mutate(rng: Random, data: bytes) -> bytes:
        found = elements(data)
        return change(rng, data, *rng.sample(found, 1)[0]) if found else flip(rng, data)

    return mutate


@of_element
def change_length(rng: Random, data: bytes, at: int, value: int, length: int) -> bytes:
    size = value - at - 6 if value - at == 8 else 4
    lengths = LENGTHS if size == 2 else LONG_LENGTHS
    new = rng.choice([*lengths, length + 1, length + 2, abs(length - 1)])
    packed = (new & (256**size - 1)).to_bytes(size, "little")
    return data[: value - size] + packed + data[value:]


@of_element
def change_vr(rng: Random, data: bytes, at: int, value: int, length: int) -> bytes:
    return data[: at + 4] + rng.choice(VRS) + data[at + 6 :]


@of_element
def change_value(rng: Random, data: bytes, at: int, value: int, length: int) -> bytes:
    """A number or a text of the same length; a text may also change its length."""
    new = rng.choice([*NUMBERS, *NAMES]).encode()[: 1 << 15]
    if rng.random() < 0.5 or value - at != 8:
        new = (new or b"\0") * (length // max(len(new), 1) + 1)
        return data[:value] + new[:length] + data[value + length :]
    return data[: value - 2] + struct.pack("<H", len(new)) + new + data[value + length :]


def change_syntax(rng: Random, data: bytes) -> bytes:
    for at, value, length in elements(data):
        if data[at : at + 4] == b"\x02\x00\x10\x00":
            new = rng.choice(SYNTAXES).encode()
            new += b"\0" * (len(new) % 2)
            return data[: value - 2] + struct.pack("<H", len(new)) + new + data[value + length :]
    return cut(rng, data)


@of_element
def move_element(rng: Random, data: bytes, at: int, value: int, length: int) -> bytes:
    """One element once more or many times over, before another one."""
    target = rng.choice(elements(data))[0]
    return data[:target] + data[at : value + length] * rng.choice((1, 1, 300)) + data[target:]


@of_element
def nest(rng: Random, data: bytes, at: int, value: int, length: int) -> bytes:
    return data[:at] + DEEP * rng.choice((1, 30, 3000)) + data[at:]


def break_codestream(rng: Random, data: bytes) -> bytes:
    """Bits of the last part of the file, where a compressed frame lies."""
    start = len(data) - min(len(data), rng.choice((400, 4000, 1 << 20)))
    return data[:start] + rng.choice((flip, flip, fill, remove))(rng, data[start:])


ENCAPSULATED = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff"
ITEM, END = struct.Struct("<HHL"), struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
RUNS = [b"\xff\x64\0\2", b"\xff\xfe\0\2", b"\xff"]  # comments, fill
RUNS += [b"\xff\x90\0\x0a\0\0\0\0\0\x0e\0\1\xff\x93"]  # tile-parts without data


def of_frame(change: Callable) -> Callable:
    """A change of the compressed frame into pieces, or of a few bits where there is no frame."""

    def mutate(rng: Random, data: bytes) -> bytes:
        start = at = data.find(ENCAPSULATED) + len(ENCAPSULATED)
        if start < len(ENCAPSULATED):
            return flip(rng, data)
        pieces = []
        while at + 8 <= len(data):
            group, element, length = ITEM.unpack_from(data, at)
            if (group, element) != (0xFFFE, 0xE000):
                break
            pieces.append(data[at + 8 : at + 8 + length])
            at += 8 + length
        pieces = [b"", *change(rng, b"".join(pieces[1:]))]
        items = [ITEM.pack(0xFFFE, 0xE000, len(piece)) + piece for piece in pieces]
        return b"".join([data[:start], *items, END])

    return mutate


@of_frame
def cut_frame(rng: Random, frame: bytes) -> list[bytes]:
    """The frame in many fragments, with zeros behind it."""
    n, size = rng.choice((50, 4000, 5000)), rng.choice((2, 100, 6000))
    frame = frame.ljust(n * size, b"\0")
    step = -(-len(frame) // n)
    return [frame[at : at + step] for at in range(0, len(frame), step)]


@of_frame
def long_walk(rng: Random, frame: bytes) -> list[bytes]:
    """Many segments behind the first marker of the frame, or behind its first segment."""
    at, run = rng.choice((2, 51)), rng.choice(RUNS) * rng.choice((10, 100_000, 4_000_000))
    return [frame[:at] + run + frame[at:]]


DICOM = [*BYTES, *[change_length] * 2, change_vr, *[change_value] * 3, change_syntax, move_element]
DICOM += [nest, *[break_codestream] * 5, cut_frame, long_walk]

# ---- manifests of checkpoints ----

VALUES = [
    None, True, -1, 0, 1, 10**30, 1.5, 1e308, float("nan"), float("inf"), "", "x", [], {}, [[]],
    "/etc/passwd", f"../{OUTSIDE}", "/dev/zero", "\x1b[2J", "=1+1", "\0", "9" * 5000, ["x"] * 1000,
    {"x": {"y": [1]}},
]  # fmt: skip


def parts(value) -> list[tuple[dict | list, object]]:
    """(container, key) of everything in a JSON value."""
    if not isinstance(value, dict | list):
        return []
    found = []
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        found += [(value, key), *parts(value[key])]
    return found


def change_json(rng: Random, value: dict) -> None:
    """One value is another, gone, under another key, or in another's place."""
    found = parts(value)
    if not found:
        return
    container, key = rng.choice(found)
    how = rng.randrange(5)
    if how == 0:
        del container[key]
    elif how == 1 and isinstance(container, dict):
        container[rng.choice([str(v) for v in VALUES if isinstance(v, str)])] = container.pop(key)
    elif how == 2:
        container[key] = copy.deepcopy(rng.choice([c[k] for c, k in found]))
    else:
        container[key] = copy.deepcopy(rng.choice(VALUES))


def manifest(rng: Random, good: dict, seal: Callable[[dict], str]) -> bytes:
    """A manifest's text. Most have the right SHA-256 (by `seal`) of what is wrong."""
    made = copy.deepcopy(good)
    for _ in range(rng.choice((1, 1, 2, 4))):
        change_json(rng, made)
    if rng.random() < 0.7:
        made["sha256"] = seal({k: v for k, v in made.items() if k != "sha256"})
    text = json.dumps(made).encode()
    if rng.random() < 0.25:
        text = several(rng, text, BYTES)
    return b"[" * 100_000 + text if rng.random() < 0.02 else text
