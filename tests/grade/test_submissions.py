"""Whose a submission is, and what of it is taken: by hostile archives as well as by honest downloads."""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from workshop.errors import Refusal
from workshop.grade.submissions import collect as collecting
from workshop.grade.submissions import submission_files
from workshop.grade.submissions.class_roster import Roster
from workshop.grade.submissions.collect import Submission, collect
from workshop.grade.untrusted_text import file_name
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


def roster_of(folder: Path, text: str, encoding: str = "utf-8") -> Roster:
    (folder / "roster.csv").write_bytes(text.encode(encoding))
    return Roster.read(folder / "roster.csv")


def class_of(folder: Path, *names: str, data: bytes = CODE) -> Path:
    """A folder with files of these names."""
    (folder / "in").mkdir()
    for name in names:
        (folder / "in" / name).write_bytes(data)
    return folder / "in"


PEOPLE = "id,name,canvas,email\nal1,Ada Lovelace,4711,ada@x.org\ngh2,Grace Hopper,4712,g@x.org\n"


def test_names_of_folders_and_archives(tmp_path: Path) -> None:
    folder = class_of(tmp_path)
    for name in ("Hopper, Grace", "eve"):
        (folder / name).mkdir()
        (folder / name / "server.py").write_bytes(CODE)
    tarred(folder / "eve@2.tar.gz", [member("./server.py")], b"second")
    roster = roster_of(tmp_path, PEOPLE)
    found = {(one.person.id, one.attempt): one for one in collect(folder, LAB, roster)}
    assert set(found) == {("al1", 1), ("gh2", 1), ("?eve", 1), ("?eve", 2)}
    assert found["gh2", 1].files == {"server.py": CODE}
    assert found["?eve", 2].files == {"server.py": b"second"}


CANVAS_NAMES = {
    "lovelaceada_LATE_4711_99001_server-1.py": ("al1", True),
    "lovelaceada_4711_99001_server (2).py": ("al1", False),
    "ada_king_lovelace_4711_99001_server.py": ("al1", False),
    "LATE_anon_x7Kd2_99001_server.py": ("?anon_x7Kd2", True),
    "anon_x7Kd2_99001_server-3.py": ("?anon_x7Kd2", False),
    # What a student calls a file says nothing, whichever system's names it looks like.
    "hoppergrace_4712_99_Ada Lovelace_4711_assignsubmission_file_server.py": ("gh2", False),
    "hoppergrace_4712_99_lovelaceada_4711_1_server.py": ("gh2", False),
}


@pytest.mark.parametrize("name", CANVAS_NAMES)
def test_names_of_canvas(name: str, tmp_path: Path) -> None:
    person, late = CANVAS_NAMES[name]
    roster = roster_of(tmp_path, PEOPLE)
    found = {one.person.id: one for one in collect(class_of(tmp_path, name), LAB, roster)}
    others = {"al1", "gh2"} - {person}
    assert set(found) == {person} | others and found[person].late is late
    assert bool(found[person].files) is not name.startswith("hoppergrace")  # a file of another name
    assert all(found[one].trouble == ["nothing was handed in"] for one in others)


def test_what_was_typed_into_canvas_is_no_code_and_is_the_person_s(tmp_path: Path) -> None:
    folder = class_of(tmp_path, "lovelaceada_4711_text.html", "lovelaceada_4711_99001_server.py")
    (found,) = collect(folder, LAB, Roster())
    assert found.person.id == "4711" and found.files == {"server.py": CODE} and not found.trouble


def test_names_of_moodle(tmp_path: Path) -> None:
    folder = class_of(tmp_path, "Ada Lovelace_7_assignsubmission_file_server.py")
    work = folder / "Grace Hopper_88_assignsubmission_file_"
    work.mkdir()
    zipped(work / "work.zip", {"lab5/server.py": CODE, "__MACOSX/server.py": b"x"})
    found = {one.person.id: one for one in collect(folder, LAB, roster_of(tmp_path, PEOPLE))}
    assert set(found) == {"al1", "gh2"} and all(one.files == {"server.py": CODE} for one in found.values())


def test_a_folder_is_of_one_system(tmp_path: Path) -> None:
    moodle = "Ada Lovelace_88_assignsubmission_file_server.py"
    folder = class_of(tmp_path, "a_1_9_server.py", "b_2_9_server.py", moodle)
    found = {one.person.id: one for one in collect(folder, LAB, Roster())}
    assert set(found) == {"1", "2", f"?{moodle}"} and "gives no such name" in found[f"?{moodle}"].trouble[0]
    (folder / "b_2_9_server.py").unlink()
    with pytest.raises(Refusal, match=r"As many names are Canvas's \(a_1_9_server.py\) as Moodle's"):
        collect(folder, LAB, Roster())


