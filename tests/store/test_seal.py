"""SHA256SUMS: what we write is what we read, stock tools read it, and anything else is refused with its line."""

import hashlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import InvalidDocument
from stablenew.store.seal import digest_seal, encode_seal, parse_seal, read_seal, run_digest

LETTERS = "aZ0._-"
NAMES = st.builds(str.__add__, st.sampled_from("aZ9"), st.text(LETTERS, max_size=6))
BELOW = st.builds(str.__add__, st.sampled_from("aZ9_-"), st.text(LETTERS, max_size=6))
PATHS = NAMES | st.builds("{}/{}".format, NAMES, BELOW)
SUMS = st.dictionaries(PATHS, st.binary(min_size=32, max_size=32).map(bytes.hex), min_size=1, max_size=6)
SUM = "0" * 64


@given(SUMS)
def test_a_seal_reads_back_sorted_by_path(sums):
    data = encode_seal(sums)
    assert parse_seal(data) == sums
    assert list(parse_seal(data)) == sorted(sums)
    assert data == encode_seal(dict(reversed(sums.items())))


@given(SUMS, st.data())
def test_no_changed_byte_reads_as_the_same_seal(sums, draw):
    data = bytearray(encode_seal(sums))
    place = draw.draw(st.integers(0, len(data) - 1))
    data[place] ^= draw.draw(st.integers(1, 255))
    try:
        assert parse_seal(bytes(data)) != sums
    except InvalidDocument as error:
        assert "SHA256SUMS" in str(error)


@given(SUMS, st.data())
def test_a_seal_that_is_cut_off_lists_no_file_wrongly(sums, draw):
    data = encode_seal(sums)
    cut = data[: draw.draw(st.integers(0, len(data) - 1))]
    if cut.endswith(b"\n"):
        assert parse_seal(cut).items() < sums.items()
    else:
        with pytest.raises(InvalidDocument, match="empty or its last line is cut off"):
            parse_seal(cut)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../other", "outputs/../../x", "outputs/..", ".hidden", "a b", "", "-", "a\\b", "ü", "a\0"]
)
def test_a_path_that_could_lie_outside_the_run_is_refused_with_its_line(path):
    data = f"{SUM}  records.jsonl\n{SUM}  {path}\n".encode()
    with pytest.raises(InvalidDocument, match=r"SHA256SUMS, line 2: expected 64 hex digits, two spaces"):
        parse_seal(data)


@pytest.mark.parametrize(
    "line", [f"{SUM} a", f"{SUM} *a", f"{SUM[1:]}  a", f"{SUM}0  a", f"{'A' * 64}  a", f"{SUM}  a\r"]
)
def test_a_line_in_another_form_is_refused(line):
    with pytest.raises(InvalidDocument, match="line 1"):
        parse_seal(f"{line}\n".encode())


def test_a_file_that_stands_twice_is_refused_even_with_one_sum():
    with pytest.raises(InvalidDocument, match=r"line 2: records\.jsonl stands twice"):
        parse_seal(f"{SUM}  records.jsonl\n{SUM}  records.jsonl\n".encode())


def test_paths_deeper_than_ours_are_read_too():
    assert parse_seal(f"{SUM}  a/b/c\n".encode()) == {"a/b/c": SUM}


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="needs sha256sum")
def test_stock_tools_check_a_seal(tmp_path):
    (tmp_path / "outputs").mkdir()
    files = {"records.jsonl": b"{}\n", "outputs/0000-txt2img-0.abc.png": b"png"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    (tmp_path / "SHA256SUMS").write_bytes(encode_seal(sums))
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 0
    (tmp_path / "records.jsonl").write_bytes(b"{ }\n")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 1


def test_the_digest_of_a_run_is_that_of_its_seal(tmp_path):
    data = encode_seal({"records.jsonl": SUM})
    (tmp_path / "SHA256SUMS").write_bytes(data)
    assert read_seal(tmp_path) == {"records.jsonl": SUM}
    assert run_digest(tmp_path) == digest_seal(data) == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_run_without_a_seal_has_no_digest(tmp_path):
    for ask in (read_seal, run_digest):
        with pytest.raises(FileNotFoundError):
            ask(tmp_path)
