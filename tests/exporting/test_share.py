"""Packs to send: whole ones verify against their seals, redacted ones hold nothing of what was left out."""

import base64
import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stablenew import FeedbackManager, JobHistory, RunRecorder, RunStore
from stablenew.controller.app_controller import AppController
from stablenew.errors import ConfigError
from stablenew.exporting.content_credentials.signing_identity import make_identity
from stablenew.exporting.share.bare_picture import read_bare
from stablenew.exporting.share.check_signature import ORDER, is_signed, message_of
from stablenew.exporting.share.pack_signer import PackSigner
from stablenew.exporting.share.salted_leaves import LeafList, hash_leaf, hash_root
from stablenew.exporting.share.share_pack import write_pack
from stablenew.image_metadata.reading import read_image_metadata
from stablenew.importing.importer import Importer
from stablenew.store import local_state
from tests import forked_commands
from tests.image_metadata.files import hide_text
from tests.web.serving import make_runs

SECRETS = {
    name: f"zq{name}qz"
    for name in (
        "prompt", "negative", "packname", "label", "override", "learningtag", "config", "jobid", "settingname",
        "settingvalue", "lora", "modelfolder", "parameters", "usercomment", "alpha", "rater", "tag", "note", "folder",
        "raw", "user", "storefolder", "metric", "engineurl", "filename",
    )
}  # fmt: skip


@pytest.fixture
def stars(tmp_path):
    """A store of two runs of three images, rated by their CFG scale."""
    root = tmp_path / "runs"
    make_runs(root, ["a quay", "a lake"], values=(4.0, 7.0, 10.0))
    manager = FeedbackManager(RunStore(root), rater="anna")
    for run in RunStore(root).iter_runs():
        for record, output in run.iter_outputs():
            manager.record_feedback(run.run_id, output.digest, {4.0: 2, 7.0: 5}.get(record.actual.cfg_scale, 1))
    return root


@pytest.fixture
def secretive(tmp_path, monkeypatch):
    """A store in which a secret is planted wherever words can be."""
    monkeypatch.setenv("LOGNAME", SECRETS["user"])
    local_state.user_id.cache_clear()
    root = tmp_path / SECRETS["storefolder"] / "runs"
    description = {
        "config": {"txt2img": {"note": SECRETS["config"]}},
        "packs": [{"id": SECRETS["packname"], "name": SECRETS["packname"]}],
        "learning_tags": [SECRETS["learningtag"]],
        "correlation": {"job_id": SECRETS["jobid"]},
    }
    with RunRecorder(root, strict=True, **description) as run:
        for cfg in (4.0, 7.0):
            run.record_variant(
                prompt=f"{SECRETS['prompt']} <lora:{SECRETS['lora']}:1>",
                negative_prompt=SECRETS["negative"],
                images=[make_telling_image(cfg)],
                settings={
                    "model": f"/home/{SECRETS['modelfolder']}/m.safetensors", "cfg_scale": cfg, "steps": 20, "seed": 7,
                    SECRETS["settingname"]: SECRETS["settingvalue"], "engine_url": SECRETS["engineurl"],
                },
                label=SECRETS["label"],
                overrides={"x": SECRETS["override"]},
                metrics={SECRETS["metric"]: 0.5},
            )  # fmt: skip
    place = tmp_path / SECRETS["folder"] / f"{SECRETS['filename']}.png"
    place.parent.mkdir()
    info = PngInfo()
    info.add_text("parameters", f"{SECRETS['raw']}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 64x64")
    Image.new("RGB", (64, 64), "red").save(place, pnginfo=info)
    Importer(RunStore(root)).run(place.parent)
    manager = FeedbackManager(RunStore(root), rater=SECRETS["rater"])
    for number, (run_id, digest) in enumerate(
        (run.run_id, output.digest) for run in RunStore(root).iter_runs() for _, output in run.iter_outputs()
    ):
        manager.record_feedback(run_id, digest, number + 2, notes=SECRETS["note"], tags=[SECRETS["tag"]], flag="pick")
    yield root
    local_state.user_id.cache_clear()


def make_telling_image(cfg):
    """A PNG that tells its prompt in a text, in EXIF, and in the last bits of its transparency."""
    pixels = hide_text(SECRETS["alpha"], mode="RGBA")
    pixels[0, 0, 0] = int(cfg)
    info = PngInfo()
    info.add_text("parameters", SECRETS["parameters"])
    exif = Image.Exif()
    exif[0x9286] = b"ASCII\0\0\0" + SECRETS["usercomment"].encode()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", pnginfo=info, exif=exif)
    return file.getvalue()


def find(root, query=""):
    history = JobHistory(root)
    history.refresh(is_patient=True)
    return list(history.search_images(query))


