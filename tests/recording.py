"""README's recording: `make recording` writes recording.svg, red, edit and green, from a real run of lab 1.

The run is in a copy of the checkout, on a terminal of its own. What is drawn is what was printed there; only
the port, which is a free one, is drawn as make's 8000.
"""

from __future__ import annotations

import html
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.style import Style
from rich.syntax import Syntax
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.judging import environment
from tests.terminal import PROMPT, Terminal
from workshop.paths import ROOT

RECORDING = ROOT / "recording.svg"
FILE = Path("labs/01-the-callable/app.py")
COMMAND = 'make lab-1 ARGS="-k task1"'
STUB = re.compile(r"    # TODO task 1:.*?raise NotImplementedError\(\"lab 1 task 1: [^\n]*\n", re.DOTALL)
WRITTEN = """\
    body = "Hello, world!\\n"
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
"""
EDIT = ("return [body]", "return [body.encode()]")

COLUMNS, ROWS = 96, 22
CHAR, LINE, MARGIN = 7.8, 17, 14
SECONDS = 17.0
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
BACKGROUND, TAB, MARK, GREY, WHITE = "#1d1f21", "#2b2e32", "#37431f", "#8a8f98", "#d8dade"


@dataclass(frozen=True)
class Scene:
    """Lines that are shown from one second to another, at this height."""

    lines: list[Text]
    top: float
    begin: float
    end: float


def run() -> tuple[list[Text], list[Text]]:
    """The screen after the first verdict, and after the edit."""
    with tempfile.TemporaryDirectory(prefix="recording") as folder:
        copy = Path(folder)
        _copy_checkout(copy)
        path = copy / FILE
        written, count = STUB.subn(lambda _: WRITTEN, path.read_text(encoding="utf-8"))
        assert count == 1, f"{FILE} has no task 1 any more"
        path.write_text(written, encoding="utf-8")
        command = [sys.executable, "-m", "workshop", "lab", "1", "-k", "task1", "--seed", "7", "--port", "0"]
        env = environment() | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "COLORTERM": ""}
        terminal = Terminal(command, copy, env)
        try:
            red = terminal.await_text(PROMPT)
            path.write_text(written.replace(*EDIT), encoding="utf-8")
            green = terminal.await_text(PROMPT)
            terminal.type("q")
            terminal.process.wait(30)
        finally:
            terminal.close()
    first = _screen(red)
    return first, [*first, *_screen(green)]


def _copy_checkout(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())


def _screen(printed: str) -> list[Text]:
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8000", printed.replace("\r\n", "\n"))
    return [piece for line in AnsiDecoder().decode(text.strip("\n")) for piece in _folded(line)]


def _folded(line: Text) -> list[Text]:
    """What a terminal of this width makes of a long line."""
    return [line[at : at + COLUMNS] for at in range(0, max(1, len(line)), COLUMNS)]


# --- the picture ------------------------------------------------------------------------------------


def picture(red: list[Text], green: list[Text]) -> str:
    """An SVG that moves: the file above, the terminal below; without animation, its last scene."""
    before, after = _code(WRITTEN), _code(WRITTEN.replace(*EDIT))
    shell = MARGIN + LINE * (len(before) + 3.2)
    prompt = Text("$ ", "dim").append(COMMAND, "bold")
    scenes = [
        Scene(before, MARGIN + LINE * 1.9, 0, 9),
        Scene(after, MARGIN + LINE * 1.9, 9, SECONDS),
        Scene([prompt], shell, 0, 1.5),
        Scene([prompt, *red][:ROWS], shell, 1.5, 11),
        Scene([prompt, *green][-ROWS:], shell, 11, SECONDS),
    ]
    width, height = round(COLUMNS * CHAR + 2 * MARGIN), round(shell + LINE * ROWS + MARGIN)
    styles = "".join(_keyframes(number, scene) for number, scene in enumerate(scenes))
    changed = next(number for number, line in enumerate(WRITTEN.splitlines()) if EDIT[0] in line)
    mark_top = MARGIN + LINE * (1.9 + changed + 1) - 13
    body = [
        f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
        f'<rect width="{width}" height="{shell - LINE * 1.3:.0f}" rx="8" fill="{TAB}"/>',
        *_drawn([Text(str(FILE), style="dim")], MARGIN + LINE * 0.6),
        f'<rect class="s1" x="0" y="{mark_top:.0f}" width="{width}" height="{LINE}" fill="{MARK}"/>',
    ]
    for number, scene in enumerate(scenes):
        body += [f'<g class="s{number}">', *_drawn(scene.lines, scene.top), "</g>"]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
            f' width="{width}" height="{height}" font-family="{FONTS}" font-size="13" role="img">',
            "<title>make lab-1: a red check, an edit, and green</title>",
            f"<style>{styles}",
            "@media (prefers-reduced-motion: reduce) { g, rect { animation: none !important } }</style>",
            *body,
            "</svg>\n",
        ]
    )


def _code(body: str) -> list[Text]:
    """The function around this body, as an editor shows it."""
    shown = "def application(environ, start_response):\n" + body
    text = Syntax(shown, "python", theme="monokai").highlight(shown)
    text.rstrip()
    return list(text.split("\n"))


def _keyframes(number: int, scene: Scene) -> str:
    """Shown between two seconds, hidden before and after; the last scenes stay where nothing moves."""
    begin, end = scene.begin / SECONDS * 100, scene.end / SECONDS * 100
    frames = [(0.0, scene.begin == 0), (begin, True), (end, scene.end == SECONDS)]
    steps = " ".join(f"{at:.1f}% {{ opacity: {int(on)} }}" for at, on in sorted(set(frames)))
    still = int(scene.end == SECONDS)
    return (
        f"\n@keyframes k{number} {{ {steps} }} "
        f".s{number} {{ opacity: {still}; animation: k{number} {SECONDS:g}s step-end infinite }}"
    )


def _drawn(lines: list[Text], top: float) -> Iterator[str]:
    console = Console(file=io.StringIO(), width=COLUMNS, force_terminal=True, color_system="truecolor")
    for row, line in enumerate(lines):
        y = f"{top + LINE * row:.1f}"
        column = 0
        for segment in line.render(console):
            for piece in re.finditer(r"\S+(?: \S+)*", segment.text):  # viewers make one space of several
                yield _span(segment.style, piece[0], MARGIN + (column + piece.start()) * CHAR, y)
            column += len(segment.text.rstrip("\n"))


def _span(style: Style | None, text: str, x: float, y: str) -> str:
    color = GREY if style is not None and style.dim else WHITE
    if style is not None and style.color is not None and not style.color.is_default:
        color = style.color.get_truecolor(MONOKAI).hex
    weight = ' font-weight="bold"' if style is not None and style.bold else ""
    return (
        f'<text x="{x:.1f}" y="{y}" textLength="{len(text) * CHAR:.1f}" fill="{color}"{weight}>'
        f"{html.escape(text, quote=False)}</text>"
    )


def words(svg: str) -> str:
    """What a recording says, without the time of day."""
    said = " ".join(html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg))
    return re.sub(r"\d\d:\d\d:\d\d", "12:00:00", said)


if __name__ == "__main__":
    RECORDING.write_text(picture(*run()), encoding="utf-8")
    print(f"{RECORDING.name}: {RECORDING.stat().st_size} bytes")
