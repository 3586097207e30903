"""Load for lab 16: your client tests an application, once a request, in a process that goes on.

`make load-16` runs it; `UI=1 make load-16` shows locust's own page. A suite of a thousand tests opens a
thousand clients in one process. Before you look: what does each leave behind, if its loop is not closed?
"""

import json
import re

from two_sides import Side, Site, Visitor, fact

# A client that leaves may close with any of these codes.
SAID = re.compile(
    "carried to Ada, first, and back, startup http.disconnect disconnect (1000|1001|1005) shutdown"
)
SLACK = 12  # descriptors: what a server opens and closes for itself


class Tester(Visitor):
    """Has one test made, and looks at what it came to, and at what the process holds afterwards."""

    def visit(self, site: Site) -> None:
        answer = site.get("/")
        if answer.status_code != 200:
            return
        held = json.loads(answer.content)
        site.expect(SAID.fullmatch(held["said"]), f"the application lived through {held['said']!r}")
        site.saw("descriptors", held["descriptors"])
        site.saw("threads", held["threads"])


def growth(side: Side, what: str) -> str:
    numbers = sorted(int(text) for text in side.saw[what])
    if not numbers or numbers[-1] - numbers[0] <= SLACK:
        return ""
    return f"from {numbers[0]} to {numbers[-1]} {what} in {sum(side.saw[what].values())} tests"


@fact("no descriptor stays open")
def no_descriptors(side: Side) -> str:
    return growth(side, "descriptors")


@fact("no thread stays behind")
def no_threads(side: Side) -> str:
    return growth(side, "threads")
