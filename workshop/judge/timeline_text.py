"""A timeline as text, for a terminal: a column for each lane, time from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from workshop.judge.timeline import LANES, Event, Timeline, Wait

TIME = 11  # characters
NARROWEST = 16
STYLES = {"client": "cyan", "nginx": "magenta", "server": "yellow", "application": "green"}


def drawn(found: Timeline, width: int) -> list[Text]:
    """The drawing, at most so many characters wide."""
    column = max(NARROWEST, (width - TIME) // len(LANES))
    head = " " * TIME + "".join(lane.ljust(column) for lane in LANES)
    lines = [Text(head.rstrip(), style="bold")]
    waits = {id(_before(found, wait)): wait for wait in found.waits}
    for number, event in enumerate(found.events):
        if found.left_out and number == len(found.events) // 2:
            lines.append(Text(f"{'':{TIME}}… {found.left_out} events left out …", style="dim"))
        lines += _rows(event, column, width)
        if wait := waits.get(id(event)):
            text = f"{'':{TIME}}┄┄ nothing for {seconds(wait.seconds)}, after {wait.after}"
            lines.append(Text(text[:width], style="bold red"))
    lines += [Text(f"  {lane}: {why}", style="dim") for lane, why in found.silent.items()]
    return lines


def _before(found: Timeline, wait: Wait) -> Event | None:
    """The last event that is shown before nothing happened."""
    return next((one for one in reversed(found.events) if one.at <= wait.start), None)


def _rows(event: Event, column: int, width: int) -> Iterator[Text]:
    """What an event is, under its lane, and its bytes in the line below."""
    indent = TIME + column * LANES.index(event.lane)
    label = f"#{event.connection} " if event.connection else ""
    size = f" ({event.size} bytes)" if event.size is not None else ""
    style = STYLES[event.lane]
    start = f"{seconds(event.at):>{TIME - 2}}".ljust(indent)
    room = width - indent
    what = f"{label}{event.what}{size}"
    yield Text(start, style="dim").append(Text(_cut(what, room), style=style))
    if event.data and event.data not in event.what:
        yield Text(" " * min(indent + 2, width - 40), style="dim").append(
            Text(_cut(event.data, max(40, room - 2)), style="dim")
        )


def _cut(text: str, room: int) -> str:
    line = text.replace("\n", " ⏎ ")
    return line if len(line) <= room else f"{line[: max(1, room - 1)]}…"


def seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"
