"""The members of a submission: a folder's, a .zip's or a .tar.gz's files, of bounded number and size.

Nothing is ever unpacked to a disk. What is not a plain file inside its archive is refused by its type.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

MEMBERS_CAP = 10_000
ARCHIVE_CAP = 32 << 20  # bytes of an archive as it is stored
UNPACKED_CAP = 128 << 20  # bytes that come out of one while it is read
FILE_CAP = 1 << 20  # bytes of a file that is taken
DEPTH_CAP = 16
ARCHIVES = (".zip", ".tar.gz", ".tgz")
LISTED_CAP = 60_000  # members of an archive, with those that nobody looks at
ZIP_LISTED = b"PK\x01\x02"  # with which each member is listed at a zip's end
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Folders of a repository in which nobody's work is, and which may have any number of files.
ASIDE = frozenset({"__MACOSX", "__pycache__", "node_modules", "site-packages", "venv"})


class Unusable(Exception):
    """A submission, or a member of one, that can't be taken; the reason in words."""


@dataclass(frozen=True)
class Member:
    """A file's path inside of its submission, and a way to its bytes (at most `cap`, else Unusable)."""

    path: PurePosixPath
    read: Callable[[int], bytes]


def is_aside(path: PurePosixPath) -> bool:
    """Whether a file is in a folder where nobody's work is: an environment's, or a hidden one."""
    return any(one in ASIDE or (one.startswith(".") and one != "..") for one in path.parts[:-1])


def in_words(error: Exception) -> str:
    """Why a stranger's file can't be taken, whatever was raised over it."""
    match error:
        case Unusable():
            return str(error)
        case EOFError() | tarfile.TarError():
            return f"it ends in the middle, or is broken: was the upload cut short? ({type(error).__name__})"
        case zipfile.BadZipFile() | zlib.error() | gzip.BadGzipFile():
            return f"it is not an archive that can be read ({type(error).__name__})"
        case OSError(strerror=str(words)):
            return words
        case RuntimeError() | NotImplementedError():  # zipfile's, for what is locked
            return f"it can't be unpacked ({type(error).__name__})"
    return f"it can't be read ({type(error).__name__})"


def is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def members(path: Path, refused: list[str]) -> Iterator[Member]:
    """A folder's or an archive's files; what was refused, and why, is added to `refused`.

    Raises Unusable when the whole can't be read. An archive's member must be read before the next is taken.
    """
    if path.is_symlink():
        raise Unusable("it is a link")
    if path.is_dir():
        yield from _of_folder(path, refused)
    elif path.is_file():
        if path.stat().st_size > ARCHIVE_CAP:
            raise Unusable(f"it is larger than {ARCHIVE_CAP >> 20} MiB")
        yield from of_bytes(path.name, path.read_bytes(), refused)
    else:
        raise Unusable("it is neither a file nor a folder")


def of_bytes(name: str, data: bytes, refused: list[str]) -> Iterator[Member]:
    """An archive's files. Raises Unusable when it is none, or too much comes out of it."""
    kind = _of_zip if name.lower().endswith(".zip") else _of_tar
    try:
        yield from kind(data, refused)
    except Unusable:
        raise
    except Exception as error:  # a library's over a stranger's bytes: nobody can list what they raise
        raise Unusable(in_words(error)) from error


def safe_path(name: str) -> PurePosixPath:
    """A member's path. Raises Unusable when it is absolute or climbs out of its archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise Unusable("its path leads out of the archive")
    if len(path.parts) > DEPTH_CAP or len(name) > 4096 or "\0" in name:
        raise Unusable("its path is too long, or no path")
    return path


def _of_folder(folder: Path, refused: list[str]) -> Iterator[Member]:
    count = 0
    waiting = [folder]
    while waiting:
        here = waiting.pop(0)
        for entry in sorted(os.scandir(here), key=lambda one: one.name):
            path = Path(entry.path)
            inside = PurePosixPath(path.relative_to(folder).as_posix())
            if is_aside(inside / "file"):
                continue
            count += 1
            if count > MEMBERS_CAP:
                raise Unusable(f"it has more than {MEMBERS_CAP} files")
            if entry.is_symlink():
                refused.append(f"{inside}: a link")
            elif entry.is_dir(follow_symlinks=False):
                if len(inside.parts) < DEPTH_CAP:
                    waiting.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield Member(inside, lambda cap, path=path: read_plain(path, cap))  # type: ignore[misc]
            else:
                refused.append(f"{inside}: not a plain file")


def read_plain(path: Path, cap: int) -> bytes:
    """A plain file's bytes, through no link. Raises Unusable when it is none, or larger than `cap` bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unusable(f"it can't be opened ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unusable("it is not a plain file")
        return _capped(file, cap)


