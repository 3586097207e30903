"""How another pytest plug-in puts a stack of its own in the place of the usual one: for debugging."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from workshop.judge.stack import Stack
from workshop.labs import Lab


@dataclass(frozen=True)
class OtherStack:
    """`config.stash[OTHER_STACK]` of a plug-in: checks run on this, and their verdict does not count.

    `stack` opens it for a lab and a target; `check_seconds` is the total time of one check.
    """

    stack: Callable[[Lab, str], AbstractContextManager[Stack]]
    check_seconds: float


OTHER_STACK = pytest.StashKey[OtherStack]()
