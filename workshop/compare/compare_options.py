"""The options of `compare`, apart from what runs it: each command reads them, and few run that."""

from __future__ import annotations

import argparse


def options(command: argparse.ArgumentParser) -> None:
    command.add_argument("lab", nargs="?", help="a lab's number (all that are compared)")
    command.add_argument("--only", metavar="NAME", help="one implementation, by its name in compare.toml")
    command.add_argument("--costs", action="store_true", help="speed and memory, in place of rules")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--record", action="store_true", help="write results.json and COMPARED.md")
    how.add_argument("--page", action="store_true", help="write COMPARED.md of what is recorded")
    how.add_argument("--recorded", action="store_true", help="run nothing but yours, beside what is recorded")
