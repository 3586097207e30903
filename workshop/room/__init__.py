"""Runs as processes of the tool's: `make room` on the host's machine, and a reporter beside a watch.
May import page's safe answers and titles, learn's hints, judge's wire and verdicts, grade's untrusted text.
Must never import the learner's code, nor send any of it; what learners typed is text, never markup.
"""
