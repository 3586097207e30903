"""Lab 7: one callable that chooses another by path and method.

How a router is made and called is in checks/router_calls.py; `front` is apps/routed_site.py behind nginx.
"""

from typing import Any
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit
from uuid import UUID

from named_routes import NASTY, URI, called_as, named_routes, refuses, urls_of
from passed_through import comes_back_unchanged, keeps_nothing, under_two_prefixes
from router_calls import (
    FAR_NAMES,
    LAYERS,
    METHODS,
    allow_has_what_is_named,
    allowed,
    app,
    bad_patterns,
    calls,
    code,
    dead_ends_leave_no_value,
    digits_without_end,
    ended_well,
    far_name,
    field,
    keeps_what_layers_put,
    latin,
    mount,
    not_found,
    one_of_each,
    own_length_is_right,
    prefix_alone,
    reached,
    route,
    router,
    under_its_prefix,
    values_of,
    word,
)
from site_answers import goes_to, leads_nowhere_else, said_by, same, tasks_api_is_at

from workshop.judge.checks import Thing, check, expect, name, that, wire_cases

KEEPS_METHOD = {307: "Temporary Redirect", 308: "Permanent Redirect"}


# --- task 1 -----------------------------------------------------------------------------------------


@check(task=1, rule='PEP 3333, "Middleware: Components that Play Both Sides"')
def test_task1_routes_lead_to_their_applications(probe, rng):
    """A path and a method lead to an application"""
    first, second = word(rng), word(rng) + "s"
    routes = [
        route("/", called="home"),
        route(f"/{first}", called="list"),
        route(f"/{first}", ["POST", "PUT"], called="create"),
        route(f"/{first}/{second}", called="deeper"),
    ]
    rng.shuffle(routes)
    asked = [
        ("GET", f"/{first}", "list"),
        ("GET", "/", "home"),
        ("PUT", f"/{first}", "create"),
        ("POST", f"/{first}", "create"),
        ("GET", f"/{first}/{second}", "deeper"),
    ]
    for verb, path, called in asked:
        seen = probe.wsgi(router(*routes), verb, path, query="x=1", SCRIPT_NAME="/v1", **LAYERS)
        environ = reached(seen, called)
        keeps_what_layers_put(environ)
        expect("PATH_INFO", environ.get("PATH_INFO"), path, "a route leaves it as it is")
        expect("SCRIPT_NAME", environ.get("SCRIPT_NAME"), "/v1", "a route leaves it as it is")
        expect("QUERY_STRING", environ.get("QUERY_STRING"), "x=1")
    comes_back_unchanged(probe, rng)
    keeps_nothing(probe, rng)


@check(task=1, rule="RFC 9110 §15.5.5")
def test_task1_unknown_paths_are_404(probe, rng):
    """A path that no route has is 404"""
    first = word(rng)
    file = f"{first}.txt"
    site = router(route("/"), route(f"/{file}", called="list"), route(f"/{first}/new/today", called="today"))
    why = "no pattern is this path"
    nowhere = (f"{file}x", file[:-1], f"{first}xtxt", file.upper(), f"{first}/new", f"{first}/new/today/x")
    for path in (f"/{one}" for one in nowhere):
        seen = probe.wsgi(site, path=path)
        not_found(seen, why)
        own_length_is_right(seen)
    not_found(probe.wsgi(site, rng.choice(["POST", "DELETE"]), f"/{word(rng)}"), why)
    reached(probe.wsgi(site, path=f"/{file}"), "list")


@check(task=1, rule="RFC 9110 §15.5.6")
def test_task1_other_methods_are_405_with_allow(probe, rng):
    """Other methods get a 405 with Allow"""
    path = f"/{word(rng)}"
    listed = rng.sample(["POST", "PUT", "PATCH", "DELETE"], 2)
    routes = [
        route(path, called="show"),
        route(path, [listed[0]], called="one"),
        route(path, [listed[1]], called="two"),
    ]
    routes.append(route("/other", ["POST", "PUT", "PATCH", "DELETE"], called="other"))
    rng.shuffle(routes)
    there = {"GET", "HEAD", *listed}
    refused = sorted(set(METHODS) - there - {"OPTIONS"})
    for verb in refused:
        seen = probe.wsgi(router(*routes), verb, path)
        ended_well(seen)
        names = calls(seen)
        got = f"the application of {names[0]} was called" if names else f"status = {seen.status!r}"
        why = f"{path} is there, and {verb} is not: 404 would say that the path is wrong"
        that(not names and code(seen) == "405", got, f"405 Method Not Allowed     {why}")
        allow = field(seen, "Allow")
        said = allowed(allow) - {"OPTIONS"}
        why = f"the methods of every route with this path: {', '.join(sorted(there))}"
        that(said == there, f"Allow = {allow!r}", why)
        own_length_is_right(seen)
    for verb in sorted(there - {"HEAD"}):
        ended_well(seen := probe.wsgi(router(*routes), verb, path))
        that(calls(seen), f"{verb} is in Allow, but the response is {seen.status}", "a method in Allow works")
    allow_has_what_is_named(probe, rng.choice(["POST", "PUT", "DELETE"]), ["GET", "HEAD", "OPTIONS"])


