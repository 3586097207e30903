"""Runs beside the learner's code, started by the stack or as a sandbox's first program; it judges nothing.
May import the tool's common files (labs, paths, errors, last_verdicts) and the standard library.
Must never touch a check, a verdict or a solution's text: nothing of judge, learn, load or grade.
"""
