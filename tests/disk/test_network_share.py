"""Which folders lie on a network share, as the kernel's table of mounts says."""

import os
import sys
from pathlib import Path

import pytest

from stablenew.disk.network_share import network_share_type

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no mounts")


@pytest.fixture
def type_under(tmp_path):
    """The type of a folder in `tmp_path`, where folders in it are mounted as (name as the kernel writes it, type)."""

    def type_under(name, *mounts):
        lines = [f"host:/export {tmp_path}/{place} {kind} rw,relatime 0 0" for place, kind in mounts]
        table = "\n".join(["/dev/sda1 / ext4 rw 0 0", *lines, ""])
        (tmp_path / "mounts").write_bytes(os.fsencode(table))
        return network_share_type(tmp_path / name, tmp_path / "mounts")

    return type_under


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse.sshfs", "fuseblk"])
def test_a_folder_on_a_share_has_its_type(type_under, kind):
    assert type_under("pictures", ("pictures", kind)) == kind
    assert type_under("pictures/2026/may", ("pictures", kind)) == kind


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "tmpfs", "overlay", "nfsd", "xfs"])
def test_a_disk_of_this_machine_is_no_share(type_under, kind):
    assert type_under("pictures", ("pictures", kind)) is None


def test_a_folder_beside_a_share_with_a_longer_name_is_none(type_under):
    assert type_under("pictures-old", ("pictures", "nfs")) is None
    assert type_under("pict", ("pictures", "nfs")) is None


def test_the_innermost_mount_counts_and_of_two_at_one_place_the_later_one(type_under):
    assert type_under("a/b/c", ("a", "nfs"), ("a/b", "ext4")) is None
    assert type_under("a/b/c", ("a/b", "ext4"), ("a", "nfs")) is None
    assert type_under("a/b", ("a/b", "ext4"), ("a/b", "cifs")) == "cifs"
    assert type_under("a/b", ("a/b", "cifs"), ("a/b", "ext4")) is None


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a b", r"a\040b"),
        ("a\tb", r"a\011b"),
        ("a\nb", r"a\012b"),
        ("a\\b", r"a\134b"),
        ("Bücher", "Bücher"),
        ("写真 2026", r"写真\0402026"),
        ("a\\nb", r"a\134nb"),
        ("caf\udce9", "caf\udce9"),
    ],
)
def test_a_share_is_known_by_any_name_that_a_folder_can_have(type_under, name, written):
    assert type_under(name, (written, "nfs4")) == "nfs4"


def test_a_link_onto_a_share_leads_there(type_under, tmp_path):
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    assert type_under("link/deeper", ("share", "cifs")) == "cifs"


@pytest.mark.parametrize("table", ["", "\n\n", "rubbish\n", "a b\n"])
def test_where_the_table_says_nothing_nothing_is_a_share(tmp_path, table):
    (tmp_path / "mounts").write_text(table)
    assert network_share_type(tmp_path, tmp_path / "mounts") is None
    assert network_share_type(tmp_path, tmp_path / "missing") is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has this table")
def test_this_machine_s_own_table_is_understood():
    assert network_share_type(Path("/proc/self")) is None