@check(task=1, rule="RFC 9110 §9.3.2")
def test_task1_head_is_there_wherever_get_is(probe, rng):
    """HEAD goes where GET goes, without a body"""
    path = f"/{word(rng)}"
    site = router(
        route(path, called="show", app=app("show", status="203 Shown")),
        route("/post", ["POST"], called="post"),
        route("/own", ["HEAD"], called="own"),
    )
    reached(probe.wsgi(site, "HEAD", "/own"), "own", "this route has HEAD in its methods")
    head = probe.wsgi(site, "HEAD", path)
    reached(head, "show", "HEAD gets the response to GET, without the body")
    expect("status", head.status, "203 Shown")
    for verb, target, wanted in (("HEAD", "/post", "405"), ("HEAD", f"/{word(rng)}", "404")):
        seen = probe.wsgi(site, verb, target)
        ended_well(seen)
        expect("applications called", calls(seen), [], "no route has GET at this path")
        expect("status", code(seen), wanted)
        expect("body", seen.body, b"", "a response to HEAD has headers only, an error too")


@check(task=1, rule="RFC 9110 §9.3.7")
def test_task1_options_lists_the_methods(probe, rng):
    """OPTIONS gets Allow, unless a route has it"""
    path = f"/{word(rng)}"
    verb = rng.choice(["POST", "PUT", "DELETE"])
    site = router(
        route(path), route(path, [verb], called="change"), route("/own", ["GET", "OPTIONS"], called="own")
    )
    seen = probe.wsgi(site, "OPTIONS", path)
    ended_well(seen)
    expect("applications called", calls(seen), [], "neither route has OPTIONS: the router itself responds")
    that(code(seen) in ("200", "204"), f"status = {seen.status!r}", "200 OK, or 204 No Content")
    allow = field(seen, "Allow")
    that(
        allowed(allow) - {"OPTIONS"} == {"GET", "HEAD", verb},
        f"Allow = {allow!r}",
        f"Allow = 'GET, HEAD, OPTIONS, {verb}'     in any order; OPTIONS itself may be left out",
    )
    if code(seen) == "204":
        expect("body", seen.body, b"", "204 has no content", rule="RFC 9110 §15.3.5")
        expect("Content-Length", field(seen, "Content-Length"), None, "not on a 204", rule="RFC 9110 §8.6")
    reached(probe.wsgi(site, "OPTIONS", "/own"), "own", "this route has OPTIONS in its methods")
    not_found(probe.wsgi(site, "OPTIONS", f"/{word(rng)}"), "nothing is there that could have options")


# --- task 2 -----------------------------------------------------------------------------------------


