"""Requests with and without a bearer token."""

import random
import re
from typing import Any

from asgi_messages import Answer, piece, start, word

from workshop.judge.checks import asgi_app, made, note, that


def strangers(token: str, rng: random.Random) -> list[tuple[str, list[tuple[bytes, bytes]]]]:
    """Requests that are not to be let in: what is the matter with each, and its Authorization fields."""
    right = authorization(f"Bearer {token}")
    return [
        ("no Authorization", []),
        ("another token", [authorization(f"Bearer {word(rng)}")]),
        ("the beginning of the token", [authorization(f"Bearer {token[:-1]}")]),
        ("the token and something more", [authorization(f"Bearer {token}x")]),
        ("the token in another case", [authorization(f"Bearer {token.swapcase()}")]),
        ("the token without its scheme", [authorization(token)]),
        ("another scheme", [authorization(f"Basic {token}")]),
        ("a scheme and no token", [authorization("Bearer")]),
        ("a scheme and a space", [authorization("Bearer ")]),
        ("two tokens", [authorization(f"Bearer {token} {token}")]),
        ("a token that is not ASCII", [authorization("Bearer " + "é" * 4)]),
        ("bytes that are not UTF-8", [authorization(b"Bearer \xff\xfe")]),
        ("an empty Authorization", [authorization("")]),
        ("Authorization twice", [right, authorization(f"Bearer {word(rng)}")]),
    ]


def guarded(tokens: dict[str, str], inner: Any = None, **more: Any) -> Any:
    inner = asgi_app(start(), piece(b"secret"), scope=["user"]) if inner is None else inner
    return made("middleware:bearer", inner, tokens, **more)


def comparing(app: Any, *answers: bool) -> Any:
    """`app`, with each comparison by compare_digest noted; what it returns is `answers`, or the truth."""
    return made("compare_digest_counter:told", app, note("compared", *answers))


def authorization(text: str | bytes) -> tuple[bytes, bytes]:
    return b"authorization", text.encode() if isinstance(text, str) else text


def says_how_to_ask(got: Answer, said: str, realm: str) -> None:
    """Fail unless a 401 has the challenge, with an error only for those who showed a token."""
    asked = b", ".join(got.all(b"www-authenticate")).decode("latin-1")
    that(
        re.match(rf'(?i)bearer\s+(?:.*,\s*)?realm="{realm}"', asked),
        got=f"www-authenticate = {asked!r}: {said}",
        expected=f"www-authenticate = 'Bearer realm=\"{realm}\"' (and more): it says how to ask again",
    )
    if said in ("no Authorization", "another token"):
        wanted = said == "another token"
        that(
            ("invalid_token" in asked) is wanted and ("error" in asked) is wanted,
            got=f"www-authenticate = {asked!r}: {said}",
            expected='error="invalid_token" for a request with a token, and for no other',
            rule="RFC 6750 §3, §3.1",
        )
