"""Bytes to text as programs really write them."""

from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.text_decoding import decode_comment, decode_text, parse_json, repair_mojibake


def test_utf16_is_read_in_the_order_its_bytes_have_whatever_the_file_says():
    for order in ("be", "le"):
        for is_big_endian in (True, False):
            data = b"UNICODE\0" + "a harbour".encode(f"utf-16-{order}")
            assert decode_comment(data, is_big_endian=is_big_endian) == "a harbour"


def test_japanese_first_and_ascii_later_is_still_read_in_the_right_order():
    text = "テスト" * 5 + " Steps: 20, Sampler: Euler a, CFG scale: 7"
    assert decode_comment(b"UNICODE\0" + text.encode("utf-16-be"), is_big_endian=False) == text


def test_a_comment_that_says_unicode_and_is_ascii_is_read():
    assert decode_comment(b"UNICODE\0plain ascii text") == "plain ascii text"


def test_a_byte_order_mark_decides():
    assert decode_comment(b"UNICODE\0" + "ページ".encode("utf-16")) == "ページ"


def test_ascii_no_code_and_zero_codes_are_read():
    for prefix in (b"ASCII\0\0\0", b"", bytes(8)):
        assert decode_comment(prefix + b'{"a": 1}') == '{"a": 1}'


def test_bytes_that_are_no_utf8_are_latin_1():
    assert decode_text(b"caf\xe9\0") == "café"


def test_utf8_that_was_read_as_latin_1_is_repaired_and_nothing_else():
    assert repair_mojibake("#テスト".encode().decode("latin-1")) == "#テスト"
    for text in ("café", "plain", "テスト", "naïve \u2013 dash"):
        assert repair_mojibake(text) == text


def test_json_with_nan_newlines_and_a_trailing_nul_is_read():
    found = parse_json(' {"a": NaN, "b": "x\ny"}\0 ')
    assert found["b"] == "x\ny"
    assert parse_json("[" * 100_000) is None
    assert parse_json("no") is None


@given(st.binary(max_size=64))
def test_any_bytes_give_a_text(data):
    assert isinstance(decode_comment(data), str)
    assert isinstance(decode_comment(b"UNICODE\0" + data), str)
    assert isinstance(decode_comment(b"JIS\0\0\0\0\0" + data), str)
