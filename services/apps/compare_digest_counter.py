"""Says how often hmac.compare_digest was asked during a request: `witness(application)`.

What takes how long can't be told on a busy machine. Whether the function that is made for secrets was asked
can: it is replaced, wherever a module has it by name, by one that counts. The answer has the count in the
field X-Compared, and in X-Equal whether any two were equal. With `says=False`, it says False of every two:
who asks and does not listen lets somebody in all the same.
"""

import hmac
import sys
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

real = hmac.compare_digest
answers: list[bool] = []
lie: bool | None = None


def counting(a: Any, b: Any) -> bool:
    answers.append(real(a, b))
    return answers[-1] if lie is None else lie


def replace_everywhere() -> None:
    """`from hmac import compare_digest` gives a module a name of its own: that one is replaced, too."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        for name in [name for name, value in list(names.items()) if value is real]:
            if module is not sys.modules[__name__]:
                setattr(module, name, counting)


def witness(application: WSGIApplication, says: bool | None = None) -> WSGIApplication:
    """Says in X-Compared how often hmac.compare_digest was asked, in X-Equal whether it said yes."""
    global lie
    lie = says
    replace_everywhere()

    def watched(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answers.clear()

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            said = [("X-Compared", str(len(answers))), ("X-Equal", str(any(answers)))]
            return start_response(status, [*headers, *said], *exc_info)

        return application(environ, start)

    return watched
