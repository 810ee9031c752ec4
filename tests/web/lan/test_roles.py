"""Who may ask for what, and what of an error a device may read."""

import pytest

from stablenew.web.lan.roles import OWNER, ROLES, VIEWER, Role, Viewer, role_for, viewer_of, without_places

DEVICE = Viewer(Role.RATE, "anna", "1234", "phone")


def test_a_role_includes_those_before_it_and_what_is_not_in_the_table_is_the_owners():
    assert Role.LOOK < Role.RATE < Role.OWNER
    assert role_for("GET", "/api/status") is Role.LOOK
    assert role_for("POST", "/api/feedback") is Role.RATE
    assert role_for("GET", "/api/something/new") is Role.OWNER
    assert role_for("get", "/api/status") is Role.OWNER


def test_nothing_that_changes_something_is_open_to_those_who_look():
    assert [key for key, role in ROLES.items() if key.startswith("POST") and role is Role.LOOK] == []


def test_who_asks_is_what_the_guard_left_and_the_owner_where_it_left_nothing():
    assert viewer_of({}) is OWNER
    assert viewer_of({VIEWER: DEVICE}) is DEVICE
    assert not OWNER.is_device
    assert DEVICE.is_device


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot read /home/anna/runs/a.png: no such file", "cannot read …/a.png: no such file"),
        ("'/home/anna/my runs/x'", "'…/x'"),
        (r"C:\Users\Anna\runs\a.png is gone", "…/a.png is gone"),
        ("d:/art/a.png", "…/a.png"),
        (r"\\server\share\art\a.png", "…/a.png"),
        ("a/b.png and 1/2", "a/b.png and 1/2"),
        ("expected 3/4, found 5", "expected 3/4, found 5"),
        ("/a.png", "/a.png"),
        ("'/x/y/z' is not '/u/v/w'", "'…/z' is not '…/w'"),
        ("", ""),
    ],
)
def test_a_device_learns_of_no_folder_of_this_computer(text, shown):
    assert without_places(text, DEVICE) == shown
    assert without_places(text, OWNER) == text


def test_folders_are_taken_out_of_every_text_of_an_error_and_nothing_else():
    error = {"error": "/a/b/c", "position": 7, "more": [{"path": "/a/b/d"}, None, True, 1.5]}
    shown = {"error": "…/c", "position": 7, "more": [{"path": "…/d"}, None, True, 1.5]}
    assert without_places(error, DEVICE) == shown
    assert without_places(error, OWNER) is error
