"""The page to chat with: one HTML file, served by the application that it then talks to."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).with_suffix(".html").read_bytes()
