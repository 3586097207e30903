"""axe-core has nothing against any page of the tool's, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, Tab, browser
from tests.grade.test_results import passing, result
from tests.pages import TIMELINE, alone, failing, needs_browser, opened, trouble_for_some
from tests.test_lab_page import load_result
from workshop.grade.judging.manifest import Manifest
from workshop.grade.results import results_folder
from workshop.labs import find
from workshop.load import curves_page

LAB = find("14")  # compared, and short

pytestmark = [needs_browser, pytest.mark.whole("pages in a browser")]


@pytest.fixture(name="chromium", scope="module")
def chromium_fixture() -> Iterator[Browser]:
    with browser() as running:
        yield running


def assert_for_everybody(tab: Tab) -> None:
    """All rules by day; by night the colours are what is new."""
    tab.look(1440)
    assert not trouble_for_some(tab)
    tab.look(1440, dark=True)
    assert not trouble_for_some(tab, "color-contrast")


def from_file(chromium: Browser, path: Path) -> Tab:
    tab = chromium.tab()
    tab.open(path.as_uri())
    tab.await_true("location.protocol === 'file:' && document.readyState === 'complete'")
    return tab


def test_the_lab_page(chromium: Browser, tmp_path: Path) -> None:
    with alone(LAB, tmp_path) as page:
        tab = opened(chromium, page.url)
        first, second, third, *_ = LAB.checks
        page.tell(began=LAB.checks)
        page.tell(check={**failing(first, got="404", rule="RFC 9112 §3"), "timeline": TIMELINE})
        page.tell(check={**failing(second), "verdict": "PASS"})
        page.tell(check={**failing(third), "verdict": "NO_START"})
        tab.await_true("document.querySelectorAll('.failed').length === 2")
        tab.value("document.querySelectorAll('#tasks details').forEach(one => one.open = true)")
        tab.await_true("document.querySelectorAll('.lanes').length === 1")
        assert_for_everybody(tab)
        tab.look(360)
        assert not trouble_for_some(tab, "scrollable-region-focusable", "target-size", "color-contrast")


def test_a_lesson_by_itself(chromium: Browser, tmp_path: Path) -> None:
    with alone(LAB, tmp_path) as page:
        tab = opened(chromium, page.url)
        tab.open(f"{page.url}lessons/{LAB.name}/COMPARED.md")
        tab.await_true(
            "document.title !== '' && document.querySelectorAll('h1').length === 1 && !window.drawn"
        )
        assert_for_everybody(tab)


def test_a_load_run(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    path.write_text(curves_page.page(load_result()), encoding="utf-8")
    tab = from_file(chromium, path)
    tab.await_true("document.querySelectorAll('canvas').length === 2")
    assert_for_everybody(tab)


def test_a_graded_class(chromium: Browser, tmp_path: Path) -> None:
    manifest = Manifest.make(LAB, tmp_path / "manifest", 7)
    first, second, *_ = LAB.checks
    bob = passing(manifest, first, second)
    bob.transcript = f"== {first}\n  0.001  #1   8000   open\n"
    works = {"ada": passing(manifest), "bob": bob}
    out = tmp_path / "out"
    results_folder.write_all(out, [result(manifest, name, one) for name, one in works.items()])
    assert_for_everybody(from_file(chromium, out / "index.html"))
    tab = from_file(chromium, out / "students" / "bob" / "report.html")
    tab.value("document.querySelector('[data-timeline]').open = true")
    tab.await_true("document.querySelectorAll('.lanes').length === 1")
    assert_for_everybody(tab)
    tab.value("document.querySelector('main').append(document.createElement('img'))")
    (found,) = trouble_for_some(tab, "image-alt")
    assert found.startswith("image-alt: img"), "it looks at the page"