@check(task=2, rule="wsgi.org, routing_args")
def test_task2_parameters_become_values(front, probe, rng):
    """Parameters reach the application by name, converted"""
    number, note = rng.randrange(1000), rng.randrange(10**9, 10**12)
    key = UUID(int=rng.getrandbits(128), version=4)
    who, rest = word(rng), f"{word(rng)}/{word(rng)}.txt"
    asked = [
        (f"/tasks/{number}", "task", {"id": number}),
        (f"/tasks/{number}/notes/{note}", "note", {"id": number, "note": note}),
        ("/tasks/0", "task", {"id": 0}),
        (f"/hello/{who}", "hello", {"name": who}),
        (f"/labels/{who}/edit", "label", {"label": who}),
        (f"/files/{rest}", "file", {"rest": rest}),
        (f"/files/{who}", "file", {"rest": who}),
        (f"/files/{who}/", "file", {"rest": f"{who}/"}),
    ]
    for path, called, values in asked:
        environ = reached(probe.wsgi(one_of_each(), path=path), called)
        got = values_of(environ)
        expect("values", got, values)
        wrong = [key for key, value in values.items() if type(got[key]) is not type(value)]
        that(not wrong, f"values = {got!r}", f"values = {values!r}     of these types")
        expect("PATH_INFO", environ.get("PATH_INFO"), path, "a route leaves it as it is")
    got = values_of(reached(probe.wsgi(one_of_each(), path=f"/jobs/{key}"), "job")).get("key")
    right = isinstance(got, Thing) and got.type == "UUID" and got.text == repr(key)
    that(right, f"key = {got!r}", f"key = {key!r}     a uuid.UUID")
    two = router(route("/x/<one>", called="get"), route("/x/<two>", ["POST"], called="post"))
    for verb, called, values in (("GET", "get", {"one": who}), ("POST", "post", {"two": who})):
        got = values_of(reached(probe.wsgi(two, verb, f"/x/{who}"), called))
        expect("values", got, values, "a parameter has the name that its own route gives it")
    for case in wire_cases(__file__, "method-*.http"):
        answer = front.send(case.data)
        right = case.notes["status"].split(" or ")
        that(str(answer.status) in right, f"status = {answer.status}", f"status = {case.notes['status']}")
        said, wanted = allowed(answer.get("Allow")) - {"OPTIONS"}, allowed(case.notes["allow"])
        that(said == wanted, f"Allow = {answer.get('Allow')!r}", f"Allow = {case.notes['allow']!r}")


@check(task=2, rule="README, rule 4")
def test_task2_what_does_not_fit_is_404(probe, rng):
    """A segment that no converter takes is 404"""
    site, number, key = one_of_each(), rng.randrange(10, 99), UUID(int=rng.getrandbits(128), version=4)
    digits = "an int is digits 0 to 9, one or more, and nothing else"
    dashed = "a uuid is 8-4-4-4-12 hexadecimal digits"
    whole = "a str is one segment, and not an empty one"
    cases = [
        (f"/tasks/{word(rng)}", digits),
        (f"/tasks/{number}x", digits),
        (f"/tasks/-{number}", digits),
        (f"/tasks/+{number}", digits),
        (f"/tasks/ {number}", digits),
        (f"/tasks/{number}_0", f"{digits}: Python's int() takes 4_2, too"),
        (f"/tasks/{latin('٤٢')}", f"{digits}: Python's int() and \\d take the digits of every script"),
        (f"/tasks/{latin('²')}", f"{digits}: ² is a digit to str.isdigit, and int() raises"),
        (f"/tasks/{number}\n", f'{digits}. "$" in a regular expression fits before a last newline, too'),
        (f"/jobs/{key.hex}", dashed),
        (f"/jobs/{{{key}}}", dashed),
        (f"/jobs/{number}", dashed),
        (f"/hello/{word(rng)}/{word(rng)}", whole),
        ("/labels//edit", whole),
        ("/files/", "a path has one character at least"),
    ]
    for path, why in cases:
        not_found(probe.wsgi(site, path=path), why)
    reached(probe.wsgi(site, path=f"/tasks/{number}"), "task", digits)
    reached(probe.wsgi(site, path=f"/jobs/{key}"), "job", dashed)
    reached(probe.wsgi(site, path=f"/jobs/{str(key).upper()}"), "job", "A to F are hexadecimal digits, too")
    digits_without_end(probe)
    bad_patterns(probe, rng)


@check(task=2, rule='PEP 3333, "Unicode Issues"')
def test_task2_segments_are_utf8_and_decoded_once(front, rng):
    """Segments are UTF-8, and decoded once"""
    who = far_name(rng)
    asked = [
        (f"/labels/{quote(who)}", {"label": who}, "the bytes are UTF-8; the environ has them as latin-1"),
        ("/labels/100%25", {"label": "100%"}, "the server has decoded PATH_INFO"),
        ("/labels/%2541", {"label": "%41"}, "the server has decoded PATH_INFO; decoded again it is A"),
        ("/labels/a+b", {"label": "a+b"}, "a plus sign is a space in a query, not in a path"),
        (f"/files/{quote(who)}/a%2Fb", {"rest": f"{who}/a/b"}, "the server made a slash of %2F"),
    ]
    for target, values, why in asked:
        same(front.get(target), values, why)
    for case in wire_cases(__file__, "utf8-*.http"):
        answer = front.send(case.data)
        same(answer, {"label": case.notes["label"]}, "the bytes are UTF-8; the environ has them as latin-1")
    slash = front.send(wire_cases(__file__, "encoded-slash.http")[0].data)
    if slash.status != 404:  # who splits the target as it was sent, where the server keeps it, can tell
        same(slash, {"label": "a/b"}, "or 404: in PATH_INFO it is a slash like any other")
    broken = front.send(wire_cases(__file__, "not-utf8.http")[0].data)
    right = "400, 404, or a label with U+FFFD: invalid UTF-8 must not break the router"
    that(broken.status in (200, 400, 404), f"status = {broken.status}", right)


