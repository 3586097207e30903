"""What an nginx.conf says, read as text: its verdict must not depend on the defaults of one nginx."""

import dataclasses
import re
from collections.abc import Iterator

Words = tuple[str, ...]
TOKEN = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|#[^\n]*|[{};]|(?:\\.|\$\{\w+\}|[^\s{};])+""")


@dataclasses.dataclass
class Directive:
    words: Words
    block: list["Directive"]


def directives(text: str) -> list[Directive]:
    """The directives of a file that `nginx -t` has accepted, each with those in its block."""
    levels = [Directive((), [])]
    words: list[str] = []
    for token in TOKEN.findall(text):
        if token in (";", "{"):
            levels[-1].block.append(Directive(tuple(words), []))
            words = []
        if token == "{":
            levels.append(levels[-1].block[-1])
        elif token == "}":
            levels.pop()
        elif token != ";" and not token.startswith("#"):
            words.append(token[1:-1] if token[0] in "\"'" else token)
    return levels[0].block


def named(block: list[Directive], name: str) -> list[Directive]:
    return [one for one in block if one.words[:1] == (name,)]


def everything(block: list[Directive]) -> Iterator[Directive]:
    for one in block:
        yield one
        yield from everything(one.block)


def levels_of_all_requests(tree: list[Directive]) -> list[list[Directive]]:
    """What is said for `location /`, from the inside out; for a file without one, everything that is said."""
    for server in named(tree, "server"):
        for location in named(server.block, "location"):
            if location.words[-1] == "/":
                return [location.block, server.block, tree]
    return [list(everything(tree))]


def not_kept_before_1_29_7(text: str) -> str:
    """Why an nginx before 1.29.7 would close its connection after each response, or nothing."""
    tree = directives(text)
    levels = levels_of_all_requests(tree)
    if not any("keepalive" in named_in(pool) for pool in pools(tree, levels[0])):
        return "no `keepalive` in the upstream that `location /` passes requests to"
    versions = next(filter(None, (named(level, "proxy_http_version") for level in levels)), [])
    if not versions or versions[-1].words[-1] == "1.0":
        return "no `proxy_http_version 1.1` for `location /`"
    fields = next(filter(None, (named(level, "proxy_set_header") for level in levels)), [])
    if not any(one.words[1].lower() == "connection" for one in fields):
        return "no `proxy_set_header Connection` for `location /`"
    return ""


VARIABLE = re.compile(r"\$\{?(\w+)\}?")
ADDRESSES = {"binary_remote_addr", "remote_addr", "realip_remote_addr"}
BY_CONTENT = ("map", "geo", "split_clients")  # what they make is their last word


def same_for_all_clients(text: str) -> str:
    """The keys by which connections are counted, where none has the address that connects; or nothing."""
    said = list(everything(directives(text)))
    keys = [one.words[1] for one in named(said, "limit_conn_zone")]
    return "" if any(ADDRESSES & variables_behind(key, said) for key in keys) else " and ".join(keys)


def variables_behind(key: str, said: list[Directive]) -> set[str]:
    """The variables in a key, and all those that they are made from."""
    found: set[str] = set()
    waiting = VARIABLE.findall(key)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [source for one in said if makes(one, name) for source in sources(one)]
    return found


def makes(one: Directive, name: str) -> bool:
    """Whether a directive makes a variable, of other ones or as a part of a regular expression."""
    if one.words[0] in BY_CONTENT and one.words[-1] == f"${name}":
        return True
    return one.words[:2] == ("set", f"${name}") or any(f"<{name}>" in word for word in words_of(one))


def words_of(one: Directive) -> list[str]:
    return [*one.words, *(word for inner in one.block for word in inner.words)]


def sources(one: Directive) -> list[str]:
    """The variables that a directive reads; a geo that names none reads the address."""
    unnamed = ["remote_addr"] if one.words[0] == "geo" and len(one.words) == 2 else []
    return VARIABLE.findall(" ".join(words_of(one))) + unnamed


def named_in(pool: Directive) -> set[str]:
    return {one.words[0] for one in pool.block if one.words[1:] != ("0",)}


def pools(tree: list[Directive], location: list[Directive]) -> list[Directive]:
    """The upstream that a location names; every upstream where a variable decides."""
    passed = [one.words[-1].removeprefix("http://").rstrip("/") for one in named(location, "proxy_pass")]
    upstreams = named(tree, "upstream")
    return [one for one in upstreams if one.words[-1] in passed] or upstreams
