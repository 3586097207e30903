"""The room's pages in a real browser: the host's and the projector's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, Tab, browser
from tests.pages import needs_browser
from tests.rooms import (
    BOB,
    EVIL,
    SECONDS,
    done,
    path_fixture,
    report,
    running,
)
from workshop.room.room_report import (
    NAME_LENGTH,
)
from workshop.room.sent_report import Answer

__all__ = ["path_fixture"]


pages = pytest.mark.whole("rooms")


@pytest.fixture(name="chromium", scope="module")
def chromium_fixture() -> Iterator[Browser]:
    with browser() as started:
        yield started


def opened(chromium: Browser, url: str, width: int, dark: bool = False) -> Tab:
    tab = chromium.tab()
    tab.look(width, dark)
    tab.open(url)
    tab.await_true("document.querySelectorAll('tbody tr, .through-list li').length > 0")
    return tab


@pages
@needs_browser
@pytest.mark.parametrize("width, dark", [(360, False), (360, True), (1440, False), (1440, True)])
@pytest.mark.parametrize("view", ["", "projector"])
def test_the_pages_show_text_and_fit(
    chromium: Browser, path: Path, view: str, width: int, dark: bool
) -> None:
    with running(path) as room:
        names = {
            "a": EVIL[:NAME_LENGTH],
            "b": "x" * NAME_LENGTH,
            "c": "Ada",
            "d": "Ada",
            "e": "Z" + "\u0334" * 39,
        }
        for letter, name in names.items():
            assert (
                room.sender().send(report(letter * 32, name=name, verdict="TIMEOUT"), SECONDS) is Answer.KEPT
            )
        room.sender().send(done(id="f" * 32, name="Grace"), SECONDS)
        tab = opened(chromium, f"{room.page}{view}", width, dark)
        assert tab.value("document.querySelectorAll('main script, main img').length") == 0
        assert "taken" not in tab.value("document.title")
        assert tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        text = tab.shown()
        if view:
            assert f"1 of {len(names) + 1}" in text and "Ada" not in text and "TOKEN=" in text
        else:
            assert EVIL[:NAME_LENGTH] in text and "no. 3" in text and "no. 4" in text and "through" in text
        assert not tab.problems


@pages
@needs_browser
def test_a_page_is_live_keeps_its_place_and_survives_a_restart(chromium: Browser, path: Path) -> None:
    rows = "[...document.querySelectorAll('tbody tr')].map(row => row.querySelector('.person').textContent)"
    with running(path) as room:
        room.sender().send(report(), SECONDS)
        room.sender().send(report(BOB, name="Bob"), SECONDS)
        tab = opened(chromium, room.page, 1440)
        tab.await_true(f"{rows}.join() === 'Ada,Bob'")
        tab.value("window.bob = document.querySelectorAll('tbody tr')[1], window.sameDocument = true")
        room.sender().send(done(number=2), SECONDS)
        tab.await_true(f"{rows}.join() === 'Bob,Ada'")
        assert tab.value("document.querySelector('tbody tr') === window.bob"), "it was not drawn anew"
        tab.value("state.now += 3600, draw()")
        assert tab.value("document.querySelectorAll('tr.quiet').length") == 2
        assert "silent for 60 min" in tab.shown()
        page = int(room.page.split(":")[2].split("/")[0])
    tab.await_true("document.getElementById('status').className === 'lost'")
    with running(path, page=page) as room:
        room.sender().send(report("c" * 32, name="Grace"), SECONDS)
        tab.await_true(f"{rows}.includes('Grace')")
        assert tab.value("window.sameDocument") and not tab.problems