def pack(root, tmp_path, *without, name="pack", insights=None):
    target = tmp_path / f"{name}.zip"
    report = write_pack(RunStore(root), find(root), target, without=frozenset(without), insights=insights)
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path / name)
    return tmp_path / name / "stablenew-pack", report


def check(folder):
    """The script of the pack itself, by a Python that knows nothing of StableNew."""
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "check_pack.py")], capture_output=True, text=True, cwd=folder, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def read_data(folder):
    return json.loads((folder / "data.js").read_text().removeprefix("const PACK = ").rstrip(";\n"))


def test_a_whole_pack_verifies_against_the_seals_of_its_runs(stars, tmp_path):
    folder, report = pack(stars, tmp_path)
    code, said = check(folder)
    assert (code, report.problems) == (0, [])
    for run in RunStore(stars).iter_runs():
        assert run.digest in said
        assert (folder / "runs" / run.run_id / "SHA256SUMS").read_bytes() == (run.path / "SHA256SUMS").read_bytes()
    assert report.sealed_files == 2 * (2 + 3)
    if shutil.which("sha256sum"):
        place = next((folder / "runs").iterdir())
        subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=place, check=True)


def test_one_flipped_bit_in_any_file_of_a_pack_is_named(stars, tmp_path):
    for without in ((), ("prompts",)):
        folder, _ = pack(stars, tmp_path, *without, name=f"pack{len(without)}")
        for path in sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and path.suffix in {".png", ".webp", ".txt", ".jsonl", ".js"}
        ):
            data = path.read_bytes()
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
            code, said = check_in_process(folder)
            assert code == 1, path
            assert path.name in said
            path.write_bytes(data)
        assert check(folder)[0] == 0


def check_in_process(folder):
    """As `check`, without a new process for each of many files."""
    import contextlib
    import runpy

    script = runpy.run_path(str(folder / "check_pack.py"), run_name="checked")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = script["_main"](folder)
    return code, said.getvalue()


def rewrite(folder, change):
    """Change what a pack shows, and its list of digests with it, as a forger would."""
    data = read_data(folder)
    change(data)
    (folder / "data.js").write_text(f"const PACK = {json.dumps(data)};\n")
    listed = json.loads((folder / "pack.json").read_text())
    listed["files"]["data.js"] = hashlib.sha256((folder / "data.js").read_bytes()).hexdigest()
    (folder / "pack.json").write_text(json.dumps(listed))


def test_a_prompt_that_was_changed_with_all_digests_is_not_the_recorded_one(stars, tmp_path):
    folder, _ = pack(stars, tmp_path)
    rewrite(folder, lambda data: data["images"][0].update(prompt="another"))
    code, said = check(folder)
    assert code == 1
    assert "not the recorded one" in said


@pytest.mark.heavy
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["images"][0].update(ratings={"rater 1": 0}),
        lambda data: data["images"][1]["settings"].update(seed=1),
        lambda data: data["images"][0].update(prompt="put into their mouth"),
        lambda data: data["evidence"].append({"setting": "x", "values": []}),
    ],
)
def test_what_a_forger_changes_in_a_redacted_pack_does_not_fit_its_leaves(stars, tmp_path, change):
    folder, _ = pack(stars, tmp_path, "prompts")
    rewrite(folder, change)
    assert check(folder)[0] == 1


def test_a_redacted_pack_says_whose_word_its_root_is_and_what_was_left_out_can_be_proven_later(stars, tmp_path):
    folder, report = pack(stars, tmp_path, "prompts")
    code, said = check(folder)
    assert code == 0
    assert f"root {report.root}: the word of who shared it, not what a seal proves" in said
    listed = json.loads((folder / "pack.json").read_text())
    hidden = {leaf["name"]: leaf["hash"] for leaf in listed["leaves"] if "salt" not in leaf}
    assert len(hidden) == 3 * 6 == len(report.withheld)
    for leaf in report.withheld:
        assert hash_leaf(leaf["name"], leaf["value"], leaf["salt"]) == hidden[leaf["name"]]
    assert {leaf["value"] for leaf in report.withheld if leaf["name"].endswith("/prompt")} == {"a quay", "a lake"}


def test_equal_values_have_different_leaves_and_a_guess_does_not_help():
    leaves = LeafList()
    leaves.add("0/prompt", "a quay", is_shown=False)
    leaves.add("0/prompt", "a quay", is_shown=False)
    first, second = (leaf["hash"] for leaf in leaves.leaves)
    assert first != second
    assert hash_leaf("0/prompt", "a quay", "") not in {first, second}
    assert leaves.root == hash_root([first, second])


def forms_of(word):
    """How a word may stand in a file."""
    data = word.encode()
    yield from (data, data.upper(), data[::-1], word.encode("utf-16-le"), word.encode("utf-16-be"), data.hex().encode())
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + data)[4:-4]


