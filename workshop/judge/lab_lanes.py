"""The lanes that a lab.toml gives the lab's checks: the test file need not know of them."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

import pytest

from workshop.judge.concurrent_checks import SideBySide
from workshop.judge.started_services import Services, front, probe
from workshop.labs import Lab, of_folder


class ChecksOfLab(pytest.Module):
    """A test file of a lab's."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        if not self.config.option.one_at_a_time:
            put_into_lanes(self.obj, of_folder(self.path.parent))
        return super().collect()


def put_into_lanes(module: ModuleType, lab: Lab) -> None:
    """Have the checks of a test file run side by side, as `[lanes]` says; without it, one after the other."""
    if not lab.lanes:
        return
    together = SideBySide(service=Services, front=front, probe=probe)
    for name in lab.checks:
        function = getattr(module, name, None)
        if function is not None:
            lane = lab.lane_of(name)
            apart = ",".join(lab.lanes[lane].services) if lane else ""
            turn = together.on(lane, apart)(function)
            vars(turn)["pytestmark"] = function.pytestmark
            setattr(module, name, turn)
