"""What leaves the grader: escaped, guarded, canonical, and a column of somebody else's file."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.pages import without_ours
from workshop import cli
from workshop.errors import EXIT_USAGE, Refusal
from workshop.grade.judging.manifest import Manifest, named_secret
from workshop.grade.judging.outcome import AGAIN, Outcome, blank
from workshop.grade.judging.outcome_cache import Store, canonical
from workshop.grade.results import results_folder, summary_csv
from workshop.grade.results.late_policy import Policy, local, score
from workshop.grade.results.lms_export import filled
from workshop.grade.results.score_distribution import distribution
from workshop.grade.results.student_result import Graded, Result, result_of
from workshop.grade.submissions.class_roster import Person, Roster
from workshop.grade.submissions.collect import Submission
from workshop.grade.untrusted_text import cell, plain
from workshop.judge.verdict import Verdict
from workshop.labs import find

EVIL = '=HYPERLINK("http://x","y")<script>alert(1)</script>\x1b[2J\u202e\ud800\0'


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest.make(find("5"), tmp_path / "manifest", 7)


def passing(manifest: Manifest, *failed: str, verdict: Verdict = Verdict.FAIL) -> Outcome:
    found = blank(manifest, verdict, EVIL, "", "")
    for check in found.checks:
        if check["name"] not in failed:
            check.update(verdict="PASS", points=check["of"], finding={})
    return found


def result(manifest: Manifest, name: str = "ada", *outcomes: Outcome, policy: Policy | None = None) -> Result:
    runs = outcomes or (passing(manifest),)
    attempts = [Graded(Submission(Person(name, name), number), one) for number, one in enumerate(runs, 1)]
    return result_of(manifest, policy or Policy(), attempts)


def test_everything_on_a_page_is_escaped(manifest: Manifest, tmp_path: Path) -> None:
    first = manifest.lab.checks[0]
    results_folder.write_all(tmp_path, [result(manifest, EVIL, passing(manifest, first))])
    pages = [*tmp_path.glob("students/*/report.html"), tmp_path / "index.html"]
    assert len(pages) == 2
    for path in pages:
        text = without_ours(path.read_text(encoding="utf-8"))
        assert "<script" not in text and "\x1b" not in text and "\u202e" not in text and "\0" not in text
    for path in tmp_path.glob("students/*/junit.xml"):
        assert len(ElementTree.parse(path).getroot()) == len(manifest.lab.checks)
    (row,) = list(csv.DictReader(io.StringIO((tmp_path / "summary.csv").read_bytes().decode())))
    assert row["id"].startswith("'=") and row["raw"] == str(
        manifest.lab.points - manifest.lab.points_of(first)
    )


def test_the_same_work_gives_the_same_pages(manifest: Manifest, tmp_path: Path) -> None:
    """Times are in the files that say when: run.json, transcript.txt and timelines.js."""
    first = manifest.lab.checks[0]
    for number, out in enumerate(("one", "other")):
        outcome = passing(manifest, first)
        outcome.run = {"seconds": number}
        outcome.transcript = f"== {first}\n  0.00{number}  #1   8000   open\n"
        results_folder.write_all(tmp_path / out, [result(manifest, "ada", outcome)])
    files = {path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()}
    differ = {path.name for path in files if not same(tmp_path / "one" / path, tmp_path / "other" / path)}
    assert differ == {"run.json", "transcript.txt", "timelines.js"}


def same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def test_scores_are_spread_over_ten_bars() -> None:
    found = distribution([(0, 30), (2.9, 30), (3, 30), (29.9, 30), (30, 30), (30, 30)])
    assert found is not None and [bar.count for bar in found.bars] == [2, 1, *[0] * 7, 3]
    assert found.mean == 16.0 and found.median == 16.4
    assert found.words == "0 to 10 %: 2, 10 to 20 %: 1, 90 to 100 %: 3"
    assert distribution([]) is None


def test_the_grid_says_how_many_passed_each_check(manifest: Manifest, tmp_path: Path) -> None:
    first, second = manifest.lab.checks[:2]
    outcomes = {
        "ada": passing(manifest),
        "bob": passing(manifest, first),
        "tim": passing(manifest, first, second),
    }
    results_folder.write_all(tmp_path, [result(manifest, name, one) for name, one in outcomes.items()])
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    counts = re.findall(r">(\d) of 3\b", text)
    assert [int(count) for count in counts] == [1, 2, *[3] * (len(manifest.lab.checks) - 2)]


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "Ada;=1+1", 'a,"=1', "a;; +1", "a|-1", "a\n=1"),
        *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", "Ada;\uff1d1"),
    ],
)
@pytest.mark.parametrize("between", [",", ";", "|", "\t"])
def test_no_cell_is_a_formula(text: str, between: str, manifest: Manifest) -> None:
    """Whatever a spreadsheet takes for the end of a cell."""
    formula = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
    assert not cell(text).startswith((*formula, "\t", "\r"))
    document = summary_csv.document([result(manifest, text)])
    for row in csv.reader(io.StringIO(document), delimiter=between):
        assert not [one for one in row if one.lstrip(" \"'").startswith(formula) and one[0] != "'"]


def test_text_from_strangers_is_shown_and_does_nothing() -> None:
    shown = plain(EVIL)
    assert shown.encode("utf-8") and "\\x1b" in shown and "\\u202e" in shown and "\\ud800" in shown
    assert len(plain("x" * 10**6)) <= 4000


def test_infra_error_is_no_number_anywhere(manifest: Manifest, tmp_path: Path) -> None:
    broken = passing(manifest, manifest.lab.checks[0], verdict=Verdict.INFRA_ERROR)
    found = result(manifest, "ada", passing(manifest), broken)
    assert found.score is None and found.data["raw"] is None and found.data["verdict"] == "INFRA_ERROR"
    results_folder.write_all(tmp_path, [found])
    (row,) = list(csv.DictReader(io.StringIO((tmp_path / "summary.csv").read_bytes().decode())))
    assert row["score"] == ""
    assert "score" not in json.loads((tmp_path / "students/ada/gradescope.json").read_text())


def test_raw_penalty_and_score_are_kept_apart(manifest: Manifest) -> None:
    due = datetime.fromisoformat("2026-11-20T18:00+00:00")
    policy = Policy(due, per_day=10, most=25)
    for submitted, days, penalty in (
        ("20T17:59", 0, 0),
        ("20T18:01", 1, 10),
        ("21T18:00", 1, 10),
        ("25T00:00", 5, 25),
    ):
        person = Person("ada", "Ada", datetime.fromisoformat(f"2026-11-{submitted}+00:00"))
        data = result_of(manifest, policy, [Graded(Submission(person, 1), passing(manifest))]).data
        assert (data["attempts"][0]["days_late"], data["penalty_percent"], data["raw"]) == (days, penalty, 30)
        assert data["score"] == pytest.approx(30 * (100 - penalty) / 100)
    assert score(1, 33) == 0.67


@pytest.mark.parametrize("words", [["--late-per-day", "-5"], ["--late-per-day", "9", "--late-most", "150"]])
def test_lateness_costs_something_and_never_more_than_there_is(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["grade", str(tmp_path), "--lab", "5", *words])
    assert "is not a percentage: give a whole number from 0 to 100" in capsys.readouterr().err


def test_the_best_or_the_last_attempt_counts(manifest: Manifest) -> None:
    good, bad = passing(manifest), passing(manifest, *manifest.lab.checks)
    assert result(manifest, "ada", good, bad).data["counted"] == 1
    assert result(manifest, "ada", good, bad, policy=Policy(attempts="last")).score == 0.0


def test_a_flaky_check_counts_by_its_better_verdict(manifest: Manifest) -> None:
    name = manifest.lab.checks[0]
    both = passing(manifest, name, verdict=Verdict.TIMEOUT).better(passing(manifest))
    assert both.points == manifest.lab.points and both.run["flaky"] == [name]


def test_a_second_try_that_fails_on_our_side_leaves_no_number(manifest: Manifest) -> None:
    name = manifest.lab.checks[0]
    for verdict in AGAIN:
        both = passing(manifest, name, verdict=verdict).better(
            passing(manifest, name, verdict=Verdict.INFRA_ERROR)
        )
        assert both.infra == [name] and both.run["flaky"] == []
        assert result(manifest, "ada", both).score is None


def test_outcomes_are_written_whole_and_read_back(manifest: Manifest, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.put("key", passing(manifest))
    found = store.get("key")
    assert found is not None and found.checks == passing(manifest).checks
    (tmp_path / "store" / "half.json").write_text('{"checks": [')
    assert store.get("half") is None and store.get("absent") is None
    assert canonical({"b": 1, "a": "é\ud800"}) == '{\n  "a": "\\u00e9\\ud800",\n  "b": 1\n}\n'


def test_two_graders_do_not_write_to_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each would leave some of its own students, policy and seed, and some of the other's."""
    out = tmp_path / "in-graded"
    (tmp_path / "in" / "ada").mkdir(parents=True)
    words = ["grade", str(tmp_path / "in"), "--lab", "5", "--seed", "3"]
    with results_folder.to_ourselves(out):
        assert cli.main(words) == EXIT_USAGE
        assert f"Another grader writes to {out}" in capsys.readouterr().err
        assert not list(out.iterdir()), "a secret was drawn, or something was graded"
    with results_folder.to_ourselves(out):
        pass


