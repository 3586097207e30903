"""Whose a submission is, and what of it is taken: by hostile archives as well as by honest downloads."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from workshop.errors import Refusal
from workshop.grade.submissions import archives
from workshop.grade.submissions.class_roster import Roster
from workshop.grade.submissions.collect import Submission, collect
from workshop.labs import find

LAB = find("5")
CODE = b"print('Ada')\n"
SECRET = b"a secret of the host's"


def only(folder: Path, roster: Roster | None = None) -> Submission:
    (found,) = collect(folder, LAB, roster or Roster())
    return found


def zipped(path: Path, members: dict[str, bytes], kinds: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (kinds or {}).get(name, 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, data)
    return path


def tarred(path: Path, members: list[tarfile.TarInfo], data: bytes = CODE) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for info in members:
            info.size = len(data) if info.isreg() else 0
            file.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_names_of_folders_archives_and_downloads(tmp_path: Path) -> None:
    roster_file = tmp_path / "roster.csv"
    roster_file.write_text(
        "id,name,canvas,email\nal1,Ada Lovelace,4711,ada@x.org\ngh2,Grace Hopper,4712,g@x.org\n"
    )
    roster = Roster.read(roster_file)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "lovelaceada_LATE_4711_99001_server-1.py").write_bytes(CODE)
    moodle = folder / "Grace Hopper_88_assignsubmission_file_"
    moodle.mkdir()
    zipped(moodle / "work.zip", {"lab5/server.py": CODE, "__MACOSX/server.py": b"x"})
    (folder / "eve").mkdir()
    (folder / "eve" / "server.py").write_bytes(CODE)
    tarred(folder / "eve@2.tar.gz", [member("./server.py")], b"second")
    found = {(one.person.id, one.attempt): one for one in collect(folder, LAB, roster)}
    assert set(found) == {("al1", 1), ("gh2", 1), ("?eve", 1), ("?eve", 2)}
    assert found["al1", 1].late and not found["gh2", 1].late
    assert found["al1", 1].files == found["gh2", 1].files == {"server.py": CODE}
    assert found["?eve", 2].files == {"server.py": b"second"}


def test_who_handed_nothing_in_is_there_all_the_same(tmp_path: Path) -> None:
    roster_file = tmp_path / "roster.csv"
    roster_file.write_text("id\nada\nbob\n")
    (tmp_path / "in" / "ada").mkdir(parents=True)
    (tmp_path / "in" / "ada" / "server.py").write_bytes(CODE)
    found = {one.person.id: one for one in collect(tmp_path / "in", LAB, Roster.read(roster_file))}
    assert found["bob"].trouble == ["nothing was handed in"] and not found["bob"].files


def test_only_what_a_lab_lets_them_edit_is_taken(tmp_path: Path) -> None:
    names = [
        "server.py",
        "http1.py",
        "conftest.py",
        "test_wsgi_server.py",
        "lab.toml",
        "sitecustomize.py",
        "x.pth",
    ]
    zipped(tmp_path / "ada.zip", dict.fromkeys(names, CODE))
    assert set(only(tmp_path).files) == {"server.py"}


HOSTILE_ZIPS = {
    "climbing": {"../../server.py": CODE},
    "absolute": {"/server.py": CODE},
    "backslash": {"..\\..\\server.py": CODE},
    "drive": {"C:/server.py": CODE},
}


@pytest.mark.parametrize("name", HOSTILE_ZIPS)
def test_a_path_that_leads_out_of_an_archive_is_refused(name: str, tmp_path: Path) -> None:
    zipped(tmp_path / "mallory.zip", HOSTILE_ZIPS[name])
    found = only(tmp_path)
    assert not found.files and found.trouble and "out of the archive" in found.refused[0]


@pytest.mark.parametrize("target", ["/etc/passwd", "../ada/server.py"])
@pytest.mark.parametrize("kind", ["folder", "zip", "tar symlink", "tar hard link"])
def test_links_are_refused(kind: str, target: str, tmp_path: Path) -> None:
    if kind == "folder":
        (tmp_path / "mallory").mkdir()
        (tmp_path / "mallory" / "server.py").symlink_to(target)
    elif kind == "zip":
        zipped(tmp_path / "mallory.zip", {"server.py": target.encode()}, {"server.py": 0o120777})
    else:
        how = tarfile.SYMTYPE if kind == "tar symlink" else tarfile.LNKTYPE
        tarred(tmp_path / "mallory.tar.gz", [member("server.py", how, target)])
    found = only(tmp_path)
    assert not found.files and "a link" in found.refused[0]


def test_chained_links_of_a_tar_lead_nowhere(tmp_path: Path) -> None:
    links = [member("a", tarfile.SYMTYPE, "/etc"), member("a/server.py", tarfile.SYMTYPE, "passwd")]
    tarred(tmp_path / "mallory.tar.gz", links)
    assert not only(tmp_path).files


def test_a_folder_that_is_a_link_to_another_student_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "server.py").write_bytes(CODE)
    (tmp_path / "mallory").symlink_to(tmp_path / "ada")
    mallory = next(one for one in collect(tmp_path, LAB, Roster()) if one.person.id == "mallory")
    assert not mallory.files and "it is a link" in mallory.trouble[0]


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_fifos_and_devices_are_refused_and_never_opened(kind: str, tmp_path: Path) -> None:
    if kind == "folder":
        (tmp_path / "mallory").mkdir()
        os.mkfifo(tmp_path / "mallory" / "server.py")
    else:
        tarred(
            tmp_path / "mallory.tar.gz",
            [member("server.py", tarfile.FIFOTYPE), member("server.py", tarfile.CHRTYPE)],
        )
    found = only(tmp_path)
    assert not found.files and "no plain file" in found.refused[0]


def test_bombs_are_let_go_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MEMBERS_CAP", 50)
    zipped(tmp_path / "big.zip", {"server.py": b"\0" * (archives.FILE_CAP + 1)})
    zipped(tmp_path / "many.zip", {f"{n}.py": b"" for n in range(60)})
    tarred(tmp_path / "manytar.tar.gz", [member(f"{n}.py") for n in range(60)])
    (tmp_path / "nozip.zip").write_bytes(b"PK\3\4 and then nothing of the kind")
    (tmp_path / "nogzip.tar.gz").write_bytes(b"\x1f\x8b and then nothing of the kind")
    found = {one.person.id: one for one in collect(tmp_path, LAB, Roster())}
    assert set(found) == {"big", "many", "manytar", "nozip", "nogzip"}
    assert not any(one.files for one in found.values()) and all(one.trouble for one in found.values())


def test_what_a_tar_unpacks_to_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "UNPACKED_CAP", 1 << 20)
    tarred(tmp_path / "bomb.tar.gz", [member("large.bin"), member("server.py")], b"\0" * (2 << 20))
    found = only(tmp_path)
    assert not found.files and "come out of it" in found.trouble[0]


def test_names_may_be_anything(tmp_path: Path) -> None:
    for name in ("new\nline", "r\u202etl", "A" * 200, "=HYPERLINK(1)", "<b>", "\udcff", "ada", "ADA"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "server.py").write_bytes(CODE)
    found = collect(tmp_path, LAB, Roster())
    from workshop.grade.untrusted_text import file_name

    folders = {file_name(one.person.id).casefold() for one in found}
    assert len(found) == len(folders) == 8
    assert all(len(name) < 120 and "/" not in name and name.isascii() for name in folders)


def test_a_forged_identity_inside_changes_nothing(tmp_path: Path) -> None:
    zipped(tmp_path / "mallory.zip", {"ada/server.py": CODE, "student.json": b'{"id": "ada"}'})
    assert only(tmp_path).person.id == "mallory"


def test_an_empty_folder_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no submission"):
        collect(tmp_path, LAB, Roster())
    (tmp_path / "ada").mkdir()
    assert only(tmp_path).trouble == ["there is no server.py in it"]


def test_two_files_of_one_name_are_no_choice_of_ours(tmp_path: Path) -> None:
    zipped(tmp_path / "ada.zip", {"a/server.py": CODE, "b/server.py": b"other"})
    assert only(tmp_path).trouble == ["server.py is there more than once"]
    zipped(tmp_path / "ada.zip", {"a/server.py": b"deep", "server.py": CODE})
    assert only(tmp_path).files == {"server.py": CODE}
