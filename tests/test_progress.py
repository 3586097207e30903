"""`make progress` and the last lab: which layers are a learner's own, by verdicts and what the files hold."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from rich.text import Text

from workshop import last_verdicts
from workshop.labs import Lab, all_labs, find
from workshop.learn import progress
from workshop.paths import SOLUTIONS
from workshop.run import layers_in_use


@pytest.fixture(name="results")
def results_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(last_verdicts, "RESULTS", tmp_path)
    return tmp_path


def judged(results: Path, lab: Lab, verdict: str, files: dict[str, str]) -> None:
    said = {
        "verdict": verdict,
        "points": lab.points if verdict == "PASS" else 3,
        "checks": [],
        "files": files,
    }
    (results / f"{lab.name}.json").write_text(json.dumps(said), encoding="utf-8")


def test_layer_is_yours_where_its_whole_check_passed_on_these_files(results: Path) -> None:
    server = find("11")
    assert last_verdicts.standing_of(server) == "not begun"
    judged(results, server, "FAIL", last_verdicts.digests(server))
    assert last_verdicts.standing_of(server) == f"3 of {server.points} points"
    judged(results, server, "PASS", {"server.py": "another text"})
    assert last_verdicts.standing_of(server) == "changed since it passed"
    judged(results, server, "PASS", last_verdicts.digests(server))
    assert last_verdicts.standing_of(server) == last_verdicts.PASSED


def test_what_was_saved_while_the_checks_ran_has_not_passed(results: Path) -> None:
    server = find("11")
    said = {
        "name": server.name,
        "target": "starter",
        "verdict": "PASS",
        "points": server.points,
        "checks": [],
    }
    last_verdicts.remember(said, {"server.py": "the text of when it began"})
    assert last_verdicts.standing_of(server) == "changed since it passed"
    last_verdicts.remember(said, last_verdicts.digests(server))
    assert last_verdicts.standing_of(server) == last_verdicts.PASSED


def test_only_a_learner_s_own_capstone_runs_on_a_learner_s_own_layers(results: Path) -> None:
    server, capstone = find("11"), find("19")
    judged(results, server, "PASS", last_verdicts.digests(server))
    own = {one.lab: one for one in layers_in_use.layers(capstone, capstone.folder)}
    assert own[server.name].is_yours and own[server.name].yours == str(server.folder)
    assert not own["15-uvicorn-main"].is_yours
    reference = layers_in_use.layers(capstone, SOLUTIONS / capstone.name)
    assert not any(one.is_yours for one in reference)
    table = layers_in_use.table(capstone, capstone.folder)
    assert table[0].split() == ["11-asgi-server", "yours"]
    assert "the reference (not begun)" in table[1]


def test_picture_shows_the_layers_that_are_theirs(results: Path) -> None:
    for number in ("5", "11", "9"):
        lab = find(number)
        judged(results, lab, "PASS", last_verdicts.digests(lab))
    shown = [Text.from_markup(line).plain for line in progress.picture()]
    said = {line.split("│")[1].strip(): line.split("│")[2].split() for line in shown if line.count("│") == 2}
    assert "yours" in " ".join(key for key in said if key.startswith("server"))
    assert "in part" in " ".join(key for key in said if key.startswith("processes"))
    assert "reference" in " ".join(key for key in said if key.startswith("application"))
    assert said[next(key for key in said if key.startswith("server"))] == ["5", "11"]
    assert len({len(line.split("│")[1]) for line in shown if line.count("│") == 2}) == 1


def test_every_layer_of_the_picture_has_a_lab_and_no_lab_another_one() -> None:
    assert {lab.layer for lab in all_labs()} - {""} == set(progress.STACK)


def test_of_two_verdicts_at_once_the_better_one_counts(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch and a check by hand: the second one ends while the first one writes what it found."""
    best_of = last_verdicts.best_points
    said = {"name": find("5").name, "target": "starter", "verdict": "FAIL", "checks": []}
    second = threading.Thread(target=lambda: last_verdicts.remember({**said, "points": 6}, {}))

    def best_points(lab: Lab) -> int:
        known = best_of(lab)
        if not second.ident:
            second.start()
            second.join(0.5)  # long enough for who does not wait
        return known

    monkeypatch.setattr(last_verdicts, "best_points", best_points)
    last_verdicts.remember({**said, "points": 3}, {})
    second.join()
    assert best_of(find("5")) == 6