def test_a_hidden_check_says_no_more_than_category_and_hint(tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "extra.toml").write_text(
        '[[tasks]]\ntitle = "Hidden"\n[tasks.checks]\ntest_task6_secret = 5\n'
        '[hidden.test_task6_secret]\ncategory = "limits"\nhint = "read RFC 9112"\n'
        "[class]\nseed = 814_003\n"
    )
    (extra / "test_extra.py").write_text("def test_task6_secret(): ...\n")
    manifest = Manifest.make(find("5"), tmp_path / "m", 7, extra)
    assert manifest.lab.points == find("5").points + 5
    assert named_secret(find("5"), extra) == 814003 and named_secret(find("5"), None) is None
    entry = blank(manifest, Verdict.FAIL, "the secret input", "", "").checks[-1]
    assert entry["hidden"] and entry["finding"] == {"category": "limits", "hint": "read RFC 9112"}
    assert "secret input" not in json.dumps(entry)
    with pytest.raises(Refusal, match="inside"):
        Manifest.make(find("5"), tmp_path / "n", 7, find("5").folder)
    (extra / "extra.toml").write_text('[class]\nseed = "x"\n')
    with pytest.raises(Refusal, match="not a whole number"):
        named_secret(find("5"), extra)


def test_no_file_of_a_student_s_names_a_hidden_check(tmp_path: Path) -> None:
    """Neither one that failed nor one that passed, not even where it was flaky or left a traceback."""
    extra = tmp_path / "extra"
    extra.mkdir()
    names = [f"test_task6_secret_{word}" for word in ("one", "two")]
    (extra / "extra.toml").write_text(
        '[[tasks]]\ntitle = "Hidden"\n[tasks.checks]\n'
        + "".join(f"{name} = 5\n" for name in names)
        + f'[hidden.{names[0]}]\ncategory = "limits"\nhint = "read it"\n'
        + f'[hidden.{names[1]}]\ncategory = "passed-category"\n'
    )
    (extra / "test_extra.py").write_text("".join(f"def {name}(): ...\n" for name in names))
    manifest = Manifest.make(find("5"), tmp_path / "m", 7, extra)
    outcome = blank(manifest, Verdict.FAIL, "x", "", "").better(passing(manifest, names[0]))
    outcome.run["judge_process"] = {"code": 70, "log": f"Traceback in {names[0]}"}
    outcome.transcript = f"== {names[0]}\n  > GET /\n== {manifest.lab.checks[0]}\n  > GET /\n"
    results_folder.write_all(tmp_path / "out", [result(manifest, "ada", outcome)])
    for path in (tmp_path / "out" / "students" / "ada").iterdir():
        text = path.read_text(encoding="utf-8")
        assert "secret" not in text and "passed-category" not in text, path
    data = json.loads((tmp_path / "out/students/ada/results.json").read_text())
    assert [(check["name"], check["title"]) for check in data["checks"][-2:]] == [
        ("hidden_1", "hidden 1: limits"),
        ("hidden_2", "hidden 2"),
    ]
    assert names[0] in (tmp_path / "out" / results_folder.LOGS / "ada.txt").read_text()


