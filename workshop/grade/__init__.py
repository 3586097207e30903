"""Grading a class: submissions in, verdicts out, by checks that run outside of the sandboxes they judge.

submissions ─▶ judging (a slot each): sandboxes ◀── Unix sockets ──▶ judge process (the lab's own checks)
                  │                                                              │
                  └──▶ outcome cache ◀──────── outcome, kernel facts ◀───────────┘
                         │
                         └──▶ results: JSON, HTML, CSV, JUnit, Gradescope, a column of the LMS's export
"""
