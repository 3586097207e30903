"""Grading a class: submissions in, verdicts out, by checks that run outside of the sandboxes they judge.

intake ──▶ batch ──▶ slot: sandbox (bubblewrap, docker) ◀── Unix sockets ──▶ proctor (the lab's own checks)
             │                                                                     │
             └──▶ store (content-addressed) ◀──────── outcome, kernel facts ◀──────┘
                    │
                    └──▶ results.json, HTML, CSV, JUnit, Gradescope, a column of the LMS's export
"""
