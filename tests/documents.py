"""What is made in the documents: `python -m tests.documents` writes README's table and the lessons' links."""

from __future__ import annotations

from workshop.labs import all_labs
from workshop.markdown_links import linked
from workshop.paths import LABS, ROOT, SOLUTIONS

README = ROOT / "README.md"
LINKED = [
    *sorted(LABS.glob("*/README.md")),
    *sorted(LABS.glob("*/MAP.md")),
    *sorted(LABS.glob("*/hints.md")),
    *sorted(SOLUTIONS.glob("*/NOTES.md")),
]
BEGIN, END = "<!-- labs -->\n", "<!-- end of labs -->"


def labs_table() -> str:
    """The table of labs, as their lab.toml files describe them."""
    lines = ["| lab | you build | minutes | points |", "| --- | --- | --- | --- |"]
    part = ""
    for lab in all_labs():
        if lab.part != part:
            part = lab.part
            lines.append(f"| | **{part}** | | |")
        link = f"[{lab.number} · {lab.title}](labs/{lab.name}/README.md)"
        lines.append(f"| {link} | {lab.summary} | {lab.minutes} | {lab.points} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """README's text with the table of today."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + labs_table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    for path in LINKED:
        path.write_text(linked(path.read_text(encoding="utf-8")), encoding="utf-8")
