"""Each type of field takes what its format allows and nothing else; documents are read whole or refused by name."""

import json

import pytest
from pydantic import ValidationError, create_model

from stablenew.errors import FormatError, InvalidDocument, NewerFormat
from stablenew.formats import model_base
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.model_base import (
    Array,
    Base64,
    BigInteger,
    Count,
    Digest,
    Extensions,
    HybridClock,
    Integer,
    MediaType,
    Name,
    Number,
    OriginPath,
    OutputPath,
    Rating,
    RunId,
    SafeJson,
    SchemaVersion,
    Seconds,
    Sha256,
    Sha256OrPending,
    Slug,
    Timestamp,
    WireModel,
    is_newer,
)
from tests.samples import metadata

SAFE = 2**53 - 1
HEX = "0123456789abcdef" * 4
DIGEST = "xxh128:" + HEX[:32]
MINUTE = "2026-11-21T07:10"

TAKEN = [
    (Integer, 0, -SAFE, SAFE),
    (Count, 0, SAFE),
    (Number, 0.5, -1e308, 1e308, 3),
    (Seconds, 0, 1e308),
    (BigInteger, -SAFE, SAFE, 2**64 - 1, 10**64 - 1, 1 - 10**64),
    (Digest, DIGEST),
    (Sha256, HEX),
    (Sha256OrPending, HEX, "pending"),
    (
        Timestamp,
        f"{MINUTE}:09.123Z",
        "2024-02-29T23:59:59.999Z",
        "2016-02-29T00:00:00.000Z",
        "2000-02-29T00:00:00.000Z",
    ),
    (HybridClock, f"{MINUTE}:09.123Z-00ff"),
    (RunId, "a", "a" * 64, "20261121-071009-123-k3v9q2m4xw", "console", "com10", "a_b-c"),
    (Slug, "a", "a" * 64, "txt2img", "a_1"),
    (Name, "n", "n" * 256, "★"),
    (MediaType, "image/png", "image/svg+xml", "application/vnd.ms-excel"),
    (Base64, "", "QQ==", "QUI=", "QUJD", "A" * 8192),
    (OriginPath, "a.png", "a/b.png", "..a/...", ".hidden", "a/.b", "é/ü.png", "a" * 4096),
    (SchemaVersion, "1.0", "1.9999"),
    (Rating, 0, 5),
    (Extensions, {}, {"org.example.farm": {"any": [1]}, "a.b": None}),
]
REFUSED = [
    (Integer, SAFE + 1, -SAFE - 1, 0.5, "1", True, None),
    (Count, -1, SAFE + 1, True),
    (Number, True, "1", float("nan"), float("inf"), 1.1e308, -1.1e308),
    (Seconds, -0.001, True, float("inf")),
    (BigInteger, 10**64, -(10**64), "1", "01234567890123456", "9" * 65, "12345678901234567\n", True, 0.5),
    (Digest, DIGEST.upper(), DIGEST[:-1], DIGEST + "0", "md5:" + HEX[:32], DIGEST + "\n"),
    (Sha256, HEX[:-1], HEX.upper(), "pending", HEX + "\n"),
    (Sha256OrPending, "pendin", "pending\n", HEX[:-1]),
    (
        Timestamp,
        f"{MINUTE}:09Z", f"{MINUTE}:09.123", f"{MINUTE}:60.000Z", "2026-11-31T07:10:09.123Z",
        "2026-02-29T07:10:09.123Z",
        "1900-02-29T07:10:09.123Z", "2026-13-01T07:10:09.123Z", "2026-11-21T24:00:00.000Z", "0999-11-21T07:10:09.123Z",
    ),
    (HybridClock, f"{MINUTE}:09.123Z", f"{MINUTE}:09.123Z-00FF", f"{MINUTE}:09.123Z-00f"),
    (RunId, "", "a" * 65, "-a", "a-", "A", "a.b", "../a", "con", "com1", "nul", "a\n"),
    (Slug, "", "a" * 65, "1a", "A", "a-b", "a\n"),
    (Name, "", "n" * 257, 1),
    (MediaType, "image", "image/", "Image/png", "image/png; q=1", "image/png\n", "a/" + "b" * 126),
    (Base64, "Q", "QQ=", "QQ===", "Q-==", "A" * 8196, "QQ==\n"),
    (OutputPath, "../a.png", "/a.png", "outputs/../a", ""),
    (OriginPath, "", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\x00b", "a\nb", "a" * 4097),
    (SchemaVersion, "1", "2.0", "1.01", "1.10000", "1.0\n", 1.0),
    (Rating, -1, 6, 0.5, True, "5"),
    (Extensions, {"farm": 1}, {"Org.example": 1}, {"a..b": 1}, {".a.b": 1}, {"a." + "b" * 252: 1}, {"a.b\n": 1}, []),
]  # fmt: skip


def model_of(kind):
    return create_model("Holder", __base__=WireModel, value=(kind, ...))


def pairs(table):
    return [(kind, value) for kind, *values in table for value in values]


def names(table):
    return [f"{number}-{place}" for number, (_, *values) in enumerate(table) for place in range(len(values))]


@pytest.mark.parametrize(("kind", "value"), pairs(TAKEN), ids=names(TAKEN))
def test_what_a_field_allows_is_taken_as_it_is(kind, value):
    assert model_of(kind).model_validate({"value": value}).value == value


@pytest.mark.parametrize(("kind", "value"), pairs(REFUSED), ids=names(REFUSED))
def test_what_a_field_does_not_allow_is_refused(kind, value):
    with pytest.raises(ValidationError):
        model_of(kind).model_validate({"value": value})


@pytest.mark.parametrize("kind", [Integer, Count, BigInteger, Rating])
def test_a_whole_number_may_be_written_with_a_point(kind):
    found = model_of(kind).model_validate({"value": 3.0})
    assert (found.value, type(found.value)) == (3, int)


def test_integers_that_readers_of_json_would_round_are_written_as_text_and_come_back():
    model = model_of(BigInteger)
    for value, written in ((SAFE, SAFE), (SAFE + 1, str(SAFE + 1)), (-SAFE - 1, str(-SAFE - 1))):
        made = model(value=value)
        assert json.loads(made.to_json()) == {"value": written}
        assert model.model_validate(json.loads(made.to_json())).value == value


def test_an_array_is_a_tuple_and_a_list_inside_any_json_is_copied():
    given = [{"deep": [1]}]
    made = create_model("Both", __base__=WireModel, many=(Array[SafeJson], ...), one=(SafeJson, ...))(
        many=given, one=given
    )
    given[0]["deep"].append(2)
    given.append("more")
    assert (made.many, made.one) == (({"deep": [1]},), [{"deep": [1]}])


@pytest.mark.parametrize("value", [{(1,): 2}, {"a": {1}}, "\ud800", [b"x"]], ids=["key", "set", "surrogate", "bytes"])
def test_what_is_no_json_is_refused_with_the_reason(value):
    with pytest.raises(ValidationError, match="Input should be JSON"):
        model_of(SafeJson).model_validate({"value": value})


def test_a_model_is_frozen_keeps_what_it_does_not_know_and_writes_what_was_given():
    model = create_model("Few", __base__=WireModel, b=(int, 1), a=(int, 2))
    made = model.model_validate({"new": [1], "a": 5})
    assert made.to_dict() == {"a": 5, "new": [1]}
    assert made.encode_line() == b'{"a":5,"new":[1]}'
    assert made.encode_document() == b'{\n  "a": 5,\n  "new": [\n    1\n  ]\n}\n'
    with pytest.raises(ValidationError):
        made.a = 6


def document(**changes):
    return metadata().to_dict() | changes


def test_kind_and_version_are_written_though_nobody_gave_them():
    fields = {name: value for name, value in document().items() if name not in {"kind", "schema_version"}}
    written = RunMetadata(**fields).to_dict()
    assert (written["kind"], written["schema_version"]) == (RunMetadata.KIND, model_base.SCHEMA_VERSION)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "expected a JSON object of kind 'stablenew.run_metadata', found list"),
        ({}, "found no kind and no schema_version"),
        ({"kind": "run_metadata"}, "found no schema_version"),
        ({"schema_version": "1.0"}, "found no kind"),
    ],
)
def test_what_is_no_document_says_what_is_missing(value, words):
    with pytest.raises(InvalidDocument, match=words):
        RunMetadata.from_dict(value)


