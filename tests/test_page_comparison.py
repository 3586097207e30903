"""The lab page's table of real servers: what was recorded, in words, and the learner's own column."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, Tab, browser
from tests.pages import EVIL, alone, asked, failing, needs_browser, opened
from workshop.compare import recorded
from workshop.compare.implementations import compared_labs
from workshop.compare.recorded import DIFFERS, word_of
from workshop.labs import Lab, all_labs, find
from workshop.page.comparison import comparison

LAB = find("5")


@pytest.mark.parametrize("lab", compared_labs(), ids=lambda lab: lab.name)
def test_every_recorded_difference_is_in_its_cell_and_has_its_sentence(lab: Lab, tmp_path: Path) -> None:
    found, data = comparison(lab), recorded.load(lab)
    assert found is not None and data is not None
    rows = {row.check: row for row in found.rows}
    assert list(rows) == list(data["checks"]) and list(found.servers) == list(data["implementations"])
    for point in data["points"]:
        row = rows[point["check"]]
        for name, result in point["results"].items():
            if word_of(result) == DIFFERS:
                cell = row.cells[list(found.servers).index(name)]
                assert cell.kind in ("differs", "legal") and cell.says, (name, point["point"])
    text = html.unescape(asked(lab, tmp_path, "/__lab/").text)
    for row in found.rows:
        for one in row.differences:
            assert one.says in text and one.clause in text
            assert all(sentence in text for _, _, sentence in one.sentences)


def test_a_lab_that_is_compared_with_nothing_has_no_table(tmp_path: Path) -> None:
    lab = next(lab for lab in all_labs() if lab not in compared_labs())
    assert comparison(lab) is None
    assert "compare" not in asked(lab, tmp_path, "/__lab/").text.partition("<article")[0]


# --- in a browser


@pytest.fixture(name="chromium", scope="module")
def chromium_fixture() -> Iterator[Browser]:
    with browser() as running:
        yield running


def own(tab: Tab) -> list[str]:
    """The learner's column, as it is read aloud."""
    script = "[...document.querySelectorAll('[data-check] .spoken')].map(one => one.textContent)"
    said: list[str] = tab.value(script)
    return said


@needs_browser
@pytest.mark.whole("pages in a browser")
def test_ones_own_column_follows_the_verdicts(chromium: Browser, tmp_path: Path) -> None:
    with alone(LAB, tmp_path) as page:
        tab = opened(chromium, page.url)
        assert own(tab) == ["not judged yet"] * len(LAB.checks)
        first, second, third, *_ = LAB.checks
        page.tell(check={**failing(first), "verdict": "PASS"})
        page.tell(check={**failing(second, got=EVIL), "title": EVIL})
        page.tell(check={**failing(third, got=EVIL), "verdict": "NO_START"})
        tab.await_true("document.querySelectorAll('.yours.differs').length === 2")
        assert own(tab)[:3] == ["passes", "failed", "NO_START"]
        assert tab.value("document.getElementById('held').textContent") == "1"
        assert tab.value("document.querySelectorAll('main script, main img').length") == 0
        page.tell(check={**failing(first), "verdict": "FAIL"})
        tab.await_true("document.getElementById('held').textContent === '0'")
        assert not tab.problems


@needs_browser
@pytest.mark.whole("pages in a browser")
def test_a_narrow_screen_scrolls_in_the_table_whose_first_column_stays(
    chromium: Browser, tmp_path: Path
) -> None:
    with alone(LAB, tmp_path) as page:
        tab = opened(chromium, page.url, 360)
        tab.value("window.place = document.querySelector('#compare .scroll'); place.focus()")
        assert tab.value("document.activeElement === place"), "the keyboard can't scroll it"
        left = "document.querySelector('.compared tbody th').getBoundingClientRect().left"
        before = tab.value(left)
        tab.value("place.scrollTo(400, 300)")
        assert tab.value("place.scrollLeft") > 100
        assert tab.value(left) == before
        top = "document.querySelector('.compared thead th').getBoundingClientRect().top"
        assert tab.value(f"Math.abs({top} - place.getBoundingClientRect().top) < 3")
        assert tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert not tab.problems


@needs_browser
@pytest.mark.whole("pages in a browser")
def test_a_check_s_title_leads_to_how_servers_differ(chromium: Browser, tmp_path: Path) -> None:
    with alone(LAB, tmp_path) as page:
        tab = opened(chromium, page.url)
        tab.value("window.link = document.querySelector('.compared tbody a'); link.click()")
        tab.await_true("document.querySelector(link.getAttribute('href')).open")
        tab.await_true("document.activeElement.textContent === link.textContent")
        shown = tab.value("document.activeElement.parentElement.innerText")
        assert "makes a NUL of it" in shown and "(legal)" in shown
        assert not tab.problems
