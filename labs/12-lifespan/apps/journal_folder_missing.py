"""Lab 12's application, with a journal in a folder that does not exist."""

import journal

journal.PATH = "/no/such/folder/journal.txt"

from app import app  # noqa: E402

__all__ = ["app"]
