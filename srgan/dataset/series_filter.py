"""--series-filter: use the series with a text in their description or kernel, or those without."""

from srgan.formats.scan import Scan, Skipped
from srgan.system.errors import UserError, one_line

REASON = "left out by --series-filter"
MOST_SHOWN = 5


def parted(scans: list[Scan], text: str | None) -> tuple[list[Scan], list[Skipped]]:
    """The scans that pass, all without a text; the files of the others, skipped.

    Raises UserError where there are scans and none passes.
    """
    if not text:
        return scans, []
    passing = [scan for scan in scans if passes(scan, text)]
    if scans and not passing:
        names = sorted({_named(scan) for scan in scans})
        more = f", and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
        raise UserError(
            f"--series-filter {one_line(text, 60)!r} leaves no series; there are: "
            f"{'; '.join(one_line(name, 55) for name in names[:MOST_SHOWN])}{more}"
        )
    others = [scan for scan in scans if not passes(scan, text)]
    return passing, [
        Skipped(path, REASON, one_line(_named(scan))) for scan in others for path in scan.files
    ]


def passes(scan: Scan, text: str) -> bool:
    """Does the scan's description or kernel contain `text`, or with `!TEXT` not contain it?

    Letter case does not matter. Volumes have neither: their file's name is compared.
    """
    wanted = text.removeprefix("!").casefold()
    texts = [scan.files[0].name] if scan.is_volume else [scan.description, scan.kernel]
    return any(wanted in each.casefold() for each in texts) != text.startswith("!")


def _named(scan: Scan) -> str:
    """The texts that are compared, for a message."""
    if scan.is_volume:
        return f"file {scan.files[0].name}"
    return f"description {scan.description!r}, kernel {scan.kernel!r}"
