"""Text from anywhere, made safe for HTML."""

import html

from srgan.system.errors import one_line

LONGEST = 2000  # characters


def text(words: object) -> str:
    """One line without control characters, escaped for an element and for a quoted attribute."""
    return html.escape(one_line(words, LONGEST))


def notes_html(lines: tuple[str, ...]) -> str:
    """A paragraph in small type each."""
    return "".join(f'<p class="note">{text(line)}</p>' for line in lines)
