"""Zips of runs, as people and programs make them, and as somebody makes them who wants to do harm."""

import struct
import zipfile
import zlib

import pytest

from stablenew import RunStore
from stablenew.errors import NotAStore
from stablenew.store.upkeep import run_archive
from stablenew.store.upkeep.run_archive import open_archive
from stablenew.store.upkeep.store_merge import merge_stores
from tests.samples import sealed_run


@pytest.fixture
def theirs(tmp_path):
    store = RunStore(tmp_path / "theirs")
    for run_id in ("first", "second", "third"):
        sealed_run(store, run_id)
    return store


def pack(path, store, *, name=lambda name: name, compression=zipfile.ZIP_STORED, **options):
    """A zip of all runs; `name` gives the name of each member from its path below the store."""
    with zipfile.ZipFile(path, "w", compression, **options) as archive:
        for file in sorted(store.root.rglob("*")):
            inside = file.relative_to(store.root).as_posix()
            if file.is_file() and not inside.startswith("."):
                info = zipfile.ZipInfo("x")
                info.compress_type = compression
                info.filename = name(inside)  # set afterwards, because the constructor mends it
                archive.writestr(info, file.read_bytes())
    return path


def merge(path, ours):
    with open_archive(path) as store:
        return merge_stores(ours, store)


def outcomes(report):
    return {item.run_id: item.outcome for item in report.items}


ALL_ADDED = {"first": "added", "second": "added", "third": "added"}


@pytest.mark.parametrize(
    "name",
    [
        lambda name: name.replace("/", "\\"),
        lambda name: "backup\\runs\\" + name.replace("/", "\\"),
        lambda name: "backup/" + name.replace("/", "\\"),
    ],
    ids=["backslashes", "backslashes below folders", "both"],
)
def test_a_zip_with_backslashes_is_merged_like_any_other(store, theirs, tmp_path, name):
    assert outcomes(merge(pack(tmp_path / "a.zip", theirs, name=name), store)) == ALL_ADDED


def in_member(data, name, change):
    """The bytes of a zip with the contents of one member changed by `change(data, first, last)`."""
    data = bytearray(data)
    at = data.index(name.encode())
    size = struct.unpack_from("<I", data, at - 30 + 18)[0]
    change(data, at + len(name), at + len(name) + size)
    return bytes(data)


def flip(data, first, last):
    data[(first + last) // 2] ^= 0xFF


def set_everywhere(data, name, offsets, value):
    """Set a field of a member in its local and in its central header."""
    data = bytearray(data)
    local = data.index(name.encode()) - 30
    central = data.rindex(name.encode()) - 46
    for at, offset in zip((local, central), offsets, strict=True):
        struct.pack_into("<H", data, at + offset, value)
    return bytes(data)


DAMAGES = {
    "a flipped bit": lambda data, name: in_member(data, name, flip),
    "encrypted": lambda data, name: set_everywhere(data, name, (6, 8), 1),
    "an unknown method": lambda data, name: set_everywhere(data, name, (8, 10), 99),
}


@pytest.mark.heavy
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("member", ["second/records.jsonl", "second/run_metadata.json", "second/SHA256SUMS"])
def test_one_bad_member_keeps_no_other_run_out(store, theirs, tmp_path, compression, damage, member):
    path = pack(tmp_path / "a.zip", theirs, compression=compression)
    path.write_bytes(DAMAGES[damage](path.read_bytes(), member))
    report = merge(path, store)
    assert outcomes(report) == ALL_ADDED | {"second": "skipped"}
    (skipped,) = (item for item in report.items if item.outcome == "skipped")
    assert skipped.message.startswith(member.partition("/")[2] + " cannot be unpacked: ")


def test_a_zip_in_which_nothing_can_be_read_is_a_clear_error(tmp_path, theirs):
    path = pack(tmp_path / "a.zip", RunStore(theirs.root / "first"))
    path.write_bytes(DAMAGES["encrypted"](path.read_bytes(), "run_metadata.json"))
    with pytest.raises(NotAStore, match="run_metadata.json cannot be read: .*encrypted"), open_archive(path):
        pass


def test_a_name_that_no_file_system_takes_is_left_out(store, theirs, tmp_path):
    path = pack(tmp_path / "a.zip", theirs)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("first/feedback" + "x" * 300 + ".json", b"{}")
        archive.writestr("first/outputs/" + "y" * 300 + ".png", b"x")
        archive.writestr("first/outputs/../../evil", b"x")
        archive.writestr("first\\outputs\\..\\..\\evil", b"x")
    assert outcomes(merge(path, store)) == ALL_ADDED


def test_a_run_whose_metadata_is_missing_in_the_zip_is_told(store, theirs, tmp_path):
    (theirs.root / "second" / "run_metadata.json").unlink()
    report = merge(pack(tmp_path / "a.zip", theirs), store)
    assert outcomes(report) == ALL_ADDED | {"second": "skipped"}


def bomb(path, size):
    """A run whose records are nothing but zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("first/run_metadata.json", b"{}")
        with archive.open("first/records.jsonl", "w") as member:
            for _ in range(size >> 20):
                member.write(bytes(1 << 20))
    return path


def test_a_bomb_is_refused_before_anything_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(run_archive, "_ALWAYS_ALLOWED_BYTES", 1 << 20)
    monkeypatch.setattr(run_archive, "_unpack", lambda *_: pytest.fail("nothing may be unpacked"))
    path = bomb(tmp_path / "a.zip", 64 << 20)
    with pytest.raises(NotAStore, match="would unpack to 67,108,866 bytes"), open_archive(path):
        pass


def test_more_than_the_disk_has_room_for_is_refused(tmp_path, theirs, monkeypatch):
    monkeypatch.setattr(run_archive.shutil, "disk_usage", lambda _: type("usage", (), {"free": 100}))
    with pytest.raises(NotAStore, match="has room for 100"), open_archive(pack(tmp_path / "a.zip", theirs)):
        pass


def test_a_member_cannot_hold_more_than_it_announces(store, theirs, tmp_path):
    """Its headers say 100 bytes, and 50 MB of zeros come."""
    path = pack(tmp_path / "a.zip", theirs)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(bytes(50_000_000)) + packer.flush()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("first/feedback.json", data)
    raw = bytearray(path.read_bytes())
    name = b"first/feedback.json"
    for at, size_at in ((raw.index(name) - 30, 22), (raw.rindex(name) - 46, 24)):
        struct.pack_into("<I", raw, at + size_at, 100)
        struct.pack_into("<H", raw, at + (8 if size_at == 22 else 10), zipfile.ZIP_DEFLATED)
    path.write_bytes(raw)
    with open_archive(path) as opened:
        assert sum(file.stat().st_size for file in opened.root.rglob("feedback.json")) <= 100
        assert "feedback.json cannot be unpacked" in opened.problems["first"]
        assert outcomes(merge_stores(store, opened)) == ALL_ADDED


def test_a_zip_of_which_nothing_can_be_unpacked_says_why(tmp_path, theirs):
    """Every member is encrypted, as a zip with a password is."""
    path = pack(tmp_path / "a.zip", theirs)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    data = path.read_bytes()
    for name in names:
        data = DAMAGES["encrypted"](data, name)
    path.write_bytes(data)
    with pytest.raises(NotAStore, match="nothing of .*a.zip can be unpacked: .*encrypted"), open_archive(path):
        pass
