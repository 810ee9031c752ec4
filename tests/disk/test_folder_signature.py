import os

from stablenew.disk import folder_signature as signatures
from stablenew.disk.folder_signature import folder_signature


def test_a_folder_that_is_made_anew_with_the_same_times_has_another_signature(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first, second = ((tmp_path / name).stat() for name in ("first", "second"))
    alike = os.stat_result([*second[:7], *first[7:]], {name: getattr(first, name) for name in dir(first)})
    assert (alike.st_mtime_ns, alike.st_ctime_ns) == (first.st_mtime_ns, first.st_ctime_ns)
    assert folder_signature(alike) != folder_signature(first)


def test_where_lists_tell_no_inode_listed_and_named_folders_look_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(signatures, "_KNOWS_INODES", False)
    named = tmp_path.stat()
    listed = os.stat_result([named[0], 0, *named[2:]], {name: getattr(named, name) for name in dir(named)})
    assert listed.st_ino == 0 != named.st_ino
    assert folder_signature(listed) == folder_signature(named)
