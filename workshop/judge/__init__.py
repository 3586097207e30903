"""Runs in the process that decides, under pytest: from a check's question to a verdict and how it reads.
May import the common files and, of run, what starts the other side and names its data; pytest and rich.
Must never import the learner's code, nor what does: not run.agent, run.probe or run.target_processes.
"""
