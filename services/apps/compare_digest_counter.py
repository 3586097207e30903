"""Tells of each call of hmac.compare_digest: `told(application, tell)`.

What takes how long can't be told on a busy machine. Whether the function that is made for secrets was asked
can: it is replaced, wherever a module has it by name. `tell` gets the two values, and whether they are equal;
what it returns is the answer, unless that is None. Who asks and does not listen shows when it says the
opposite.
"""

import hmac
import sys
from collections.abc import Callable
from typing import Any

Tell = Callable[[Any, Any, bool], bool | None]


def told(application: Any, tell: Tell) -> Any:
    """The application as it is; from now on, comparisons are told of."""
    real = hmac.compare_digest

    def compare_digest(a: Any, b: Any, /) -> bool:
        equal = real(a, b)
        said = tell(a, b, equal)
        return equal if said is None else said

    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        for name in [name for name, value in list(names.items()) if value is real]:
            setattr(module, name, compare_digest)
    return application
