"""Tests of the class grader: what needs no sandbox, and what does."""
