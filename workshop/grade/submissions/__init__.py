"""Runs first, in the grader: what somebody handed in becomes files of a known person. All of it is data.
May import the common files and untrusted_text.
Must never run, import or unpack into place anything of a submission; nothing of the other rooms.
"""
