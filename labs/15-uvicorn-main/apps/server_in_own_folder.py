"""Runs a server in a folder of its own, whose files can be changed while it runs.

    python -m server_in_own_folder main.py page:app --reload

makes a folder in the temporary directory, writes `page.py` into it, and becomes `python main.py page:app
--reload` there. Another process changes the files: `write(pid, "page.py", text)`. What earlier ones left is
removed: the folder is named after the process. Emacs has `page.py` open there, with changes that are not
saved: a link `.#page.py` leads to nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

FIRST = """\
from which_process_asgi import edition
from wing.east import SAID

app = edition(SAID)
"""
EAST = "SAID = {!r}\n"
LOCKS = 40


def folder_of(pid: int) -> Path:
    """The folder of the server with this process id."""
    return Path(tempfile.gettempdir()) / f"workshop-own-folder-{pid}"


def write(pid: int, name: str, text: str, by_rename: bool = False) -> None:
    """Save a file of that server's as editors do: in place, or as a new file in the old one's place."""
    path = folder_of(pid) / name
    draft = path.with_suffix(".draft") if by_rename else path
    draft.write_text(text, encoding="utf-8")
    draft.rename(path)


def being_edited(path: Path) -> None:
    """Emacs's lock on a file: a symbolic link that leads nowhere, and says who edits it.

    It is there before the server is: one that appears later would look like a save to who sees it come.
    Folders list their files in an order of their own. Other locks are made until one comes before the file.
    """
    for other in (path.name, *(f"draft_{number}.py" for number in range(LOCKS))):
        link = path.with_name(f".#{other}")
        if not link.is_symlink():
            link.symlink_to("ada@lighthouse.4711")
        names = [one.name for one in path.parent.iterdir()]
        if any(one.startswith(".#") for one in names[: names.index(path.name)]):
            return


def tidy_up() -> None:
    """Remove the folders of processes that are gone."""
    for folder in Path(tempfile.gettempdir()).glob("workshop-own-folder-*"):
        try:
            os.kill(int(folder.name.rpartition("-")[2]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (OSError, ValueError):
            continue


def main() -> None:
    """Become the command, in a folder of its own."""
    program, *words = sys.argv[1:]
    tidy_up()
    folder = folder_of(os.getpid())
    with contextlib.suppress(FileExistsError):  # a folder left by somebody who had this number before
        folder.mkdir()
    (folder / "wing").mkdir(exist_ok=True)
    write(os.getpid(), "page.py", FIRST)
    write(os.getpid(), "wing/east.py", EAST.format("first"))
    being_edited(folder / "page.py")
    there = str(Path(program).resolve())
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, there, *words])


if __name__ == "__main__":
    main()