def read_text(path):
    """What a file says; nothing for pictures."""
    return "" if path.suffix in {".webp", ".png", ".jpg"} else path.read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("without", [("prompts",), ("prompts", "images")])
def test_of_twenty_five_secrets_none_is_in_a_pack_without_prompts(secretive, tmp_path, without):
    insights = AppController(runs_dir=secretive).datasets.insights("")
    whole, _ = pack(secretive, tmp_path, name="whole", insights=insights)
    planted = b"\n".join(path.read_bytes() for path in whole.rglob("*") if path.is_file())
    missed = {name for name, word in SECRETS.items() if word.encode() not in planted}
    assert missed <= {"storefolder", "folder", "alpha", "usercomment", "note"}, (
        "a secret that is nowhere proves nothing"
    )
    folder, report = pack(secretive, tmp_path, *without, name="bare", insights=insights)
    assert report.image_count == 3
    files = [path for path in folder.rglob("*") if path.is_file()]
    archive = (tmp_path / "bare.zip").read_bytes()
    texts = [
        archive,
        *(path.read_bytes() for path in files),
        "\n".join(map(str, files)).replace(str(tmp_path), "").encode(),
    ]
    text = b"\n".join(texts)
    for name, word in SECRETS.items():
        for form in forms_of(word):
            assert form not in text, name
    words = re.findall(r"[\w.-]+", "\n".join(map(read_text, files)))
    assert platform.node() not in words  # as a whole word: a short name may stand in the bytes of any picture
    assert str(Path.home()).encode() not in text
    for path in files:
        if path.suffix == ".webp":
            assert read_image_metadata(path.read_bytes()).raw == ()
            with Image.open(path) as image:
                assert (image.mode, dict(image.getexif())) == ("RGB", {})
                assert not {"icc_profile", "xmp", "exif", "comment"} & set(image.info)
    assert check(folder)[0] == 0
    digests = {output.digest for run in RunStore(secretive).iter_runs() for _, output in run.iter_outputs()}
    assert not [digest for digest in digests if digest[7:].encode() in text]
    assert not [run.run_id for run in RunStore(secretive).iter_runs() if run.run_id.encode() in text]


def test_hidden_text_in_colours_does_not_survive_either(tmp_path):
    from stablenew.exporting.share.bare_picture import encode_bare

    file = io.BytesIO()
    Image.fromarray(hide_text("zqcoloursqz", mode="RGB")).save(file, "PNG")
    assert "zqcoloursqz" in str(read_image_metadata(file.getvalue()).raw)
    bare = encode_bare(read_bare(file.getvalue()))
    with Image.open(io.BytesIO(bare)) as image:
        png = io.BytesIO()
        image.save(png, "PNG")
    assert read_image_metadata(png.getvalue()).raw == ()


def test_without_images_there_is_no_picture_and_the_documents_verify(stars, tmp_path):
    folder, report = pack(stars, tmp_path, "images")
    assert not [path for path in folder.rglob("*") if path.suffix in {".png", ".webp"}]
    assert report.sealed_files == 4
    assert check(folder)[0] == 0
    assert [image["prompt"] for image in read_data(folder)["images"]] == ["a lake"] * 3 + ["a quay"] * 3