@check(task=2, rule="README, rule 5")
def test_task2_precedence_is_not_the_order_of_the_list(probe, rng):
    """The narrower pattern wins, in any order of the list"""
    tasks, number, key = word(rng), rng.randrange(10, 99), UUID(int=rng.getrandbits(128), version=4)
    patterns = {
        "new": f"/{tasks}/new",
        "number": f"/{tasks}/<int:id>",
        "key": f"/{tasks}/<uuid:key>",
        "name": f"/{tasks}/<name>",
        "rest": f"/{tasks}/<path:rest>",
        "files": f"/{tasks}/{number}/files",
        "notes": f"/{tasks}/<int:id>/notes",
        "section": "/<section>/new",
        "anything": "/<path:anything>",
    }
    narrow = "is the narrowest: at the first segment that differs, text, then uuid, int, str, path"
    back = "is the narrowest that fits: where the exact text leads nowhere, go back and try the parameter"
    asked = [
        (f"/{tasks}/new", "new", narrow),
        (f"/{tasks}/{number}", "number", back),
        (f"/{tasks}/{key}", "key", narrow),
        (f"/{tasks}/ada", "name", narrow),
        (f"/{tasks}/ada/42", "rest", narrow),
        (f"/{tasks}/{number}/files", "files", narrow),
        (f"/{tasks}/{number}/notes", "notes", back),
        ("/labels/new", "section", narrow),
        ("/labels/old", "anything", back),
    ]
    names = rng.sample(list(patterns), len(patterns))
    for order in (names, names[::-1]):
        site = router(*[route(patterns[called], called=called) for called in order])
        for path, called, why in asked:
            reached(probe.wsgi(site, path=path), called, f"{patterns[called]} {why}")
    dead_ends_leave_no_value(probe, word(rng), str(number))


# --- task 3 -----------------------------------------------------------------------------------------


@check(task=3, rule='PEP 3333, "environ Variables"')
def test_task3_a_mount_moves_the_prefix(probe, rng):
    """A mount moves its prefix from PATH_INFO to SCRIPT_NAME"""
    outer, inner, far = word(rng), word(rng), rng.choice(FAR_NAMES)
    site = router(
        route("/", called="home"),
        mount(f"/{outer}", app("mounted")),
        mount(f"/{far}", app("far")),
        mount("/deep", router(mount(f"/{inner}", app("inner")), route("/items/<int:id>", called="item"))),
    )
    rest = f"/tasks/{latin(far)}/100%"
    asked = [
        (f"/{outer}/tasks/42", "mounted", f"/{outer}", "/tasks/42"),
        (f"/{outer}{rest}", "mounted", f"/{outer}", rest),
        (f"/{outer}/", "mounted", f"/{outer}", "/"),
        (f"/{outer}/{outer}/x/", "mounted", f"/{outer}", f"/{outer}/x/"),
        (f"/{latin(far)}/x", "far", f"/{latin(far)}", "/x"),
        (f"/deep/{inner}/x", "inner", f"/deep/{inner}", "/x"),
        ("/deep/items/42", "item", "/deep", "/items/42"),
    ]
    verbs = iter([*METHODS[:6], "GET"])
    befores = ["/v1", f"/{latin(far)}", ""] * len(asked)
    for before, (path, called, script_name, path_info) in zip(befores, asked, strict=False):
        verb = next(verbs)
        seen = probe.wsgi(site, verb, path, SCRIPT_NAME=before, **LAYERS)
        environ = reached(seen, called, under_its_prefix(path))
        keeps_what_layers_put(environ)
        why = "the prefix, after what was there; as bytes in latin-1"
        expect("SCRIPT_NAME", environ.get("SCRIPT_NAME"), before + script_name, why)
        why = "the rest; with SCRIPT_NAME before it, it is the path of the request"
        expect("PATH_INFO", environ.get("PATH_INFO"), path_info, why)
    comes_back_unchanged(probe, rng, mounted=True)
    prefix_alone(probe, site, f"/{outer}", "mounted")


