"""The tool behind the Makefile: it starts a lab's stack, runs the checks and explains what they saw."""