def test_each_work_has_a_seed_of_its_own(tmp_path: Path) -> None:
    first, other = (Manifest.make(find("5"), tmp_path / name, 7 + n) for n, name in enumerate("ab"))
    ada = Person("ada", "Ada")
    one, two = (Submission(ada, number, {"server.py": b"%d" % number}) for number in (1, 2))
    seeds = {manifest.seed_of(work.digest) for manifest in (first, other) for work in (one, two)}
    assert len(seeds) == 4 and first.seed_of(one.digest) == first.seed_of(one.digest)
    data = result_of(first, Policy(), [Graded(one, passing(first)), Graded(two, passing(first))]).data
    assert [row["seed"] for row in data["attempts"]] == [first.seed_of(one.digest), first.seed_of(two.digest)]
    assert data["seed"] == data["attempts"][data["counted"] - 1]["seed"]
    assert first.class_mark != other.class_mark


CANVAS = (
    b"\xef\xbb\xbfStudent,ID,SIS User ID,Section,Lab 5 (991),Lab 6 (992)\r\n"
    b"    Points Possible,,,,30,30\r\n"
    b'"Lovelace, Ada",4711,al1,"A ""best""\r\nsection",,12\r\n'
    b'Hopper,4712,gh2,=A1,"3",\r\n'
    b"Nobody,1,nn,B,7,\xff\r\n"
)


