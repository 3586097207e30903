"""Every clause that is cited is a link to a section that is there: in lessons, in reports, and on pages."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from tests.documents import LINKED
from workshop import markdown_links
from workshop.clauses import find, link, table
from workshop.grade.results.html_pages import linked as on_a_page
from workshop.hyperlinks import print_markdown, shows_links
from workshop.judge.report import explain
from workshop.judge.verdict import CheckResult, Finding, LabResult, Verdict
from workshop.labs import Lab, all_labs
from workshop.learn.hints import sections
from workshop.markdown_links import DEFINITION, citations, linked, unlinked
from workshop.paths import LABS, ROOT, SOLUTIONS

CHECKS = sorted([*LABS.glob("*/test_*.py"), *LABS.glob("*/checks/*.py")])
PROBES = sorted(LABS.glob("*/requests/*.http"))
CITES = re.compile(r"\b(?:RFC|PEP) \d+|\bASGI(?: www| lifespan|,) \"|^nginx, ")
# Addresses that were seen in published documents, one of each kind.
SEEN = {
    'PEP 3333, "The start_response() Callable"': "https://peps.python.org/pep-3333/#the-start-response-callable",
    'PEP 3333, "environ Variables"': "https://peps.python.org/pep-3333/#environ-variables",
    "RFC 3986 §2.1": "https://www.rfc-editor.org/rfc/rfc3986.html#section-2.1",
    "RFC 9112 §6.3": "https://www.rfc-editor.org/rfc/rfc9112.html#section-6.3",
    'ASGI www, "Disconnect"': "https://asgi.readthedocs.io/en/latest/specs/www.html#disconnect-receive-event",
    "WHATWG HTML §9.2.6": "https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation",
    'Fetch, "CORS-preflight fetch"': "https://fetch.spec.whatwg.org/#cors-preflight-fetch",
    'nginx, "max_fails"': "https://nginx.org/en/docs/http/ngx_http_upstream_module.html#max_fails",
}
each_file = pytest.mark.parametrize("path", LINKED, ids=lambda path: str(path.relative_to(ROOT)))


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a program, with their lines; of an f-string, what stands in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@each_file
def test_a_section_is_of_the_document_that_a_reader_takes_it_for(path: Path) -> None:
    """A bare § has its document named before it in its paragraph or item, or the section says whose it is."""
    bare = []
    for section in markdown_links._sections(unlinked(path.read_text(encoding="utf-8"))):
        said = False
        for part in section:
            said = said or markdown_links.DEFAULT in part.text
            shown = markdown_links._without_code(part.text)
            for one in re.finditer(r"§\d[\d.]*", shown):
                named = re.search(r"RFC\s+\d|PEP\s+\d|WHATWG|HTML|Fetch|6265bis|ISO", shown[: one.start()])
                bare += [] if named or said else [one[0]]
    assert not bare, f"{path.name}: of which document? {bare}"


# --- the table


def test_addresses_are_https_and_no_section_is_there_twice() -> None:
    pages = {id(page): page for one in table().documents.values() for page in one.pages}.values()
    for page in pages:
        assert page.url.startswith("https://"), page.url
        assert all(anchor == anchor.strip() and "#" not in anchor for anchor in page.titles.values())
        numbers = list(page.numbers.values())
        assert len(numbers) == len(set(numbers)), page.url


@pytest.mark.parametrize("clause", SEEN)
def test_a_clause_leads_to_its_section(clause: str) -> None:
    assert link(clause) == SEEN[clause]


@pytest.mark.parametrize(
    "clause", ["RFC 9112 §99.1", 'PEP 3333, "Cookies"', "RFC 1 §2", "the lesson, rule 5", ""]
)
def test_what_the_table_lacks_has_no_link(clause: str) -> None:
    assert link(clause) is None


def test_a_section_belongs_to_the_document_named_before() -> None:
    found = find('RFC 9112 §9.3, §9.6; RFC 9110 §15.3.5 and §8.6; ASGI www, "Connect", "Disconnect"')
    assert [one.label for one in found] == [
        "RFC 9112 §9.3",
        "RFC 9112 §9.6",
        "RFC 9110 §15.3.5",
        "RFC 9110 §8.6",
        'ASGI www, "Connect"',
        'ASGI WebSocket spec, "Disconnect"',
    ]
    assert all(link(one.label) == one.url for one in found)


# --- what cites


@pytest.mark.parametrize("path", CHECKS, ids=lambda path: str(path.relative_to(LABS)))
def test_each_clause_of_a_check_is_in_the_table(path: Path) -> None:
    for line, text in literals(path):
        unknown = [one.label for one in find(text) if not one.url and not one.label.startswith("?")]
        assert not unknown, f"{path.relative_to(ROOT)}:{line}: not in workshop/clauses.toml: {unknown}"
        if CITES.search(text) and len(text) < 200:
            assert link(text), f"{path.relative_to(ROOT)}:{line}: no section of {text!r} is found"


def test_each_clause_of_a_wire_case_is_in_the_table() -> None:
    for path in PROBES:
        for rule in re.findall(r"^# rule: (.+)$", path.read_bytes().decode("latin-1"), re.MULTILINE):
            text = rule.encode("latin-1").decode("utf-8")
            assert link(text) and all(one.url for one in find(text)), f"{path.relative_to(ROOT)}: {text}"


@each_file
def test_each_clause_of_a_lesson_is_a_link(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    plain = unlinked(text)
    for one in citations(plain):
        line = plain.count("\n", 0, one.start) + 1
        assert one.url, f"{path.relative_to(ROOT)}:{line}: {one.label} is not in workshop/clauses.toml"
    assert text == linked(text), "run `python -m tests.documents`"


# --- Markdown

LESSON = """# Lab 5

