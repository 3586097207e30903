"""A lab's checks beside real servers, as the page shows them: what was recorded, each difference in words."""

from __future__ import annotations

from dataclasses import dataclass

from workshop.compare import recorded
from workshop.compare.comparison_table import SIGNS, by_sentence, held, word_of_check
from workshop.compare.recorded import DIFFERS, HOLDS, NOT_REACHED, Record
from workshop.compare.rules import ABSENT, LEGAL, Rule, cells, rules_of
from workshop.labs import Lab

# A check has the first of these words that one of its rules has.
ORDER = (DIFFERS, LEGAL, NOT_REACHED, HOLDS)
WORDS = {LEGAL: "legal, but different", ABSENT: "not compared"}


@dataclass(frozen=True)
class Cell:
    """What one server does in one check: a sign, the word that it stands for, and the sentences."""

    kind: str
    sign: str
    word: str
    says: str


@dataclass(frozen=True)
class Difference:
    """A rule that some servers do not keep: who, whether that is legal, and how they differ."""

    says: str
    clause: str
    sentences: list[tuple[str, str, str]]  # names, "" or "legal", the sentence
    nobody: str


@dataclass(frozen=True)
class Row:
    """One check: a cell for each server, in the order of the table's head."""

    check: str
    title: str
    cells: list[Cell]
    differences: list[Difference]


@dataclass(frozen=True)
class Comparison:
    """The whole table. `held` is how many of the checks each server holds whole."""

    servers: dict[str, str]  # with their versions
    rows: list[Row]
    held: dict[str, int]


def comparison(lab: Lab) -> Comparison | None:
    """The comparison of a lab; None for one that is compared with nothing."""
    data = recorded.load(lab)
    if data is None:
        return None
    rules = rules_of(lab)
    servers = {name: f"{one['package']} {one['version']}" for name, one in data["implementations"].items()}
    rows = [
        _row(data, check, title, [one for one in rules if one.check == check])
        for check, title in data["checks"].items()
    ]
    return Comparison(servers, rows, held(data))


def _row(data: Record, check: str, title: str, rules: list[Rule]) -> Row:
    words = [cells(rule, data) for rule in rules]
    found = [
        _cell(name, word_of_check(one, check), [word[name] for word in words], rules)
        for name, one in data["implementations"].items()
    ]
    return Row(check, title, found, [_difference(rule, data) for rule in rules])


def _cell(name: str, whole: str, words: list[str], rules: list[Rule]) -> Cell:
    word = next((one for one in ORDER if one in words), whole)
    says = " · ".join(rule.sentence(name) for rule in rules if rule.sentence(name))
    return Cell(word.replace(" ", "-"), SIGNS[word].strip(), WORDS.get(word, word), says)


def _difference(rule: Rule, data: Record) -> Difference:
    clause = next((one["clause"] for one in rule.points_in(data)), "")
    sentences = [
        (", ".join(names), kind, text)
        for kind, found in (("", rule.differs), ("legal", rule.legal))
        for text, names in by_sentence(found).items()
    ]
    return Difference(rule.says, clause, sentences, rule.nobody)
