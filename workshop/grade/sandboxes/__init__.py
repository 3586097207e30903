"""Runs a submission where it can do no harm: one interface, three kinds, limits, users and sockets.
May import run (what is inside), judge's clients, and the common files; sandbox_init is what runs inside.
Must never hold a check, a solution of the lab that is judged, or a verdict; nothing of judging or results.
"""
