"""Runs for `make load-N` and for a class's load stage: locust beside two services, and what it measured.
May import judge's stack and words, run's processes, and the common files.
Must never import the learner's code, a locustfile (locust does, elsewhere), learn or grade.
"""
