"""The pages of a graded class in a real browser, from files: the grid, a student, and hostile words."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, Tab, browser
from tests.grade.test_results import EVIL, passing, result
from tests.pages import needs_browser
from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.outcome import blank
from workshop.grade.results import results_folder
from workshop.judge.verdict import Verdict
from workshop.labs import find

SECRETS = [f"test_task6_secret_{number}" for number in range(25)]
TAKEN = "</script><script>document.title='taken'</script>"

pytestmark = [needs_browser, pytest.mark.whole("pages in a browser")]


@pytest.fixture(name="chromium", scope="module")
def chromium_fixture() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(name="out", scope="module")
def out_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class: Ada has all points, Bob lacks two checks, Tim's result is flaky, and Eve attacks the pages."""
    folder = tmp_path_factory.mktemp("class")
    extra = folder / "extra"
    extra.mkdir()
    hidden = "".join(f'[hidden.{name}]\ncategory = "limits"\nhint = "read it"\n' for name in SECRETS)
    tasks = '[[tasks]]\ntitle = "Hidden"\n[tasks.checks]\n' + "".join(f"{name} = 1\n" for name in SECRETS)
    (extra / "extra.toml").write_text(tasks + hidden)
    (extra / "test_extra.py").write_text("".join(f"def {name}(): ...\n" for name in SECRETS))
    manifest = Manifest.make(find("5"), folder / "m", 7, extra)
    first, second, *_ = manifest.lab.checks
    eve = blank(manifest, Verdict.FAIL, f"{EVIL} {TAKEN} {'x' * 3000}", "e" * 2000, TAKEN)
    bob = passing(manifest, first, second)
    for outcome in (eve, bob):
        outcome.transcript = "".join(
            f"== {name}\n  0.001  #1   8000   > GET /{name if name in SECRETS else TAKEN}{'a' * 500}\n"
            for name in manifest.lab.checks
        )
    tim = passing(manifest, second, verdict=Verdict.TIMEOUT).better(passing(manifest))
    works = {"Ada": passing(manifest), "Bob": bob, "Tim": tim, f"Eve {EVIL}{'x' * 300}": eve}
    results_folder.write_all(folder / "out", [result(manifest, name, one) for name, one in works.items()])
    return folder / "out"


def shown(chromium: Browser, path: Path, width: int = 1440, place: str = "") -> Tab:
    tab = chromium.tab()
    tab.look(width)
    tab.open(path.as_uri() + place)
    tab.await_true("location.protocol === 'file:' && document.readyState === 'complete'")
    return tab


def visible(tab: Tab) -> list[str]:
    """The students that the grid shows, by the first three letters of their names."""
    script = "[...document.querySelectorAll('.grid tbody tr:not([hidden]) a.who')]"
    names: list[str] = tab.value(f"{script}.map(one => one.textContent.slice(0, 3))")
    return names


def choose(tab: Tab, words: str, kind: str) -> None:
    tab.value(f"search.value = {words!r}; filter.value = {kind!r}; filter.dispatchEvent(new Event('input'))")


def test_the_grid_is_searched_and_filtered(chromium: Browser, out: Path) -> None:
    tab = shown(chromium, out / "index.html")
    assert visible(tab) == ["Ada", "Bob", "Tim", "Eve"]
    for words, kind, names in (
        ("BO", "", ["Bob"]),
        ("", "all", ["Ada", "Tim"]),
        ("", "some", ["Bob", "Eve"]),
        ("", "none", []),
        ("", "flaky", ["Tim"]),
        ("", "1", ["Bob", "Eve"]),
        ("", "3", ["Eve"]),
        ("bo", "some", ["Bob"]),
    ):
        choose(tab, words, kind)
        assert visible(tab) == names, (words, kind)
    assert tab.value("document.getElementById('status').textContent") == "1 of 4 students"
    assert tab.value("document.querySelectorAll('.spread rect').length") == 10
    assert not tab.problems


@pytest.mark.parametrize("width", [360, 1440])
def test_a_wide_class_scrolls_in_itself_and_its_heads_stay(chromium: Browser, out: Path, width: int) -> None:
    tab = shown(chromium, out / "index.html", width)
    tab.value("window.place = document.querySelector('.scroll'); place.focus()")
    assert tab.value("document.activeElement === place"), "the keyboard can't scroll it"
    left = "document.querySelector('.grid tbody th').getBoundingClientRect().left"
    before = tab.value(left)
    tab.value("place.scrollTo(300, 0)")
    assert tab.value("place.scrollLeft") == 300 and tab.value(left) == before
    head = "getComputedStyle(document.querySelectorAll('.grid thead th')[5])"
    assert tab.value(f"{head}.position") == "sticky"
    assert tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert not tab.problems


def test_a_failure_leads_to_its_report_and_its_timeline(chromium: Browser, out: Path) -> None:
    tab = shown(chromium, out / "index.html")
    tab.value("document.querySelector('.grid tbody tr:nth-child(2) td.FAIL a').click()")
    tab.await_true("location.pathname.endsWith('/report.html') && document.readyState === 'complete'")
    assert tab.value("document.querySelector('.check:target details').open")
    timeline = "document.querySelector('.check:target [data-timeline]')"
    assert not tab.value(f"{timeline}.hidden")
    tab.value(f"{timeline}.open = true")
    tab.await_true("document.querySelectorAll('.lanes').length === 1")
    tab.value("document.querySelector('.lanes button').focus()")
    assert "GET /" in tab.value("document.querySelector('.bytes').textContent")
    assert not tab.problems


@pytest.mark.parametrize("width", [360, 1440])
def test_what_a_student_hands_in_is_text_and_fits(chromium: Browser, out: Path, width: int) -> None:
    (path,) = [path for path in out.glob("students/*/report.html") if "eve" in path.parent.name.lower()]
    tab = shown(chromium, path, width)
    tab.value("document.querySelectorAll('[data-timeline]').forEach(one => one.open = true)")
    tab.await_true("document.querySelectorAll('.lanes').length === 15")
    assert tab.value("document.querySelectorAll('.failed').length") == 40
    assert tab.value("document.querySelectorAll('main script, main img').length") == 0
    assert not tab.value("document.title").startswith("taken")
    assert "secret" not in path.read_text(encoding="utf-8") + tab.value("JSON.stringify(timelines)")
    assert tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert not tab.problems


def test_a_page_that_was_handed_on_alone_says_what_it_lacks(
    chromium: Browser, out: Path, tmp_path: Path
) -> None:
    (path,) = [path for path in out.glob("students/*/report.html") if "bob" in path.parent.name.lower()]
    shutil.copy(path, tmp_path)
    tab = shown(chromium, tmp_path / "report.html")
    assert not tab.value("document.getElementById('no-timelines').hidden")
    assert tab.value("[...document.querySelectorAll('[data-timeline]')].every(one => one.hidden)")
