"""Runs for a person at a terminal: watching, hints, progress, work put aside, debugging, the doctor.
May import anything of run and judge, and the common files.
Must never change a verdict or write over what a learner wrote; nothing of grade.
"""
