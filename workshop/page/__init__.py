"""Runs as a process of the tool's, behind nginx at /__lab/: lesson, live verdicts and the last load run.
May import learn's hints, judge's words, run's names, and the common files; Starlette, jinja2, markdown-it.
Must never import the learner's code or decide anything; what it shows of them is text, never markup.
"""
