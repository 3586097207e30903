"""Load for lab 8: uploads, and a page that the client has already.

`make load-8` runs it. Before you look: which costs more, 100,000 bytes that are uploaded, or 200,000 that are
sent? And what is left of the second when the client says which version it has?
"""

import hashlib
import random

from two_sides import Site, Visitor, at_most

MARK = "0123456789abcdef"


class Clerk(Visitor):
    """Uploads a file and looks at its digest, asks for the page, and asks again with its tag."""

    ways = {"an upload": "/paperwork", "the page": "/paperwork", "the page again": "/paperwork"}

    def on_start(self) -> None:
        super().on_start()
        self.tag = "*"

    def visit(self, site: Site) -> None:
        if site.way == "an upload":
            upload(site)
        elif site.way == "the page":
            answer = site.get("/page")
            site.expect(len(answer.content) == 200_000, f"a page of {len(answer.content)} bytes")
            self.tag = answer.headers.get("ETag") or "*"
        else:
            site.get("/page", headers={"If-None-Match": self.tag}, status=304, body=b"")


def upload(site: Site) -> None:
    data = random.randbytes(100_000)
    head = f'--{MARK}\r\nContent-Disposition: form-data; name="photo"; filename="ada.png"\r\n\r\n'
    sent = head.encode() + data + f"\r\n--{MARK}--\r\n".encode()
    answer = site.request(
        "POST", "/forms", data=sent, headers={"Content-Type": f"multipart/form-data; boundary={MARK}"}
    )
    whole = hashlib.sha256(data).hexdigest() in answer.text
    site.expect(whole or answer.status_code != 200, "a file that is not the one that was sent")


# What is not sent costs less than what is.
at_most("the page again", 1.5, "the page")
