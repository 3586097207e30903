"""The rules of a comparison, which a person wrote: `[[rule]]` in `labs/NN-slug/compare/compare.toml`.

    [[rule]]
    check = "test_task1_fields_and_variables_have_their_names"
    points = ["HTTP_X_TAG = "]          # text of each point of the check that this rule stands for
    says = "Two lines of one name are joined with a comma"
    sent = '''GET / HTTP/1.1 …'''       # optional: the smallest request that shows it
    [rule.differs]
    cheroot = "keeps the last line alone"
    [rule.legal]
    "granian, waitress" = "a comma and a space: the specification leaves that open"

`nobody` says why a rule stands that no real one holds. With `in_words_alone = true` no bytes are recorded:
it is of requests that are malformed on purpose. With `varies = true` two runs may differ: it is of a race.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workshop.compare.implementations import read_toml
from workshop.compare.recorded import DIFFERS, HOLDS, NOT_REACHED, Record, word_of
from workshop.labs import Lab

LEGAL, ABSENT = "legal", "absent"


@dataclass(frozen=True)
class Rule:
    """`differs` and `legal` have a sentence for each implementation that is not as the rule says."""

    check: str
    says: str
    points: list[str]
    sent: str = ""
    differs: dict[str, str] = field(default_factory=dict)
    legal: dict[str, str] = field(default_factory=dict)
    nobody: str = ""
    in_words_alone: bool = False
    varies: bool = False

    def stands_for(self, check: str, point: str) -> bool:
        return check == self.check and any(text in point for text in self.points)

    def sentence(self, name: str) -> str:
        return self.differs.get(name) or self.legal.get(name, "")

    def points_in(self, data: Record) -> list[dict[str, Any]]:
        """Of what is recorded, what this rule stands for, in the order of its texts: the first is shown."""
        found = [one for one in data["points"] if self.stands_for(one["check"], one["point"])]
        return sorted(found, key=lambda one: [text in one["point"] for text in self.points].index(True))

    def cell(self, name: str, results: list[Any]) -> str:
        """One implementation's word, of its results at the rule's points.

        A point may stand in several rules: it differs in those that have a sentence for the implementation.
        """
        words = [word_of(result) for result in results]
        if not words:
            return ABSENT
        if DIFFERS in words and self.sentence(name):
            return LEGAL if name in self.legal else DIFFERS
        return HOLDS if HOLDS in words else NOT_REACHED

    def own_cell(self, results: list[Any]) -> str:
        """The learner's word: there is no sentence for it."""
        words = [word_of(result) for result in results]
        if DIFFERS in words:
            return DIFFERS
        return HOLDS if HOLDS in words else NOT_REACHED


def rules_of(lab: Lab) -> list[Rule]:
    return [
        Rule(
            check=one["check"],
            says=one["says"],
            points=one["points"],
            sent=one.get("sent", ""),
            differs=each_alone(one.get("differs", {})),
            legal=each_alone(one.get("legal", {})),
            nobody=one.get("nobody", ""),
            in_words_alone=one.get("in_words_alone", False),
            varies=one.get("varies", False),
        )
        for one in read_toml(lab).get("rule", [])
    ]


def each_alone(sentences: dict[str, str]) -> dict[str, str]:
    """`"granian, waitress" = …` is a sentence for each of the two."""
    return {name.strip(): text for names, text in sentences.items() for name in names.split(",")}


def cells(rule: Rule, data: Record) -> dict[str, str]:
    """Every implementation's word for a rule."""
    points = rule.points_in(data)
    return {
        name: rule.cell(name, [one["results"][name] for one in points if name in one["results"]])
        for name in data["implementations"]
    }


def is_of_a_race(rules: list[Rule], check: str, point: str) -> bool:
    """Whether two runs may differ at a point."""
    return any(rule.varies and rule.stands_for(check, point) for rule in rules)


def without_rule(rules: list[Rule], data: Record) -> list[tuple[str, dict[str, Any]]]:
    """Each recorded difference that no rule has a sentence for: the implementation and the point."""
    return [
        (name, one)
        for one in data["points"]
        for name, result in one["results"].items()
        if word_of(result) == DIFFERS
        and not any(rule.stands_for(one["check"], one["point"]) and rule.sentence(name) for rule in rules)
    ]


def without_difference(rules: list[Rule], data: Record) -> list[tuple[str, Rule]]:
    """Each sentence that speaks of a difference which is not recorded."""
    return [
        (name, rule)
        for rule in rules
        for name in (*rule.differs, *rule.legal)
        if cells(rule, data).get(name) not in (DIFFERS, LEGAL)
    ]


def without_bytes(rules: list[Rule], data: Record) -> Record:
    """The data, with no bytes where a rule stands in words alone."""
    for rule in rules:
        for one in rule.points_in(data) if rule.in_words_alone else []:
            for name, result in one["results"].items():
                if word_of(result) == DIFFERS:
                    one["results"][name] = {"sent": "", "came": ""}
    return data
