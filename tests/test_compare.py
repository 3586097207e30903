"""The comparison with real implementations: each difference has a sentence, pages are what the data say."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import judging, proof_parts
from workshop.compare import compare_command, compare_venv, compared_page, recorded
from workshop.compare.comparison_table import table
from workshop.compare.implementations import Implementation, compared_labs, implementations
from workshop.compare.judged_points import judged, without_what_varies
from workshop.compare.rules import LEGAL, Rule, cells, rules_of, without_difference, without_rule
from workshop.errors import Refusal
from workshop.labs import Lab, find
from workshop.paths import LABS, ROOT, SOLUTIONS

each_lab = pytest.mark.parametrize("lab", compared_labs(), ids=lambda lab: lab.name)


def data_of(lab: Lab) -> recorded.Record:
    data = recorded.load(lab)
    assert data is not None, f"make compare-{lab.number} ARGS=--record"
    return data


@each_lab
def test_every_implementation_is_recorded(lab: Lab) -> None:
    data, named = data_of(lab), implementations(lab)
    assert list(data["implementations"]) == [one.name for one in named]
    assert {one.name: one.package for one in named} == {
        name: one["package"] for name, one in data["implementations"].items()
    }
    for one in named:
        assert one.without <= set(lab.checks), f"{one.name} leaves out a check that lab {lab.number} lacks"
    assert set(data["checks"]) <= set(lab.checks)


@each_lab
def test_what_is_recorded_is_what_today_s_checks_ask(lab: Lab) -> None:
    changed = data_of(lab).get("asked_by") != recorded.asked_by(lab)
    assert not changed, f"the checks have changed since: make compare-{lab.number} ARGS=--record"


@each_lab
def test_every_difference_has_a_sentence(lab: Lab) -> None:
    rules, data = rules_of(lab), data_of(lab)
    missing = [f"{name}: {one['check']}: {one['point']}" for name, one in without_rule(rules, data)]
    assert not missing, "no sentence in compare.toml:\n" + "\n".join(missing)
    stale = [f"{name}: {rule.says}" for name, rule in without_difference(rules, data)]
    assert not stale, "compare.toml speaks of what is not recorded:\n" + "\n".join(stale)


@each_lab
def test_rules_are_of_the_lab_and_legal_ones_say_why(lab: Lab) -> None:
    data = data_of(lab)
    for rule in rules_of(lab):
        assert rule.check in data["checks"], rule.says
        assert rule.points_in(data), f"nothing is recorded of {rule.says!r}"
        assert not set(rule.differs) & set(rule.legal), rule.says
        for name, text in rule.legal.items():
            assert ": " in text, f"{name}: a legal difference says why it is legal, after a colon: {text}"


@each_lab
def test_a_rule_that_no_real_one_holds_says_why_it_is_one(lab: Lab) -> None:
    data = data_of(lab)
    for rule in rules_of(lab):
        alone = recorded.HOLDS not in cells(rule, data).values()
        assert alone == bool(rule.nobody), f"{rule.says}: {cells(rule, data)}"


@each_lab
def test_the_page_is_what_the_data_say(lab: Lab) -> None:
    shown = compared_page.path_of(lab).read_text(encoding="utf-8")
    assert shown == compared_page.page(lab, data_of(lab)), f"make compare-{lab.number} ARGS=--page"


def test_pages_name_what_malformed_requests_do_in_words_alone() -> None:
    """Of what is malformed on purpose, a page has no bytes to copy."""
    for lab in compared_labs():
        for rule in rules_of(lab):
            for one in rule.points_in(data_of(lab)) if rule.in_words_alone else []:
                results = [result for result in one["results"].values() if isinstance(result, dict)]
                assert all(result == {"sent": "", "came": ""} for result in results), rule.says


# --- how it works -----------------------------------------------------------------------------------


def test_a_check_goes_on_after_a_point_that_does_not_hold(tmp_path: Path) -> None:
    lab = find("5")
    mistake = next(one for one in judging.mistakes(lab) if one.name == "the path is not decoded")
    target = judging.with_mistake(lab, mistake, tmp_path)
    (check,) = judged(lab, target, Path(sys.executable), mistake.check).values()
    wrong = [one["point"].split(" ")[0] for one in check["differs"]]
    assert wrong == ["PATH_INFO", "PATH_INFO"]
    assert "GET /caf%C3%A9/" in check["differs"][0]["sent"]
    assert any(point.startswith("QUERY_STRING = ") for point in check["held"])
    assert check["whole"] and not check["unwritten"]


SILENT = """
def asgi_from_wsgi(app, threads=8):
    async def adapted(scope, receive, send):
        pass

    return adapted
