"""Streams that are read to their end, and streams that have none."""

from __future__ import annotations

from typing import Any

from client_steps import APP, LOG, ask, asked, cookies_of, key_of, left, opened, pairs

from workshop.judge.checks import as_object, expect, made, named, ref, that

BODY = 'ASGI www, "Response Body - send event"'
ONE_MESSAGE = "this lab, task 3: an application that sends without end waits for its reader"


def stream_is_whole(probe: Any, rng: Any) -> None:
    """A stream that is read to its end; its request has a body, fields and the client's cookies."""
    word = f"Ada{rng.randrange(10**6)}"
    values = ask(
        probe,
        *APP,
        *opened("stream", asked("stream", "GET", f"/letters?{word}")),
        ("chunks", made("builtins:list", named("in stream"))),
        left("stream"),
        ("r", asked("get", f"/letters?{word}")),
        ("log", LOG),
        left(),
        sent=f"with client.stream('GET', '/letters?{word}') as s: list(s)\nthen client.get of the same",
    )
    chunks = values["chunks"]
    whole = isinstance(chunks, list) and all(isinstance(one, bytes) for one in chunks)
    that(
        whole and b"".join(chunks) == word.encode(),
        got=f"list(s) = {chunks!r}",
        expected=f"{word!r} in pieces",
        rule=BODY,
    )
    expect("the body of get", values["r"].body, word.encode(), "all the chunks of a response", rule=BODY)
    ended = ["startup"] + ["after all letters: http.disconnect"] * 2
    why = "http.disconnect ends a complete one, too"
    expect("what it heard after its last chunk", values["log"], ended, why)
    shown = f"client.stream('POST', '/echo', headers=[('X-Word', {word!r})], body=b'sent'), with a cookie set"
    values = ask(
        probe,
        *APP,
        asked("get", f"/cookies?session={word}"),
        *opened("stream", asked("stream", "POST", "/echo", headers=[("X-Word", word)], body=b"sent")),
        ("chunks", made("builtins:list", named("in stream"))),
        left("stream"),
        left(),
        sent=shown,
    )
    seen = as_object(b"".join(values["chunks"]), f"the chunks {values['chunks']!r}")
    fields = dict(pairs(key_of(seen, "headers", "it"), "headers"))
    got = [seen.get("method"), seen.get("body"), fields.get("x-word"), cookies_of(seen["headers"])]
    why = "method, body, field and cookies of a stream, as of any other request"
    expect("what arrived", got, ["POST", "sent", word, [f"session={word}"]], why, rule="this lab, `stream`")


def endless_streams_wait_and_end(probe: Any, rng: Any) -> None:
    """Who never looks whether anybody is there must end, all the same, and is not ahead of its reader."""
    count = rng.randrange(3, 7)
    reads = [(f"chunk {number}", made("builtins:next", named("in stream"))) for number in range(count)]
    values = ask(
        probe,
        *APP,
        *opened("stream", asked("stream", "GET", "/ticks")),
        *reads,
        left("stream"),
        ("log", LOG),
        left(),
        sent=f"with client.stream('GET', '/ticks') as s: next(s), {count} times\n(it sends without end)",
    )
    chunks = [values[f"chunk {number}"] for number in range(count)]
    whole = all(isinstance(one, bytes) for one in chunks)
    wanted = "".join(map(str, range(100))).encode()
    that(
        whole and wanted.startswith(b"".join(chunks)) and all(chunks),
        got=f"the chunks {chunks!r}",
        expected="b'0', b'1', b'2' …, in order, none of them twice or empty",
        rule=BODY,
    )
    why = "nothing of a request goes on behind the next test's back"
    expect("after the block, its log", values["log"], ["startup", "ticks ended"], why)
    values = ask(
        probe,
        *APP,
        *opened("stream", asked("stream", "GET", "/flood")),
        *reads,
        ("sent", made("builtins:len", ref("apps_to_test:SENT"))),
        left("stream"),
        ("log", LOG),
        left(),
        sent=f"with client.stream('GET', '/flood') as s: next(s), {count} times\n"
        "(5000 chunks, as fast as `send` takes them)",
    )
    expect("after the block, its log", values["log"], ["startup", "flood ended"], why)
    that(
        values["sent"] < count + 100,
        got=f"the application had sent {values['sent']} chunks when the test had read {count}",
        expected="about as many as were read: `send` waits until there is room for its message",
        rule=ONE_MESSAGE,
    )
