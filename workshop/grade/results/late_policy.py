"""What lateness costs, and which attempt counts. Raw points, penalty and score are kept apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from workshop.errors import Refusal
from workshop.grade.submissions.collect import Submission

DAY = 86400.0


@dataclass(frozen=True)
class Policy:
    """`per_day` and `most` are percent; a day that has begun is a day, by this machine's zone.

    `attempts` is "best" or "last".
    """

    due: datetime | None = None
    per_day: int = 0
    most: int = 100
    attempts: str = "best"

    def days_late(self, submission: Submission) -> int:
        """Days after the due time, where the time is known; else one for the LMS's own mark."""
        when = submission.person.submitted
        if self.due is None or when is None:
            return 1 if submission.late else 0
        if when <= self.due:
            return 0
        # By the clock on the wall: a day on which clocks change is a day, of 23 hours or of 25.
        over = local(when).replace(tzinfo=None) - local(self.due).replace(tzinfo=None)
        return max(1, math.ceil(over.total_seconds() / DAY))

    def penalty(self, submission: Submission) -> int:
        """In percent."""
        return min(self.most, self.per_day * self.days_late(submission))


def local(when: datetime) -> datetime:
    """A time as this machine's zone has it. Raises Refusal for one that no calendar has there."""
    try:
        return when.astimezone()
    except (ValueError, OverflowError, OSError):
        raise Refusal(f"{when.isoformat()} is not a time that this machine's zone has.") from None


def score(points: int, penalty: int) -> float:
    """Points less a penalty in percent, to a hundredth."""
    exact = Decimal(points) * (100 - penalty) / 100
    return float(exact.quantize(Decimal("0.01"), ROUND_HALF_UP))