def test_a_later_major_version_is_named_before_anything_else():
    with pytest.raises(NewerFormat, match=r"schema version 2\.3 is later than 1\.x"):
        RunMetadata.from_dict({"schema_version": "2.3", "kind": 7})


@pytest.mark.parametrize("version", ["2.0", "10.1", "99999999.0"])
def test_a_version_is_newer_by_its_first_number(version):
    assert is_newer({"schema_version": version})


@pytest.mark.parametrize("version", ["1.0", "1.99", "0.9", "2", "2.", "x.1", "²2.0", "123456789.0", 2.0, None])
def test_what_is_no_later_version_is_not_newer(version):
    assert not is_newer({"schema_version": version})
    assert not is_newer({})


def test_an_error_names_three_fields_what_was_found_and_counts_the_rest():
    wrong = document(run_id="A", created_at="now", status=7, config=[])
    with pytest.raises(InvalidDocument) as caught:
        RunMetadata.from_dict(wrong)
    said = str(caught.value)
    assert said.startswith("not a valid 'stablenew.run_metadata' document: run_id: ")
    assert "(found 'A')" in said
    assert "created_at: " in said
    assert said.count(" (found ") == 3
    assert said.endswith("; and 1 more")


def test_a_long_value_is_cut_and_a_missing_field_is_said_to_be_missing():
    wrong = document(run_id="A" * 200)
    del wrong["created_at"]
    with pytest.raises(InvalidDocument) as caught:
        RunMetadata.from_dict(wrong)
    assert f"(found '{'A' * 59}…)" in str(caught.value)
    assert str(caught.value).endswith("created_at: missing")


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b'{"a":1,"a":2}', "\ud800"], ids=range(5))
def test_bytes_that_are_no_json_are_a_fault_of_the_format(data):
    with pytest.raises(FormatError):
        RunMetadata.from_json(data)


def output(**changes):
    fields = {"path": "outputs/a.png", "digest": DIGEST, "size_bytes": 3, "media_type": "image/png", "stage": "txt2img"}
    return OutputReference.model_validate({**fields, **changes})


ORIGIN = {"root": "r1", "path": "2024/a.png", "name": "a.png"}


def test_an_output_that_the_run_holds_says_where():
    held = output()
    assert held.is_held
    assert held.path_in_run == held.path == "outputs/a.png"


def test_an_output_that_lies_elsewhere_has_no_path_in_the_run():
    elsewhere = output(path=None, origin=ORIGIN)
    assert not elsewhere.is_held
    with pytest.raises(ValueError, match=f"output {DIGEST} lies outside the run"):
        _ = elsewhere.path_in_run


@pytest.mark.parametrize("places", [{"path": None}, {"origin": ORIGIN}], ids=["none", "two"])
def test_an_output_has_exactly_one_place(places):
    with pytest.raises(ValidationError, match="either a path in the run or an origin elsewhere"):
        output(**places)
