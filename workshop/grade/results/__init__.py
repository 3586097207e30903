"""Runs last: outcomes become results, pages and the files that an LMS takes.
May import judging's outcomes, submissions' people, untrusted_text, judge's timeline and the common files.
Must never ask a sandbox or a clock: the same outcomes give the same bytes.
"""