@check(task=3, rule='PEP 3333, "environ Variables"')
def test_task3_prefixes_end_at_a_slash_and_the_longest_wins(probe, rng):
    """A prefix is made of whole segments, and the longest wins"""
    api = word(rng)
    parts = [
        mount(f"/{api}", app("first")),
        mount(f"/{api}/v2", app("second")),
        mount(f"/{api}/v2/admin", app("third")),
        mount(f"/{api}/new/today", app("fourth")),
        route("/tasks/<int:id>", called="task"),
    ]
    asked = [
        (f"/{api}/v2/x", "second", "/x"),
        (f"/{api}/v20/x", "first", "/v20/x"),
        (f"/{api}/v2/admin/x", "third", "/x"),
        (f"/{api}/v2/administrator", "second", "/administrator"),
        (f"/{api}/x/{api}/v2", "first", f"/x/{api}/v2"),
        (f"/{api}/new/x", "first", "/new/x"),
        ("/tasks/42", "task", "/tasks/42"),
    ]
    rng.shuffle(parts)
    for order in (parts, parts[::-1]):
        for path, called, left in asked:
            why = "the longest prefix that ends where a segment ends"
            environ = reached(probe.wsgi(router(*order), path=path), called, why)
            expect("PATH_INFO", environ.get("PATH_INFO"), left)
    for path in (f"/{api}{word(rng)}/x", f"/{api}2", f"/x/{api}/v2"):
        not_found(probe.wsgi(router(*parts), path=path), f"not under /{api}: a prefix ends at a slash")


@check(task=3, rule='PEP 3333, "URL Reconstruction"')
def test_task3_flask_django_and_tasks_run_under_prefixes(front, rng):
    """Flask, Django and the tasks API run under prefixes, unchanged"""
    somebody = far_name(rng)
    greeting, query = f"Hello, {somebody}!\n".encode(), quote(somebody)
    for framework in ("flask", "django"):
        answer = front.get(f"/{framework}/?name={query}")
        expect("status", answer.status, 200, f"{framework} responds to PATH_INFO '/'")
        expect("body", answer.body, greeting)
        data = word(rng).encode()
        answer = front.request("POST", f"/{framework}/upper", body=data)
        expect("body", answer.body, data.upper(), "wsgi.input is the application's to read")
        expect("status", front.get(f"/{framework}/{word(rng)}").status, 404)
    for case in wire_cases(__file__, "mounted-*.http"):
        answer = front.send(case.data)
        expect("status", answer.status, int(case.notes["status"]))
        expect("body", answer.body, case.notes["body"].encode())
    tasks_api_is_at(front, "/api", name(rng))
    item = said_by(front.get("/shop/items/7"))
    expect("SCRIPT_NAME", item.get("SCRIPT_NAME"), "/shop", "a router under a router")


# --- task 4 -----------------------------------------------------------------------------------------


@check(task=4, rule="RFC 3986 §2.1, §3.3")
def test_task4_url_for_leads_back(probe, rng):
    """url_for leads back to the route and its values"""
    routes, key = named_routes(), str(UUID(int=rng.getrandbits(128), version=4))
    rng.shuffle(routes)
    nasty = rng.sample(NASTY, len(NASTY))
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("home", {}),
        ("task", {"id": rng.randrange(10**6)}),
        ("note", {"id": 0, "note": rng.randrange(1000)}),
        ("job", {"key": key}),
        ("hello", {"name": far_name(rng)}),
        ("file", {"rest": f"{nasty[0]}/{far_name(rng)}/{nasty[1]}.txt"}),
        ("café", {"name": word(rng)}),
        *[("label", {"label": text}) for text in nasty],
    ]
    before = f"/v{rng.randrange(9)}/{latin(rng.choice(FAR_NAMES))}"
    urls = urls_of(probe, routes, before, wanted)
    for (of, values), url in zip(wanted, urls, strict=True):
        path = unquote_to_bytes(url).decode("latin-1")
        text = f"{called_as(of, values)} = {url!r}"
        that(
            path.startswith(before + "/"),
            text,
            f"{quote(before, encoding='latin-1')}/…     SCRIPT_NAME, encoded, comes first",
        )
        seen = probe.wsgi(router(*routes), path=path[len(before) :], SCRIPT_NAME=before)
        ended_well(seen)
        environ = reached(seen, of, f"this is where {url} leads")
        got = values_of(environ) if values else {}
        if "key" in got:
            got = {"key": getattr(got["key"], "text", "").removeprefix("UUID('").removesuffix("')")}
        expect(f"values at {url}", got, values, f"{text}, and back")
    refuses(probe, routes, word(rng))
    under_two_prefixes(probe, rng)