def _capped(file: IO[bytes], cap: int) -> bytes:
    data = file.read(cap + 1)
    if len(data) > cap:
        raise Unusable(f"it is larger than {cap >> 10} KiB")
    return data


def _of_zip(data: bytes, refused: list[str]) -> Iterator[Member]:
    if data.count(ZIP_LISTED) > LISTED_CAP:  # before zipfile makes an object of each
        raise Unusable(f"it has more than {MEMBERS_CAP} members")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        count = 0
        for info in archive.infolist():
            mode = info.external_attr >> 16
            try:
                path = safe_path(info.filename)
            except Unusable as reason:
                refused.append(f"{info.filename}: {reason}")
                continue
            if info.is_dir() or is_aside(path):
                continue
            count += 1
            if count > MEMBERS_CAP:
                raise Unusable(f"it has more than {MEMBERS_CAP} members")
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                refused.append(f"{info.filename}: {_kind(mode)}")
                continue
            yield Member(path, lambda cap, info=info: _unzipped(archive, info, cap))  # type: ignore[misc]


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, cap: int) -> bytes:
    if info.compress_type not in ZIP_METHODS:
        raise Unusable("it is packed in a way that is not taken: only stored and deflated members are")
    try:
        with archive.open(info) as file:
            return _capped(file, cap)
    except Unusable:
        raise
    except Exception as error:  # as above: locked, cut, a name in no encoding …
        raise Unusable(in_words(error)) from error


def _kind(mode: int) -> str:
    return "a link" if stat.S_ISLNK(mode) else "not a plain file"


class _Metered(io.RawIOBase):
    """A stream that ends with Unusable when more comes out of it than anybody hands in."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._left = stream, UNPACKED_CAP

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(1 << 20, size) if size >= 0 else 1 << 20)
        self._left -= len(data)
        if self._left < 0:
            raise Unusable(f"more than {UNPACKED_CAP >> 20} MiB come out of it")
        return data


def _of_tar(data: bytes, refused: list[str]) -> Iterator[Member]:
    count = listed = 0
    with gzip.open(io.BytesIO(data)) as unpacked:
        metered = _Metered(unpacked)  # type: ignore[arg-type]
        with tarfile.open(fileobj=metered, mode="r|", bufsize=1 << 16) as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # it would remember every one
                listed += 1
                aside = is_aside(PurePosixPath(info.name.removeprefix("./")))
                count += not aside
                if count > MEMBERS_CAP or listed > LISTED_CAP:
                    raise Unusable(f"it has more than {MEMBERS_CAP} members")
                if info.isdir() or aside:
                    continue
                if not info.isreg():
                    refused.append(
                        f"{info.name}: {'a link' if info.issym() or info.islnk() else 'not a plain file'}"
                    )
                    continue
                try:
                    path = safe_path(info.name)
                except Unusable as reason:
                    refused.append(f"{info.name}: {reason}")
                    continue
                yield Member(path, lambda cap, info=info: _untarred(archive, info, cap))  # type: ignore[misc]


def _untarred(archive: tarfile.TarFile, info: tarfile.TarInfo, cap: int) -> bytes:
    if info.size > cap:
        raise Unusable(f"it is larger than {cap >> 10} KiB")
    file = archive.extractfile(info)
    if file is None:
        raise Unusable("it is not a plain file")
    return _capped(file, cap)
