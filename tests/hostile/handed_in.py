"""Lays out what an ingest case describes: a folder, an archive or a link, as a student would hand it in."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.hostile.cases import Case
from workshop.grade.submissions.submission_files import ARCHIVES

TAR_KINDS = {
    "link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "device": tarfile.CHRTYPE,
}
LOCKED = 0x1  # the bit of a zip member's flags that says: encrypted
DEFAULT = b"print('Ada')\n"
Member = dict[str, Any]


class HandedIn:
    """Writes cases into the folder of a class. `solution` is a right file, `hidden` where the secrets are."""

    def __init__(self, folder: Path, solution: bytes, hidden: Path) -> None:
        self.folder, self.solution, self.hidden = folder, solution, hidden

    def lay(self, case: Case) -> str:
        """Hand a case in; the id of the student whose it is."""
        name = str(case.more["as"]).replace("mallory", case.folder.name)
        path = self.folder / name
        members = [one for member in case.more.get("members", []) for one in self._each(member)]
        if "link" in case.more:
            path.symlink_to(self.folder / case.more["link"])
        elif case.more.get("fifo"):
            os.mkfifo(path)
        elif "raw" in case.more:
            path.write_bytes(case.more["raw"].encode("latin-1"))
        elif "repeated" in case.more:
            path.write_bytes(repeated_tar(case.more["repeated"]))
        elif name.endswith(".zip"):
            path.write_bytes(self._zip(members))
        elif name.endswith(".tar.gz"):
            self._tar(path, members)
        else:
            self._folder(path, members)
        return next((name.removesuffix(end) for end in ARCHIVES if name.endswith(end)), name)

    @staticmethod
    def _each(member: Member) -> Iterator[Member]:
        for number in range(member.get("times", 1)):
            yield {**member, "path": member["path"].replace("{}", str(number))}

    def _data(self, member: Member) -> bytes:
        if member.get("is") == "solution":
            return self.solution
        if "zip" in member:
            inner = self._zip([{"path": "server.py"}])
            return self._zip([{"path": member["zip"], "data": inner}])
        if "zeros" in member:
            return bytes(member["zeros"])
        text = member.get("text")
        given: bytes = member.get("data", DEFAULT)
        return given if text is None else str(text).encode()

    def _to(self, member: Member) -> str:
        return str(member["to"]).replace("@hidden", str(self.hidden))

    def _zip(self, members: list[Member]) -> bytes:
        out = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            warnings.simplefilter("ignore")  # it knows that two members of one name are no good idea
            for member in members:
                info = zipfile.ZipInfo("x")
                info.filename = member["path"]  # as it is: ZipInfo would mend backslashes and NULs
                is_link = member.get("is") == "link"
                info.external_attr = (stat.S_IFLNK if is_link else stat.S_IFREG) << 16 | 0o644 << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, self._to(member) if is_link else self._data(member))
        data = out.getvalue()
        if any(member.get("locked") for member in members):
            local, central = bytearray(data), data.index(b"PK\x01\x02")
            local[6] |= LOCKED
            local[central + 8] |= LOCKED
            data = bytes(local)
        return data

    def _tar(self, path: Path, members: list[Member]) -> None:
        with tarfile.open(path, "w:gz") as archive:
            for member in members:
                info = tarfile.TarInfo(member["path"])
                info.type = TAR_KINDS.get(member.get("is", ""), tarfile.REGTYPE)
                info.linkname = self._to(member) if "to" in member else ""
                data = self._data(member) if info.isreg() else b""
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))

    def _folder(self, path: Path, members: list[Member]) -> None:
        path.mkdir()
        for member in members:
            place = path / member["path"]
            place.parent.mkdir(parents=True, exist_ok=True)
            match member.get("is"):
                case "link":
                    place.symlink_to(self._to(member))
                case "fifo":
                    os.mkfifo(place)
                case _:
                    place.write_bytes(self._data(member))
                    place.chmod(member.get("mode", 0o644))


def repeated_tar(count: int) -> bytes:
    """A .tar.gz with one member's head so many times: small as it is stored."""
    head = tarfile.TarInfo("x.py").tobuf()
    out = io.BytesIO()
    with gzip.open(out, "wb", compresslevel=1) as file:
        for _ in range(count // 1000):
            file.write(head * 1000)
    return out.getvalue()
