"""A comparison on a terminal: rule × implementation, and the learner's own column at its end."""

from __future__ import annotations

import textwrap
from typing import Any

from workshop.compare.recorded import DIFFERS, HOLDS, NOT_REACHED, Record, result_at, word_of
from workshop.compare.rules import ABSENT, LEGAL, Rule, cells, rules_of, without_rule
from workshop.labs import Lab

SIGNS = {HOLDS: "✓", DIFFERS: "✗", LEGAL: "~", NOT_REACHED: "?", ABSENT: " "}
LEGEND = "✓ holds   ✗ differs   ~ legal, but different   ? not reached"
WIDTH = 58
UNWRITTEN = "not yet"


def table(lab: Lab, data: Record, yours: dict[str, Any] | None) -> list[str]:
    """The lines: a legend, a row for each rule, how each differs, and where the learner's stands."""
    rules, names = rules_of(lab), list(data["implementations"])
    lines = [f"Lab {lab.number} · {lab.title}: rules and real implementations ({LEGEND})", ""]
    for number, name in enumerate(names, 1):
        one = data["implementations"][name]
        same = name == one["package"]
        lines.append(
            f"  {number:2} {name} {one['version']}"
            if same
            else f"  {number:2} {name} ({one['package']} {one['version']})"
        )
    header = " ".join(f"{number:2}" for number in range(1, len(names) + 1))
    lines += ["", " " * WIDTH + header + ("  yours" if yours else "")]
    for check, title in data["checks"].items():
        lines += _rows_of_check(check, title, rules, data, yours)
    lines += ["", "How they differ:", *_sentences(rules, data)]
    lines += _standing(rules, data, yours) if yours else []
    return lines


def _rows_of_check(
    check: str, title: str, rules: list[Rule], data: Record, yours: dict[str, Any] | None
) -> list[str]:
    """The check's own row when all hold, or else one for each of its rules."""
    own = [rule for rule in rules if rule.check == check]
    rows = []
    if not own:
        words = {name: word_of_check(one, check) for name, one in data["implementations"].items()}
        rows.append(_row(title, words, check_word(yours, check) if yours else None))
    for rule in own:
        rows.append(_row(rule.says, cells(rule, data), word_at(rule, data, yours) if yours else None))
    return rows


def _row(text: str, words: dict[str, str], yours: str | None) -> str:
    shown = textwrap.shorten(text, WIDTH - 2, placeholder=" …").ljust(WIDTH)
    own = f"  {SIGNS.get(yours, yours)}" if yours else ""
    return (shown + " ".join(f" {SIGNS[word]}" for word in words.values()) + own).rstrip()


def word_of_check(one: dict[str, Any], check: str) -> str:
    """Of a check that all hold, an implementation's word."""
    return ABSENT if check in one.get("without", []) else HOLDS


def check_word(yours: dict[str, Any], check: str) -> str:
    """How the learner's file stands in a whole check."""
    one = yours.get(check, {})
    if one.get("unwritten"):
        return UNWRITTEN
    return DIFFERS if one.get("differs") else HOLDS if one.get("whole") else NOT_REACHED


def word_at(rule: Rule, data: Record, yours: dict[str, Any]) -> str:
    """How the learner's file stands at a rule."""
    one = yours.get(rule.check, {})
    if one.get("unwritten") or "differs" not in one:
        return UNWRITTEN if one.get("unwritten") else NOT_REACHED
    points = {point["point"] for point in rule.points_in(data)}
    points |= {found["point"] for found in one["differs"] if rule.stands_for(rule.check, found["point"])}
    return rule.own_cell([result_at(one, point) for point in sorted(points)])


def _sentences(rules: list[Rule], data: Record) -> list[str]:
    lines = []
    for rule in rules:
        lines += ["", *_wrapped(rule.says, "  ")]
        for kind, sentences in (("differs", rule.differs), ("legal", rule.legal)):
            for text, names in by_sentence(sentences).items():
                lines += _wrapped(f"{', '.join(names)} ({kind}): {text}", "    ")
    for name, one in without_rule(rules, data):
        lines += ["", *_wrapped(f"{name}, no sentence yet: {one['results'][name]['came']}", "  ")]
        lines += _wrapped(f"expected: {one['point']}", "    ")
    return lines


def by_sentence(sentences: dict[str, str]) -> dict[str, list[str]]:
    """Who shares a sentence."""
    found: dict[str, list[str]] = {}
    for name, text in sentences.items():
        found.setdefault(text, []).append(name)
    return found


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=indent, subsequent_indent=indent + "  ")


# --- the learner's own column -----------------------------------------------------------------------


def _standing(rules: list[Rule], data: Record, yours: dict[str, Any]) -> list[str]:
    """Where the learner's file is stricter or laxer than real ones, or alone."""
    lines = ["", "Yours:"]
    waiting = [name for name, one in yours.items() if one.get("unwritten")]
    if waiting:
        lines.append(
            f"  not written yet: {len(waiting)} of {len(yours)} checks end in a NotImplementedError."
        )
    for rule in rules:
        word, real = word_at(rule, data, yours), cells(rule, data)
        others = [name for name, one in real.items() if one in (DIFFERS, LEGAL)]
        if word == HOLDS and others:
            lines += _wrapped(f"stricter than {', '.join(others)}: {rule.says}", "  ")
        elif word == DIFFERS and others:
            lines += _wrapped(f"laxer, as {', '.join(others)}: {rule.says}", "  ")
    for check in data["checks"]:
        one = yours.get(check, {})
        for found in one.get("differs", []) if not one.get("unwritten") else []:
            if not any(rule.stands_for(check, found["point"]) for rule in rules):
                lines += _wrapped(f"alone: {found['came']} (expected: {found['point']})", "  ")
    if not waiting and all(one.get("whole") and not one["differs"] for one in yours.values()):
        lines.append("  holds every rule.")
    return lines


def held(data: Record) -> dict[str, int]:
    """How many of the checks each implementation holds whole, of those that are compared."""
    failed: dict[str, set[str]] = {name: set() for name in data["implementations"]}
    for one in data["points"]:
        for name, result in one["results"].items():
            if word_of(result) == DIFFERS:
                failed[name].add(one["check"])
    return {name: compared(data, name) - len(checks) for name, checks in failed.items()}


def compared(data: Record, name: str) -> int:
    """How many of the checks an implementation is compared in: what is no part of it is left out."""
    return len(set(data["checks"]) - set(data["implementations"][name].get("without", [])))


def summary(data: Record) -> str:
    """The same in one line; where checks are left out, with how many there are without them."""
    numbers = {name: compared(data, name) for name in data["implementations"]}
    return ", ".join(
        f"{name} {count}" if numbers[name] == len(data["checks"]) else f"{name} {count} (of {numbers[name]})"
        for name, count in held(data).items()
    )
