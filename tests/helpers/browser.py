"""A headless Chromium over its DevTools protocol: a pipe and the standard library, no port."""

import base64
import itertools
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TRAMPOLINE = (  # Chromium reads from descriptor 3 and writes to 4
    "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 13); os.dup2(w, 14); "
    "os.dup2(13, 3); os.dup2(14, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
    "--disable-background-networking", "--no-first-run", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 60  # seconds


def installed() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One tab. `problems` has console errors and exceptions, `requests` every URL asked for."""

    def __init__(self, program: str, profile: Path):
        ours, theirs = os.pipe(), os.pipe()
        self.to, self.back = ours[1], theirs[0]
        given = (ours[0], theirs[1])
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAMPOLINE, *map(str, given), program, *FLAGS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in given:
            os.close(end)
        self.numbers, self.pending, self.events = itertools.count(1), b"", []
        self.problems, self.requests, self.session = [], [], None
        while not (tabs := [t for t in self._targets() if t["type"] == "page"]):
            time.sleep(0.1)
        attached = self.do("Target.attachToTarget", targetId=tabs[0]["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def _targets(self) -> list[dict]:
        return self.do("Target.getTargets")["targetInfos"]

    def do(self, method: str, **parameters) -> dict:
        """Send a command and wait for its answer. Raises RuntimeError where Chromium refuses it."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _read(self) -> dict:
        while b"\0" not in self.pending:
            if not select.select([self.back], [], [], PATIENCE)[0]:
                raise RuntimeError(f"no answer within {PATIENCE} s")
            chunk = os.read(self.back, 1 << 20)
            if not chunk:
                raise RuntimeError("Chromium ended")
            self.pending += chunk
        message, self.pending = self.pending.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event: dict) -> None:
        kind, told = event.get("method"), event.get("params", {})
        self.events.append(kind)
        if kind == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif kind == "Runtime.exceptionThrown":
            self.problems.append(told["exceptionDetails"])
        elif kind == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.problems.append(told["entry"])
        elif kind == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.problems.append(told)

    def open(self, path: Path, width: int = 1280, height: int = 900, *, dark=False, touch=False):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])
        self.do("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=touch,
        )  # fmt: skip
        self.events.clear()
        self.do("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self.events:
            self._note(self._read())

    def value(self, expression: str):
        """Of an expression of JavaScript, awaited."""
        found = self.do(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait for a truth. Raises TimeoutError."""
        end = time.monotonic() + PATIENCE
        while not self.value(expression):
            if time.monotonic() > end:
                raise TimeoutError(expression)
            time.sleep(0.05)

    def point(self, selector: str, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
        """Of an element, scrolled into view: coordinates in the window."""
        return self.value(
            f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{block: "center", behavior: "instant"}});
            const b = e.getBoundingClientRect();
            return [b.x + {across} * b.width, b.y + {down} * b.height]; }})()"""
        )

    def click(self, selector: str, across: float = 0.5, down: float = 0.5) -> None:
        x, y = self.point(selector, across, down)
        for kind in ("mousePressed", "mouseReleased"):
            self.do(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left",
                buttons=int(kind == "mousePressed"), clickCount=1,
            )  # fmt: skip

    def touch(self, selector: str, across: float, down: float = 0.5) -> None:
        x, y = self.point(selector, across, down)
        self.do("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.do("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            code = {"ArrowRight": 39, "ArrowLeft": 37, "Tab": 9}[key]
            self.do(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def picture(self, path: Path, whole: bool = True) -> None:
        """A screenshot of the page, or of the window."""
        found = self.do("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def print(self, path: Path) -> None:
        found = self.do("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """End the program that was started, and wait for it."""
        try:
            self.session = None
            self.do("Browser.close")
        except (RuntimeError, OSError):
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.back)


# ---- the page's numbers against summary.json ----

CELLS = """[...document.querySelectorAll("tr[data-row] td[data-key]")].map((cell) => {
    const under = cell.querySelector("small")?.textContent ?? "", copy = cell.cloneNode(true);
    for (const part of copy.querySelectorAll("small, .unseen")) part.remove();
    return [cell.closest("table").dataset.level, cell.closest("tr").dataset.row, cell.dataset.key,
            cell.dataset.value, copy.textContent, under]; }).filter((cell) => cell[2])"""
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def check_cells(browser: Browser, summary: dict) -> dict[str, int]:
    """Every number of the page's tables is summary.json's, as it is shown and as it is held.

    Returns how many cells of each kind had a number, and how many intervals stood below one.
    """
    cells = browser.value(CELLS)
    names = dict.fromkeys(cell[0] for cell in cells)
    levels = dict(zip(names, summary.get("levels", [summary]), strict=True))
    checked = dict.fromkeys(("figures", "intervals", "compared", "nodules", "below"), 0)
    for level, row, key, held, shown, under in cells:
        value, interval = _told(levels[level], row, key)
        assert json.loads(held) == value, (level, row, key)
        if value is None:
            assert shown in ("\N{EN DASH}", "inf"), (level, row, key)
            continue
        kind = key.split("/")[0]
        checked[kind if kind in checked else "figures"] += 1
        first, *others = NUMBER.findall(shown)
        _check(first, value)
        if kind == "intervals" and interval["sd"] is not None:
            _check(others[0], interval["sd"])
        ends = NUMBER.findall(under)
        wanted = [interval[end] for end in ("low", "high") if interval.get(end) is not None]
        checked["below"] += bool(ends)
        for end, of in zip(ends, wanted, strict=True):
            _check(end, of)
    return checked


def _told(level: dict, row: str, key: str) -> tuple[float | None, dict]:
    """What summary.json has for a cell, and the interval that belongs to it."""
    said = level["conclusions"]
    match key.split("/"):
        case ["intervals", figure, _]:
            interval = said["intervals"][row].get(figure, {})
            return interval.get("mean"), interval
        case ["compared", other, figure, what]:
            found = said["compared"].get(row, {}).get(other, {}).get(figure, {})
            difference = found.get("difference", {})
            return (found.get("p"), {}) if what == "p" else (difference.get("mean"), difference)
        case ["nodules", name]:
            return level["nodules"]["methods"][row][name], {}
    figures = (level["methods"] | {"normal dose": level["normal_dose"]})[row]
    for name in key.split("."):
        figures = (figures or {}).get(name)
    return figures, said["intervals"].get(row, {}).get(key, {})


def _check(shown: str, value: float) -> None:
    digits = len(shown.partition(".")[2].partition("e")[0])
    exponent = int(shown.partition("e")[2] or 0)
    assert abs(float(shown) - value) <= 0.5001 * 10.0 ** (exponent - digits), (shown, value)
