"""A student's timelines: what the transcript has of the checks that failed, in lanes, and of no others."""

from __future__ import annotations

import json

from workshop.grade.results.transcript_timelines import script, timelines

TRANSCRIPT = """== test_task1_a
  0.001  #1   agent  open
  0.001  #1   agent  > {"do": "start", "service": "main"}\\n
  0.150  #1   agent  < {"state": "ready"}\\n
  0.151  #2   8000   open
  0.152  #2   8000   > GET /caf\\xe9 HTTP/1.1\\r\\n\\r\\n
  0.153  #1   agent  > {"do": "rest", "service": "main"}\\n
  0.154  #1   agent  < {"at_rest": true}\\n
  2.152  #2   8000   < </script><script>x</script> ... 900 bytes more
  2.153  #2   8000   was reset
  2.154  #2   8000   nothing came in time
         3 events more
== test_task1_b
  0.001  #3   8001   open
== test_task1_c
  0.001  #4   8001   > secret

(once more, alone)
== test_task1_a
  0.002  #1   agent  > {"do": "probe", "module": "app"}\\n
  0.003  #1   agent  < {"events": []}\\n
  0.004  #1   agent  end
"""


def test_what_failed_is_drawn_run_by_run() -> None:
    found = timelines(TRANSCRIPT, {"test_task1_a", "test_task1_b"})
    assert list(found) == ["test_task1_a", "test_task1_b"]
    first, again = found["test_task1_a"]
    assert [(one.lane, one.what) for one in first.events] == [
        ("client", "asked the sandbox: start"),
        ("server", "the sandbox said"),
        ("client", "connected to nginx"),
        ("client", "sent"),
        ("client", "got"),
        ("client", "saw a reset"),
        ("client", "nothing came in time"),
    ]
    assert first.events[3].size == len(b"GET /caf\xe9 HTTP/1.1\r\n\r\n")
    assert first.events[4].size == len("</script><script>x</script>") + 900 and first.left_out == 3
    assert [(round(one.seconds, 1), one.after) for one in first.waits][-1] == (2.0, "client: sent")
    assert set(first.silent) == {"nginx", "application"}
    assert [(one.lane, one.what) for one in again.events] == [
        ("client", "asked the sandbox: probe"),
        ("application", "the probe said"),
        ("application", "the sandbox was gone"),
    ]


def test_the_file_beside_the_page_has_nothing_that_ends_a_script_and_nothing_of_other_checks() -> None:
    text = script(TRANSCRIPT, ["test_task1_a"])
    assert text.isascii() and "<" not in text and "secret" not in text and "test_task1_b" not in text
    data = json.loads(text.removeprefix("window.timelines = ").removesuffix(";\n"))
    assert "</script>" in data["test_task1_a"][0]["events"][4]["data"]
    assert script("", ["test_task1_a"]) == "window.timelines = {};\n"
