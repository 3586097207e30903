"""Runs a class: the manifest, one submission against a sandbox, many side by side, on one machine or several.
May import submissions, sandboxes, judge, load and the common files.
Must never import a submission's code; a sandbox's answers are checked before they are used.
"""