def test_a_pack_never_replaces_a_file_and_none_is_made_of_nothing(stars, tmp_path):
    target = tmp_path / "there.zip"
    target.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="there already"):
        write_pack(RunStore(stars), find(stars), target)
    assert target.read_bytes() == b"mine"
    with pytest.raises(ConfigError, match="no image"):
        write_pack(RunStore(stars), [], tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()


def test_an_image_whose_bytes_are_gone_is_named_and_the_others_are_packed(stars, tmp_path):
    images = find(stars)
    (stars / images[0]["run_id"] / images[0]["path"]).unlink()
    folder, report = pack(stars, tmp_path)
    assert len(report.problems) == 1
    assert len(list((folder / "thumbnails").iterdir())) == 5
    assert check(folder)[0] == 0


def test_the_command_writes_a_pack_of_what_a_query_finds_and_keeps_the_salts(stars, tmp_path):
    arguments = [
        "share",
        "cfg:7",
        "-o",
        str(tmp_path / "p.zip"),
        "--without",
        "prompts",
        "--salts",
        str(tmp_path / "s.json"),
    ]
    done = forked_commands.run("--runs-dir", str(stars), *arguments)
    assert done.returncode == 0
    assert "2 images" in done.stdout
    assert "proves your word" in done.stdout
    kept = json.loads((tmp_path / "s.json").read_text())
    assert kept["root"] in done.stdout
    assert {leaf["value"] for leaf in kept["withheld"] if leaf["name"].endswith("/prompt")} == {"a quay", "a lake"}
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert all(entry.date_time == (1980, 1, 1, 0, 0, 0) for entry in archive.infolist())
    assert forked_commands.run("--runs-dir", str(stars), "share", "--without", "stars").returncode == 2


def test_the_script_has_sixty_lines_and_needs_no_package(stars, tmp_path):
    folder, _ = pack(stars, tmp_path)
    lines = (folder / "check_pack.py").read_text().splitlines()
    assert len(lines) <= 60
    imported = [line for line in lines if line.startswith(("import ", "from "))]
    assert imported == [
        "import hashlib",
        "import json",
        "import runpy",
        "import sys",
        "from pathlib import Path",
        "from typing import Any",
    ]


def sign_again(folder, change, signer=None):
    """Change what is signed of a pack; with a signer it is signed anew, as a forger with a key of their own would."""
    listed = json.loads((folder / "pack.json").read_text())
    change(listed)
    if signer is not None:
        listed["signature"] = signer.sign(message_of(listed))
    (folder / "pack.json").write_text(json.dumps(listed))


def test_a_root_is_signed_with_one_key_for_all_packs(stars, tmp_path):
    folder, report = pack(stars, tmp_path, "prompts")
    code, said = check(folder)
    assert (code, report.is_certified) == (0, False)
    assert f"It is signed by the key {report.key}" in said
    again, other = pack(stars, tmp_path, "prompts", name="again")
    assert other.key == report.key
    assert check(again)[0] == 0
    kept = local_state.state_folder() / "share" / "key.txt"
    assert kept.read_text().strip() not in (folder / "pack.json").read_text()


@pytest.mark.parametrize(
    "change",
    [
        lambda listed: listed.update(created_at="2020-01-01T00:00:00.000Z"),
        lambda listed: listed["signature"].update(value="0" * 128),
        lambda listed: listed["signature"].update(value=listed["signature"]["value"][:-1] + "g"),
        lambda listed: listed["signature"].update(key="1" * 128),
        lambda listed: listed["signature"].update(key=""),
        lambda listed: listed.pop("signature"),
    ],
)
def test_a_signature_that_is_not_the_sharers_is_noticed(stars, tmp_path, change):
    folder, _ = pack(stars, tmp_path, "prompts")
    sign_again(folder, change)
    code, said = check(folder)
    assert code == 1
    assert "the signature of the root is not valid" in said


def test_whoever_signs_a_changed_pack_again_shows_another_key(stars, tmp_path):
    folder, report = pack(stars, tmp_path, "prompts")
    forger = PackSigner(12345)
    sign_again(folder, lambda listed: listed.update(created_at="2020-01-01T00:00:00.000Z"), forger)
    code, said = check(folder)
    assert code == 0
    assert forger.fingerprint in said
    assert report.key not in said


def test_the_key_of_a_certificate_signs_and_its_name_stays_out(stars, tmp_path):
    pytest.importorskip("cryptography", reason="needs pip install 'stablenew[c2pa]'")
    from cryptography import x509

    path = make_identity("Zqname Certificate")
    folder, report = pack(stars, tmp_path, "prompts")
    assert report.is_certified
    assert check(folder)[0] == 0
    assert "Zqname" not in (folder / "pack.json").read_text()
    numbers = x509.load_pem_x509_certificates(path.read_bytes())[0].public_key().public_numbers()
    assert json.loads((folder / "pack.json").read_text())["signature"]["key"] == f"{numbers.x:064x}{numbers.y:064x}"


@given(secret=st.integers(1, ORDER - 1), message=st.binary(max_size=64), flip=st.integers(0, 511))
def test_signatures_are_those_of_other_programs(secret, message, flip):
    ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    ours = PackSigner(secret)
    signed = ours.sign(message)
    theirs = ec.derive_private_key(secret, ec.SECP256R1())
    r, s = int(signed["value"][:64], 16), int(signed["value"][64:], 16)
    theirs.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
    x, y = decode_dss_signature(theirs.sign(message, ec.ECDSA(SHA256())))
    assert is_signed(ours.key, message, f"{x:064x}{y:064x}")
    bent = f"{int(signed['value'], 16) ^ 1 << flip:0128x}"
    assert not is_signed(ours.key, message, bent)
    with pytest.raises(InvalidSignature):
        r, s = int(bent[:64], 16), int(bent[64:], 16)
        theirs.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))


def test_a_key_that_is_none_says_where_it_lies(stars, tmp_path):
    pack(stars, tmp_path, "prompts")
    kept = local_state.state_folder() / "share" / "key.txt"
    kept.write_text("0\n")
    with pytest.raises(ConfigError, match=r"key\.txt holds no key"):
        pack(stars, tmp_path, "prompts", name="other")
