"""A lab's page of the comparison, `labs/NN-slug/COMPARED.md`, made of results.json and compare.toml alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workshop.compare import recorded_costs
from workshop.compare.comparison_table import LEGEND, SIGNS, by_sentence, summary, word_of_check
from workshop.compare.implementations import read_toml
from workshop.compare.recorded import DIFFERS, Record, word_of
from workshop.compare.rules import Rule, cells, rules_of
from workshop.labs import Lab

SHOWN = 320


def path_of(lab: Lab) -> Path:
    return lab.folder / "COMPARED.md"


def page(lab: Lab, data: Record) -> str:
    """The whole page as Markdown."""
    rules, names = rules_of(lab), list(data["implementations"])
    parts = [
        f"# Lab {lab.number} · {lab.title}: what real implementations do",
        f"The lab's own checks, run on {len(names)} real implementations. `make compare-{lab.number}` runs "
        "them again, with your file as the last column. This page is generated: "
        f"`make compare-{lab.number} ARGS=--record` writes it.",
        LEGEND.replace("   ", ", ") + ".",
        _table(rules, data),
        f"Checks that hold whole, of {len(data['checks'])}: {summary(data)}.",
        *_costs(lab),
        "## How they differ",
        *[_section(number, rule, data) for number, rule in enumerate(rules, 1)],
        "## Versions",
        ", ".join(f"{name}: {_version(one)}" for name, one in data["implementations"].items()) + ".",
    ]
    return "\n\n".join(parts) + "\n"


def _costs(lab: Lab) -> list[str]:
    """The section on speed and memory, of a lab where they are measured."""
    data = recorded_costs.load(lab)
    if data is None:
        return []
    beside = read_toml(lab)["costs"]["beside"]
    said = (
        f"Medians of {recorded_costs.ROUNDS} rounds in one run on {data['cores']} processors; in brackets "
        f"the ratio to {beside}. A dash: the server ends such a connection, has no room for so many, or does "
        "not stream. "
        f"`make compare-{lab.number} ARGS=--costs` measures them again, yours beside."
    )
    return ["## What they cost", said, "\n".join(recorded_costs.table(lab, data))]


def _version(one: dict[str, str]) -> str:
    return f"{one['package']} {one['version']}"


def _table(rules: list[Rule], data: Record) -> str:
    names = list(data["implementations"])
    rows = [f"| rule | {' | '.join(names)} |", f"| --- |{' :-: |' * len(names)}"]
    for check, title in data["checks"].items():
        own = [(number, rule) for number, rule in enumerate(rules, 1) if rule.check == check]
        if not own:
            words = [word_of_check(one, check) for one in data["implementations"].values()]
            rows.append(f"| {_escaped(title)} | {' | '.join(SIGNS[word] for word in words)} |")
        for number, rule in own:
            signs = " | ".join(SIGNS[word] for word in cells(rule, data).values())
            rows.append(f"| {number}. {_escaped(rule.says)} | {signs} |")
    return "\n".join(rows)


def _section(number: int, rule: Rule, data: Record) -> str:
    points = rule.points_in(data)
    clause = next((one["clause"] for one in points), "")
    parts = [f"### {number}. {rule.says}", f"{clause}."]
    for kind, sentences in (("", rule.differs), ("legal: ", rule.legal)):
        for text, names in by_sentence(sentences).items():
            parts.append(f"- **{', '.join(names)}**: {kind}{text}")
    if rule.nobody:
        parts.append(f"\nNo real one holds it: {rule.nobody}")
    name, result = _shown(rule, points)
    if rule.in_words_alone:
        parts.append("The requests are in the lab's checks.")
        return "\n\n".join(parts[:2]) + "\n\n" + "\n".join(parts[2:-1]) + "\n\n" + parts[-1]
    sent, came = rule.sent.strip() or result["sent"], result["came"]
    parts.append(
        "```text\n" + "\n".join([*_cut("sent", sent), *_cut("came", came), f"      from {name}"]) + "\n```"
    )
    return "\n\n".join(parts[:2]) + "\n\n" + "\n".join(parts[2:-1]) + "\n\n" + parts[-1]


def _shown(rule: Rule, points: list[dict[str, Any]]) -> tuple[str, dict[str, str]]:
    """An implementation that differs, and what was sent and came: the shortest request of all."""
    found = [
        (name, result)
        for one in points
        for name, result in one["results"].items()
        if word_of(result) == DIFFERS and rule.sentence(name)
    ]
    return min(found, key=lambda one: len(one[1]["sent"]), default=("", {"sent": "", "came": ""}))


def _cut(label: str, text: str) -> list[str]:
    text = text if len(text) <= SHOWN else f"{text[: SHOWN - 2]} …"
    first, *rest = text.replace("```", "'''").splitlines() or [""]
    return [f"{label}  {first}".rstrip(), *(f"      {line}".rstrip() for line in rest)]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