"""


def test_a_check_goes_on_after_a_function_that_raises_over_an_answer(tmp_path: Path) -> None:
    """A message that did not come can't be looked at: the functions after that one are asked all the same."""
    (tmp_path / "middleware.py").write_text(SILENT, encoding="utf-8")
    check, *_ = judged(find("17"), tmp_path, Path(sys.executable), "wsgi_application_runs").values()
    points = [one["point"] for one in check["differs"]]
    assert points[0] == "sent one http.response.start, then http.response.body"
    assert any("the exception of exc_info" in point for point in points)


def test_a_starter_is_said_to_be_unwritten() -> None:
    lab = find("5")
    (check,) = judged(lab, lab.folder / ".starter", Path(sys.executable), "path_is_decoded").values()
    assert check["unwritten"]


def test_a_run_of_ones_own_column_leaves_no_verdict_behind() -> None:
    lab = find("5")
    kept = ROOT / ".workshop" / "results" / f"{lab.name}.json"
    before = kept.read_bytes() if kept.exists() else None
    judged(lab, SOLUTIONS / lab.name, Path(sys.executable), "path_is_decoded")
    assert (kept.read_bytes() if kept.exists() else None) == before


def made(**results: Any) -> recorded.Record:
    return {
        "lab": "05-wsgi-server",
        "implementations": {name: {"package": name, "version": "1"} for name in results},
        "checks": {"test_a": "A"},
        "points": [{"check": "test_a", "clause": "RFC", "point": "one = 1", "results": results}],
    }


WRONG = {"sent": "GET", "came": "one = 2"}


def test_changes_are_said() -> None:
    before, now = made(ada=WRONG, tim="holds"), made(ada="holds", tim=WRONG, karen=WRONG)
    now["implementations"]["ada"]["version"] = "2"
    assert recorded.changes(before, now) == [
        "ada: 1 is now 2",
        "karen 1 is new",
        "ada: differs, now holds: test_a: one = 1",
        "tim: holds, now differs: test_a: one = 1",
    ]
    assert recorded.changes(now, now) == []


def test_cells_tell_legal_from_wrong_and_not_reached() -> None:
    rule = Rule("test_a", "one is 1", ["one ="], differs={"ada": "is 2"}, legal={"tim": "is 2: it may be"})
    found = cells(rule, made(ada=WRONG, tim=WRONG, karen="holds", grace="not reached"))
    assert found == {"ada": "differs", "tim": LEGAL, "karen": "holds", "grace": "not reached"}


@pytest.mark.parametrize(
    ("yours", "said"),
    [
        ({"differs": [], "held": ["one = 1"], "whole": True}, "stricter than ada: one is 1"),
        ({"differs": [{"point": "one = 1", **WRONG}], "held": [], "whole": True}, "laxer, as ada: one is 1"),
        ({"differs": [{"point": "two = 2", "came": "two = 3"}], "held": [], "whole": True}, "alone: two = 3"),
        ({"differs": [], "held": [], "whole": False, "unwritten": True}, "not written yet: 1 of 1 checks"),
    ],
)
def test_the_learners_column_says_where_it_stands(
    monkeypatch: pytest.MonkeyPatch, yours: dict[str, Any], said: str
) -> None:
    rule = Rule("test_a", "one is 1", ["one ="], differs={"ada": "is 2"})
    monkeypatch.setattr("workshop.compare.comparison_table.rules_of", lambda lab: [rule])
    lines = table(find("5"), made(ada=WRONG, tim="holds"), {"test_a": yours})
    assert any(said in line for line in lines[lines.index("Yours:") :]), lines


