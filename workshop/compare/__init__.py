"""Runs for `make compare-N`, and its plug-in in the judge's process: a lab's checks on real implementations.
May import workshop.run and workshop.judge, and the common files of the tool.
Must never import what is compared: it runs beside the agent, as a learner's file does.
"""