def test_a_plain_folder_s_names_are_whole(tmp_path: Path) -> None:
    """Where the instructor names things, one name in Canvas's form is a name as any other."""
    folder = class_of(tmp_path, "ada.zip", "bob.zip", "eve_4711_99_server.py")
    assert {one.person.id for one in collect(folder, LAB, Roster())} == {
        "ada",
        "bob",
        "eve_4711_99_server.py",
    }


CONFLICTS = {
    "a number that is somebody else's id": ("id,name\n4711,Ada Lovelace\ngh2,Grace Hopper\n", "gracehopper"),
    "an unknown name with somebody's id": ("id,name\n4711,Ada Lovelace\n", "hoppergrace"),
    "a number and a name of two people": (PEOPLE, "hoppergrace"),
}


@pytest.mark.parametrize("what", CONFLICTS)
def test_names_that_do_not_agree_are_refused(what: str, tmp_path: Path) -> None:
    people, name = CONFLICTS[what]
    folder = class_of(tmp_path, f"{name}_4711_99_server.py")
    with pytest.raises(Refusal, match="Whose is it"):
        collect(folder, LAB, roster_of(tmp_path, people))


def test_a_number_that_is_an_id_and_fits_the_name(tmp_path: Path) -> None:
    folder = class_of(tmp_path, "lovelaceada_4711_99_server.py")
    roster = roster_of(tmp_path, "id,name\n4711,Ada Lovelace\n")
    assert [one.person.id for one in collect(folder, LAB, roster)] == ["4711"]


def test_two_people_of_one_name_are_told_by_their_ids(tmp_path: Path) -> None:
    roster = roster_of(tmp_path, "id,name\nal1,Ada Lovelace\nal2,Ada Lovelace\n")
    (tmp_path / "in" / "al2").mkdir(parents=True)
    (tmp_path / "in" / "al2" / "server.py").write_bytes(CODE)
    found = {one.person.id: one for one in collect(tmp_path / "in", LAB, roster)}
    assert found["al2"].files and not found["al1"].files
    (tmp_path / "in" / "al2").rename(tmp_path / "in" / "Ada Lovelace")
    with pytest.raises(Refusal, match="'Ada Lovelace' is al1 or al2"):
        collect(tmp_path / "in", LAB, roster)


ROSTERS = {
    "empty last rows": "id,name\nada,Ada L\n,\n,,,\n\n",
    "a section": "id,name,section\nada,Ada L,1\nbob,Bob M,1\n",
    "semicolons": "id;name\nada;Ada L\n",
    "capitals": "ID,Name\nada,Ada L\n",
    "a mark in front": "\ufeffid,name\nada,Ada L\n",
    "a short row": "name,email,id\nAda L,a@x,ada\n\n",
}