def test_one_column_of_canvas_is_filled_and_nothing_else(manifest: Manifest) -> None:
    results = [result(manifest, "al1"), result(manifest, "gh2", passing(manifest, *manifest.lab.checks))]
    done, count = filled(CANVAS, results, Roster(), "Lab 5")
    assert count == 2
    expected = CANVAS.replace(b'section",,12', b'section",30,12').replace(b'=A1,"3",', b'=A1,"0",')
    assert done == expected


def test_one_column_of_moodle_is_filled(manifest: Manifest, tmp_path: Path) -> None:
    people = tmp_path / "roster.csv"
    people.write_text("id,name,moodle\nada,Ada Lovelace,4711\n")
    data = b"Identifier;Full name;Grade;Last modified\nParticipant 4711;Ada Lovelace;;-\nParticipant 1;X;;-"
    done, count = filled(data, [result(manifest, "ada")], Roster.read(people), "grade")
    assert count == 1 and done == data.replace(b"Lovelace;;", b"Lovelace;30;")


MOODLE_HEADS = {
    "German": "ID,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Bestwertung",
    "French": "Identifiant,Nom complet,Adresse de courriel,Statut,Note,Note maximale",
    "Spanish": "Identificador,Nombre completo,Dirección de correo,Estado,Calificación,Calificación máxima",
}
PARTICIPANTS = {"German": "Teilnehmer/in88", "French": "Participant 88", "Spanish": "Participante 88"}


