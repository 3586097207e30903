from workshop.checks import check, expect


@check(task=1, rule='PEP 3333, "The Application/Framework Side"')
def test_task1_says_hello(front):
    """GET / answers 200 with "Hello, world!" as text"""
    answer = front.get("/")
    expect("status", answer.status, 200)
    expect("body", answer.body, b"Hello, world!\n")


@check(task=1, rule="RFC 9110 §8.6")
def test_task1_length_is_counted_in_bytes(probe):
    """Content-Length is the number of bytes"""
    seen = probe.wsgi("app:application", headers=[("Host", "x")])
    expect("status", seen.status, "200 OK")