def test_what_varies_from_run_to_run_is_not_recorded() -> None:
    text = "Date: Sun, 29 Nov 2026 02:34:25 GMT at 127.0.0.1:45932, process 4711"
    assert without_what_varies(text) == "Date: DATE at 127.0.0.1:PORT, process N"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["99"], "There is no lab '99'"),
        (["1"], "Lab 1 is compared with nothing"),
        (["5", "--only", "apache"], "Lab 5 has no implementation 'apache'. It has: gunicorn sync"),
    ],
)
def test_bad_input_gets_one_line(words: list[str], said: str) -> None:
    done = judging.run("compare", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(said), done.stderr
    assert done.stderr.count("\n") == 1 and not done.stdout


def test_without_a_network_one_line_says_what_works_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare_venv, "VENV", tmp_path / "compare-venv")
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    for name in ("UV_FIND_LINKS", "PIP_FIND_LINKS", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(Refusal, match=r"can't be installed .*; ARGS=--recorded shows") as refused:
        compare_venv.python()
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "compare-venv" / "ready").exists()


# --- the rows themselves, in the whole proof --------------------------------------------------------


def drawn_rows() -> list[tuple[Lab, Implementation, str]]:
    """A tenth of all rows: implementation and check."""
    rows = [
        (lab, one, check)
        for lab in compared_labs()
        for one in implementations(lab)
        for check in lab.checks
        if check not in one.without
    ]
    return random.Random(f"{proof_parts.seed()}:rows").sample(rows, max(1, len(rows) // 10))


def row_name(row: Any) -> str:
    return row.name if isinstance(row, Lab | Implementation) else str(row)


@pytest.fixture(scope="module")
def installed() -> dict[str, str]:
    try:
        return compare_venv.versions()
    except Refusal as refusal:
        pytest.skip(str(refusal))


@pytest.mark.whole("rows of the comparison")
@pytest.mark.parametrize(("lab", "one", "check"), drawn_rows(), ids=row_name)
def test_a_drawn_row_is_as_recorded(
    installed: dict[str, str], lab: Lab, one: Implementation, check: str
) -> None:
    if one.package.lower() not in installed:
        pytest.skip(f"{one.package} can't be built on this machine")
    data = data_of(lab)
    if installed[one.package.lower()] != data["implementations"][one.name]["version"]:
        pytest.skip(f"recorded with {data['implementations'][one.name]}")
    points = compare_command.points_of(lab, one, check)[check]
    was = {
        point["point"]
        for point in data["points"]
        if point["check"] == check and recorded.word_of(point["results"].get(one.name)) == recorded.DIFFERS
    }
    found = {point["point"] for point in points["differs"]}
    always = {
        point for point in was if not any(r.stands_for(check, point) and r.varies for r in rules_of(lab))
    }
    new = {
        point
        for point in found - was
        if not any(r.stands_for(check, point) and r.varies for r in rules_of(lab))
    }
    assert (always - found, new) == (set(), set())


def test_a_labs_folder_is_not_touched_by_its_comparison() -> None:
    assert not list(LABS.glob("*/compare/test_*.py"))


def test_a_race_that_was_lost_once_stays_lost_until_another_version() -> None:
    """What varies is recorded as it was seen at its worst."""
    (lab, *_) = compared_labs()
    check = lab.checks[0]

    def data(version: str, *lost: str) -> recorded.Record:
        results = {name: {"sent": "", "came": "a reset"} for name in lost} | {"b": "holds"}
        points = [{"check": check, "clause": "", "point": "in time", "results": results}] if lost else []
        return {"implementations": {name: {"version": version} for name in "ab"}, "points": points}

    def kept(version: str, *, varies: bool) -> list[Any]:
        now = recorded.with_lost_races(lab, data(version), data("1", "a"), lambda *point: varies)
        return [recorded.word_of(one["results"]["a"]) for one in now["points"]]

    assert kept("1", varies=True) == [recorded.DIFFERS]
    assert kept("1", varies=False) == kept("2", varies=True) == []
