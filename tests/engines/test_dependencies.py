"""What images depend on beside their settings: libraries, options of a command line, extensions as folders say."""

import pytest

from stablenew.engines.dependencies import choose_flags, choose_libraries, installed_versions, is_local
from stablenew.engines.extension_folders import read_commit, read_extensions

COMMIT, OTHER = "0123456789abcdef" * 2 + "01234567", "f" * 40


def work_tree(folder, head, references=(), packed=()):
    """A folder that git has cloned something into."""
    git = folder / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text(head)
    for name, commit in references:
        (git / name).parent.mkdir(parents=True, exist_ok=True)
        (git / name).write_text(f"{commit}\n")
    if packed:
        lines = ["# pack-refs with: peeled fully-peeled sorted", *(f"{commit} {name}" for name, commit in packed)]
        (git / "packed-refs").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("head", "references", "packed", "commit"),
    [
        (f"{COMMIT}\n", (), (), COMMIT),
        ("ref: refs/heads/main\n", [("refs/heads/main", COMMIT)], (), COMMIT),
        ("ref: refs/heads/feature/a b\n", [("refs/heads/feature/a b", COMMIT)], (), COMMIT),
        ("ref: refs/heads/main\n", (), [("refs/heads/main", COMMIT)], COMMIT),
        ("ref: refs/heads/main\n", (), [("refs/heads/maintenance", OTHER), ("refs/heads/main", COMMIT)], COMMIT),
        ("ref: refs/heads/main\n", [("refs/heads/main", COMMIT)], [("refs/heads/main", OTHER)], COMMIT),
        ("ref: refs/heads/main\n", (), (), None),
        ("ref: refs/heads/main\n", [("refs/heads/main", "ref: elsewhere")], (), None),
        (f"{COMMIT}{OTHER}", (), (), None),
        ("a" * 64, (), (), "a" * 64),
        ("abc", (), (), None),
        ("", (), (), None),
    ],
)
def test_the_commit_of_a_work_tree_is_what_its_files_say(tmp_path, head, references, packed, commit):
    assert read_commit(work_tree(tmp_path, head, references, packed)) == commit


def test_bytes_that_are_no_text_and_folders_that_are_no_work_tree_have_no_commit(tmp_path):
    assert read_commit(tmp_path) is None
    assert read_commit(tmp_path / "nowhere") is None
    (work_tree(tmp_path / "odd", "") / ".git/HEAD").write_bytes(b"\xff\xfe")
    assert read_commit(tmp_path / "odd") is None


def test_extensions_have_their_commit_or_else_the_version_they_give_themselves(tmp_path):
    work_tree(tmp_path / "cloned", COMMIT)
    for name, text in (("packed", '[project]\nname = "x"\nversion = "1.2.3"\n'), ("silent", "[project]\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(text)
    (tmp_path / "bare").mkdir()
    found = {node.name: (node.commit, node.version) for node in read_extensions([str(tmp_path)])}
    assert found == {"cloned": (COMMIT, None), "packed": (None, "1.2.3"), "silent": (None, None), "bare": (None, None)}


def test_what_is_switched_off_or_no_extension_is_left_out(tmp_path):
    for name in ("__pycache__", ".git", "old.disabled", "kept"):
        (tmp_path / name).mkdir()
    (tmp_path / "file.py").touch()
    assert [node.name for node in read_extensions([str(tmp_path), str(tmp_path / "nowhere")])] == ["kept"]


def test_an_extension_in_two_folders_counts_once(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder / "same").mkdir(parents=True)
    assert len(read_extensions([str(tmp_path / "one"), str(tmp_path / "two")])) == 1


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["--medvram", "--xformers"], ("--medvram", "--xformers")),
        (["main.py", "--lowvram", "--force-fp16"], ("--force-fp16", "--lowvram")),
        (["--opt-sdp-attention", "--port", "7860", "--listen"], ("--opt-sdp-attention",)),
        (["--reserve-vram", "0.5", "--preview-method", "auto"], ("--reserve-vram 0.5",)),
        (["--gradio-auth", "me:secret", "--api-auth=me:secret", "--hf-token", "x"], ()),
        (["--tls_keyfile=k", "--tls-certfile", "c", "--disable-nan-check"], ("--disable-nan-check",)),
        (["--ckpt", 3, "--no-half"], ("--ckpt 3", "--no-half")),
        ([], ()),
    ],
)
def test_options_that_change_images_are_kept_and_addresses_and_secrets_are_not(arguments, flags):
    assert choose_flags(arguments) == flags


def test_libraries_are_found_however_their_names_are_written():
    lines = ["torch==2.8.0+cu128", "Flash_Attn == 2.7", "requests==2.0", "numpy", "peft==", "open_clip_torch==3.1"]
    assert choose_libraries(lines) == {"torch": "2.8.0+cu128", "flash-attn": "2.7", "open-clip-torch": "3.1"}


def test_versions_of_this_process_name_python_and_this_program():
    assert installed_versions()["python"].count(".") == 2
    assert installed_versions()["stablenew"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8188", True), ("http://LOCALHOST", True), ("http://[::1]:7860/x", True),
        ("http://192.168.1.4:8188", False), ("https://localhost.example.com", False), ("", False),
    ],
)  # fmt: skip
def test_paths_of_a_server_on_this_machine_mean_files_here(url, expected):
    assert is_local(url) is expected
