"""Runs as a process of the tool's, behind nginx at /__lab/: lesson, verdicts, load, comparison.
May import learn's hints, compare's records, judge's words, run's names, the common files, and libraries.
Must never import the learner's code or decide anything; what it shows of them is text, never markup.
"""