Sections are of RFC 9112, where nothing else is said.

1. Close. (§9.6)
2. A date. (RFC 9110 §6.6.1)
3. A length: `RFC 9112 §6.3` in code is code. (§6.3; PEP 3333,
   "Error Handling")

PEP 3333: what it says of "Close" is that `proxy_pass http://app` waits; an
[own](https://x.example) link stays.

```
RFC 9112 §6.3
```
"""


def test_a_lesson_s_clauses_become_links() -> None:
    made = linked(LESSON)
    assert "Close. ([§9.6][RFC 9112 §9.6])" in made
    assert "A date. ([RFC 9110 §6.6.1])" in made
    assert (
        '`RFC 9112 §6.3` in code is code. ([§6.3][RFC 9112 §6.3]; [PEP 3333,\n   "Error Handling"])' in made
    )
    assert "\n[PEP 3333][]: what it says" in made
    assert '[`proxy_pass http://app`][nginx, "proxy_pass"]' in made
    assert "```\nRFC 9112 §6.3\n```" in made
    assert "\n[RFC 9112 §9.6]: https://www.rfc-editor.org/rfc/rfc9112.html#section-9.6\n" in made
    assert linked(made) == made
    assert unlinked(made) == LESSON


def test_what_is_printed_has_no_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    print_markdown(linked(LESSON))
    assert capsys.readouterr().out == LESSON + "\n"


@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_a_hint_is_shown_without_addresses(lab: Lab) -> None:
    levels = [level for section in sections(lab) for level in section.levels]
    assert levels and not any(DEFINITION.search(level) or "][RFC" in level for level in levels)


@each_file
def test_nothing_is_lost_or_added_but_links(path: Path) -> None:
    plain = unlinked(path.read_text(encoding="utf-8"))
    made = linked(plain)
    assert unlinked(made) == plain
    assert linked(made) == made
    blocks = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
    assert blocks.findall(made) == blocks.findall(plain)


@each_file
def test_markdown_reads_each_clause_as_a_link(path: Path) -> None:
    plain = unlinked(path.read_text(encoding="utf-8"))
    page = MarkdownIt().enable("table").render(linked(plain))
    wanted = [one.url for one in citations(plain)]
    shown = re.findall(r'<a href="([^"]+)">', page)
    assert [url for url in shown if url in set(wanted)] == wanted
    words = re.compile(r"<[^>]+>|\s+")
    assert words.sub("", page) == words.sub("", MarkdownIt().enable("table").render(plain))


PIECES = [
    "RFC 9112",
    "§6.3",
    " §9.6",
    '"Error Handling"',
    "PEP 3333",
    ", ",
    "`x`",
    "`",
    "[a]",
    "(b)",
    "\n",
    "\n\n",
    "1. ",
]
PIECES += [
    "```\n",
    "# ",
    "ASGI www",
    '"Disconnect"',
    '"Connect"',
    "`proxy_pass x`",
    "RFC 9110 §8.6",
    ":",
    "é",
    "<b>",
    "[",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14))
@example(["RFC 9110 §8.6", "§6.3"])
def test_links_come_and_go_in_any_text(pieces: list[str]) -> None:
    text = "".join(pieces).rstrip("\n") + "\n"
    made = linked(text)
    assert unlinked(made) == text
    assert linked(made) == made


# --- reports


def failure(rule: str) -> CheckResult:
    finding = Finding(sent="GET /", got="a\x1b[2Jb", expected="c", rule=rule, where="here")
    return CheckResult("test_task1_x", 1, "x", Verdict.FAIL, 0, 2, finding)


def shown(rule: str, environment: dict[str, str], terminal: bool, width: int = 80) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, _environ=environment)
    for line in explain(failure(rule), width, shows_links(console)):
        console.print(line, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


RULE = 'PEP 3333, "environ Variables" and "Unicode Issues"; RFC 9110 §5.3, a list of what may be joined'


def test_a_terminal_gets_hyperlinks_and_the_same_words() -> None:
    rich = shown(RULE, {"TERM": "xterm-256color"}, terminal=True, width=60)
    targets = set(re.findall(r"\x1b\]8;[^;]*;([^\x1b]+)\x1b\\", rich))
    assert targets == {one.url for one in find(RULE)}
    bare = re.sub(r"\x1b\][^\x1b]*\x1b\\|\x1b\[[0-9;]*m", "", rich)
    assert bare == shown(RULE, {}, terminal=False, width=60)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}])
def test_no_hyperlinks_where_they_are_not_wanted(environment: dict[str, str]) -> None:
    assert "\x1b]8" not in shown(RULE, environment, terminal=True)


def test_elsewhere_a_report_has_no_escapes() -> None:
    assert "\x1b" not in shown(RULE, {"TERM": "xterm-256color"}, terminal=False)


def test_json_has_the_address_beside_the_rule() -> None:
    checks = [failure(RULE), failure("this lab's rule 5"), CheckResult("y", 1, "y", Verdict.PASS, 2, 2)]
    said = json.loads(json.dumps(LabResult(5, "05", "x", "starter", "embedded", 7, checks, 6).as_dict()))
    urls = [check["finding"]["rule_url"] for check in said["checks"]]
    assert urls == ["https://peps.python.org/pep-3333/#environ-variables", "", ""]


def test_on_a_page_a_rule_is_linked_and_everything_is_escaped() -> None:
    line = str(on_a_page('RFC 9110 §8.6 <script> & PEP 3333, "Error Handling"'))
    assert (
        '<a href="https://www.rfc-editor.org/rfc/rfc9110.html#section-8.6" rel="noreferrer">RFC 9110 §8.6</a>'
        in line
    )
    assert "&lt;script&gt; &amp; <a" in line and "&#34;Error Handling&#34;</a>" in line
    assert str(on_a_page("this lab <b>")) == "this lab &lt;b&gt;"


@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_what_a_page_folds_is_open_on_a_terminal(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    text = (SOLUTIONS / lab.name / "NOTES.md").read_text(encoding="utf-8")
    print_markdown(text)
    shown = capsys.readouterr().out
    assert "details>" not in shown and "summary>" not in shown
    for summary in re.findall(r"<summary>(.*?)</summary>", text):
        assert summary in shown