@check(task=4, rule="RFC 9110 §15.4.8, §15.4.9")
def test_task4_slash_redirects_keep_method_and_query(front, probe, rng):
    """A slash redirect keeps method and query"""
    who, query = far_name(rng), f"x={word(rng)}%20y&x=%C3%AB&empty="
    target = f"/hello/{quote(who)}"
    answer = front.request("POST", f"{target}?{query}")
    that(
        answer.status in KEEPS_METHOD,
        f"status = {answer.status}",
        "307 or 308, to /hello/<name>/: after a 301 or 302, clients send a GET without the body",
    )
    goes_to(answer.get("Location"), f"{target}/", query)
    said = said_by(front.request("POST", f"{target}/?{query}"))
    expect("values", said.get("values"), {"name": who}, "the route that the redirect leads to")
    for case in wire_cases(__file__, "slash-*.http"):
        answer = front.send(case.data, "POST")
        that(answer.status in KEEPS_METHOD, f"status = {answer.status}", "307 or 308")
        goes_to(answer.get("Location"), *case.notes["location"].split("?"))
    plain = front.get(target)
    redirected = plain.status in (301, 302, *KEEPS_METHOD)
    that(redirected, f"status = {plain.status}", "a redirect to the path with a slash")
    goes_to(plain.get("Location"), f"{target}/", "")
    mounted = probe.wsgi(
        router(route("/tasks/", called="list")), path="/tasks", query="a=1", SCRIPT_NAME="/v1"
    )
    ended_well(mounted)
    goes_to(field(mounted, "Location"), "/v1/tasks/", "a=1")
    pages = {"/": "home", "/tasks": "without", "/tasks/": "with", "/x": "x"}
    both = router(*[route(pattern, called=page) for pattern, page in pages.items()])
    reached(probe.wsgi(both, path="/tasks"), "without", "both are patterns of their own")
    reached(probe.wsgi(both, path="/tasks/"), "with", "both are patterns of their own")
    head = probe.wsgi(router(route("/tasks/", called="list")), "HEAD", "/tasks")
    ended_well(head)
    expect("body of the response to HEAD", head.body, b"", "a redirect's, too", rule="RFC 9110 §9.3.2")
    leads_nowhere_else(probe, both)


@check(task=4, rule="RFC 9110 §10.2.2, §17")
def test_task4_redirects_stay_on_this_site(probe, rng):
    """No path makes a redirect leave this site"""
    host, far = f"{word(rng)}.example", rng.choice(FAR_NAMES)
    with_slash, without = router(route("/<name>/", called="page")), router(route("/<name>", called="page"))
    good = probe.wsgi(with_slash, path=f"/{latin(far)}")
    ended_well(good)
    goes_to(field(good, "Location"), f"/{quote(far)}/", "")
    cases = [
        (with_slash, f"//{host}"),
        (without, f"//{host}/"),
        (without, f"//{host}"),
        (with_slash, f"/\\{host}"),
        (with_slash, f"/{host}\r\nX-Made-Up: 1"),
    ]
    for site, path in cases:
        seen = probe.wsgi(site, path=path)
        ended_well(seen)
        for location in [str(value) for key, value in seen.headers if str(key).lower() == "location"]:
            got = f"Location = {location!r}"
            encoded = "Location = a URL: PATH_INFO arrives decoded: percent-encode it again"
            that(URI.fullmatch(location), got, encoded, rule="RFC 3986 §2.1")
            to = urlsplit(urljoin("http://localhost/", location)).netloc.partition(":")[0]
            here = f"a place on this site: a browser would go to {to}"
            that(to == "localhost", got, here, rule="RFC 3986 §4.2")