@pytest.mark.parametrize("language", MOODLE_HEADS)
def test_moodle_s_worksheet_in_other_languages(language: str, manifest: Manifest) -> None:
    head, who = MOODLE_HEADS[language], PARTICIPANTS[language]
    data = f"{head}\n{who},Ada Lovelace,ada@x,,,30\n".encode()
    done, count = filled(data, [result(manifest, "88")], Roster(), head.split(",")[4])
    assert count == 1 and done.decode().endswith(f"{who},Ada Lovelace,ada@x,,30,30\n")


def test_an_export_in_which_nobody_is_known_is_refused(manifest: Manifest) -> None:
    data = b"Tunniste,Koko nimi,Arvosana\nOsallistuja 88,Ada,\n"
    with pytest.raises(Refusal, match=r"No row of the export is about anybody.*Tunniste, Koko nimi"):
        filled(data, [result(manifest, "88")], Roster(), "Arvosana")


def called(manifest: Manifest, id: str, name: str) -> Result:
    return result_of(manifest, Policy(), [Graded(Submission(Person(id, name), 1), passing(manifest))])


ROWS = {
    b'Student,ID,Lab\r\n"Hopper, Grace",4711,\r\n': "is 'Hopper, Grace''s, and has in it what names 4711",
    b'Student,ID,Lab\r\n"Lovelace, Ada",9,\r\n"Lovelace, Ada",4711,\r\n': "Two rows of the export fit 4711",
    b'Student,ID,Lab\r\n"Lovelace, Ada",5,\r\n': "fits 4711 and 5",
}


@pytest.mark.parametrize("data", ROWS)
def test_a_row_that_does_not_agree_is_refused(data: bytes, manifest: Manifest) -> None:
    class_ = [called(manifest, "4711", "Ada Lovelace"), called(manifest, "5", "Bob")]
    with pytest.raises(Refusal, match=re.escape(ROWS[data])):
        filled(data, class_, Roster(), "Lab")
    row = b'Student,ID,Lab\r\n"Lovelace, Ada K.",4711,\r\n'
    assert filled(row, class_, Roster(), "Lab") == (row.replace(b"4711,", b"4711,30"), 1)


def test_days_late_are_days_of_the_wall_clock(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Berlin the night to 25 October 2026 has an hour more, the night to 29 March one less."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for due, submitted, days in (
            ("2026-10-24T18:00", "2026-10-25T18:00", 1),
            ("2026-10-24T18:00", "2026-10-25T18:01", 2),
            ("2026-03-28T18:00", "2026-03-29T18:00", 1),
            ("2026-03-28T18:00", "2026-03-29T18:01", 2),
            ("2026-10-25T02:30+02:00", "2026-10-25T02:10+01:00", 1),
        ):
            when = local(datetime.fromisoformat(submitted))
            one = Submission(Person("ada", "Ada", when), 1)
            assert Policy(local(datetime.fromisoformat(due))).days_late(one) == days
    finally:
        monkeypatch.undo()
        time.tzset()
    with pytest.raises(Refusal, match="not a time"):
        local(datetime.fromisoformat("9999-12-31T23:59-10:00"))


def test_a_column_that_can_mean_two_is_refused(manifest: Manifest) -> None:
    with pytest.raises(Refusal, match="names 2 columns"):
        filled(CANVAS, [], Roster(), "Lab")


def test_falls_come_first_in_a_diff() -> None:
    before: dict[str, Any] = {"a": 10.0, "b": 20.0, "c": 30.0, "d": 5.0}
    lines = results_folder.diff(before, {"a": 12.0, "b": 20.0, "c": 0.0, "e": None})
    assert [line.split()[0] for line in lines] == ["4", "fell", "fell", "rose", "rose"] or lines[
        1
    ].startswith("  fell")
    assert " c" in lines[1] and not any(line.endswith(" b") for line in lines)


def test_summary_has_a_row_a_student(manifest: Manifest) -> None:
    rows = list(
        csv.reader(io.StringIO(summary_csv.document([result(manifest, "ada"), result(manifest, "bob")])))
    )
    assert [row[0] for row in rows] == ["id", "ada", "bob"]