@pytest.mark.parametrize("what", ROSTERS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_rosters_as_spreadsheets_write_them(what: str, encoding: str, tmp_path: Path) -> None:
    roster = roster_of(tmp_path, ROSTERS[what].lstrip("\ufeff" if encoding == "utf-16" else ""), encoding)
    found = roster.find("Ada L")
    assert found is not None and (found.id, found.name) == ("ada", "Ada L")


BAD_ROSTERS = {
    "id,name\nada,A\nada,B\n": "row 3: there is another row with the id 'ada'",
    "name,id\nada\n": "row 2 has no id",
    "name\nada\n": "needs a column `id`",
    "": "needs a column `id`",
    "id,submitted\nada,9999-12-31T23:59-10:00\n": "row 2: '9999-12-31T23:59-10:00' is not a time",
    "id,submitted\nada,soon\n": "row 2: 'soon' is not a time",
}


@pytest.mark.parametrize("text", BAD_ROSTERS)
def test_a_roster_that_can_t_be_used_says_where(text: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=re.escape(BAD_ROSTERS[text])):
        roster_of(tmp_path, text)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_of_a_whole_repository_the_lab_s_own_file_is_taken(kind: str, tmp_path: Path) -> None:
    members = {
        "repo/labs/05-wsgi-server/server.py": CODE,
        "repo/labs/11-asgi-server/server.py": b"of another lab",
        "repo/solutions/05-wsgi-server/server.py": b"the answer",
        "repo/.venv/lib/python3.11/site-packages/server.py": b"a library",
        "repo/server.py": b"a leftover",
    }
    if kind == "zip":
        zipped(tmp_path / "ada.zip", members)
    for name, data in members.items() if kind == "folder" else ():
        (tmp_path / "ada" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ada" / name).write_bytes(data)
    assert only(tmp_path).files == {"server.py": CODE} and not only(tmp_path).trouble


def test_a_solution_of_the_workshop_s_is_nobody_s_work(tmp_path: Path) -> None:
    zipped(tmp_path / "ada.zip", {"repo/solutions/05-wsgi-server/server.py": b"the answer"})
    assert only(tmp_path).trouble == ["there is no server.py in it"]
    zipped(tmp_path / "ada.zip", {"solutions/server.py": CODE})  # her own name for a folder
    assert only(tmp_path).files == {"server.py": CODE}


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
    assert not found.files and "not a plain file" in found.refused[0]


def test_bombs_are_let_go_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission_files, "MEMBERS_CAP", 50)
    zipped(tmp_path / "big.zip", {"server.py": b"\0" * (submission_files.FILE_CAP + 1)})
    zipped(tmp_path / "many.zip", {f"{n}.py": b"" for n in range(60)})
    tarred(tmp_path / "manytar.tar.gz", [member(f"{n}.py") for n in range(60)])
    (tmp_path / "nozip.zip").write_bytes(b"PK\3\4 and then nothing of the kind")
    (tmp_path / "nogzip.tar.gz").write_bytes(b"\x1f\x8b and then nothing of the kind")
    found = {one.person.id: one for one in collect(tmp_path, LAB, Roster())}
    assert set(found) == {"big", "many", "manytar", "nozip", "nogzip"}
    assert not any(one.files for one in found.values()) and all(one.trouble for one in found.values())


def broken_uploads(folder: Path) -> dict[str, bytes]:
    """Archives that are broken, or of a kind that nobody needs, by the name of whoever hands them in."""
    big = {"server.py": CODE, "long.bin": os.urandom(300_000)}
    whole_zip = zipped(folder / "w.zip", big).read_bytes()
    with tarfile.open(folder / "w.tar.gz", "w:gz") as file:
        for name, data in [("long.bin", os.urandom(300_000)), ("server.py", CODE)]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    whole_tar = (folder / "w.tar.gz").read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("server.py", CODE * 100)
    lzma = packed.getvalue()
    name_at = whole_zip.index(b"server.py")
    for path in folder.glob("w.*"):
        path.unlink()
    return {
        "lzma.zip": lzma,
        "brokenlzma.zip": lzma[:45] + b"\xff" * 20 + lzma[65:],
        "localname.zip": whole_zip[:6]
        + b"\x00\x08"
        + whole_zip[8:name_at]
        + b"\xff\xfe"
        + whole_zip[name_at + 2 :],
        "cut.tar.gz": whole_tar[: len(whole_tar) // 2],
        "cut.zip": whole_zip[: len(whole_zip) // 2],
        "short.tar.gz": gzip.compress(gzip.decompress(whole_tar)[:100_000]),
        "flipped.tar.gz": whole_tar[:1000] + bytes(200) + whole_tar[1200:],
    }


def test_a_broken_upload_is_its_owner_s_trouble_alone(tmp_path: Path) -> None:
    uploads = broken_uploads(tmp_path)
    for name, data in uploads.items():
        (tmp_path / name).write_bytes(data)
    zipped(tmp_path / "ada.zip", {"server.py": CODE})
    found = {one.person.id: one for one in collect(tmp_path, LAB, Roster())}
    assert len(found) == len({name.partition(".")[0] for name in uploads}) + 1
    assert found.pop("ada").files == {"server.py": CODE}
    assert not [one for one in found.values() if one.files]
    assert all(one.trouble and "Traceback" not in str(one.trouble) for one in found.values())


def test_whatever_is_raised_over_an_entry_is_that_entry_s_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, refused: list[str]) -> None:
        raise LookupError(path)

    class_of(tmp_path, "ada.zip", "server.py")
    monkeypatch.setattr(collecting, "members", fail)
    found = {one.person.id: one for one in collect(tmp_path / "in", LAB, Roster())}
    assert "it can't be read (LookupError)" in found["ada"].trouble[0] and found["server.py"].files


def test_what_a_tar_unpacks_to_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission_files, "UNPACKED_CAP", 1 << 20)
    tarred(tmp_path / "bomb.tar.gz", [member("large.bin"), member("server.py")], b"\0" * (2 << 20))
    found = only(tmp_path)
    assert not found.files and "come out of it" in found.trouble[0]


def test_no_name_is_another_s_folder() -> None:
    for name in ("ada.", "Ada", "ada ", "\u00e9", "e\u0301"):
        folder = file_name(name)
        assert folder not in (file_name(folder), file_name(folder.lower())), "a student may be called so"


def test_names_may_be_anything(tmp_path: Path) -> None:
    for name in ("new\nline", "r\u202etl", "A" * 200, "=HYPERLINK(1)", "<b>", "\udcff", "ada", "ADA"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "server.py").write_bytes(CODE)
    found = collect(tmp_path, LAB, Roster())
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
