"""Writing a pack: a zip file with a page that opens from a folder, and what its reader can check.

With nothing left out, the documents and outputs of sealed runs are in it byte for byte, beside the seals that cover
them. Without prompts every picture is made new, no document of a run is in it, and the sharer's word for what is shown
is a root of salted leaves, signed with their key: it proves what was said when the pack was made, and not what was
recorded.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from stablenew.disk.atomic_file import replace_cached_by, sync_files
from stablenew.disk.regular_file import read_regular
from stablenew.errors import ConfigError, StableNewError
from stablenew.exporting.image_places import ImagePlaces
from stablenew.exporting.share.bare_picture import encode_bare, encode_thumbnail, read_bare
from stablenew.exporting.share.check_signature import message_of
from stablenew.exporting.share.pack_signer import open_signer
from stablenew.exporting.share.salted_leaves import LeafList
from stablenew.exporting.share.shown_image import Anonymous, show_evidence, show_image, show_image_without_prompts
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.media_type import extension_for
from stablenew.formats.settings import SETTINGS
from stablenew.store.run import Run
from stablenew.store.run_folder import METADATA, RECORDS, SEAL
from stablenew.store.run_store import RunStore
from stablenew.store.seal import parse_seal

KIND: Final = "stablenew.share"
VERSION: Final = "1.0"
PROMPTS: Final = "prompts"
IMAGES: Final = "images"
_DATA: Final = "data.js"
_DATA_BEGINS: Final = "const PACK = "
_PAGE_FILES: Final = ("index.html", "page.css", "page.js", "README.txt")
_SCRIPTS: Final = ("check_pack.py", "check_signature.py")
_LONGEST_DOCUMENT: Final = 1 << 30
_STAMP: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the zip: the real one would tell of the sharer's clock."""
Image = Mapping[str, Any]


@dataclass(slots=True)
class ShareReport:
    """What is in a pack."""

    image_count: int = 0
    sealed_files: int = 0
    """Files that are in it as their run's seal has them."""
    runs: int = 0
    root: str | None = None
    """What stands for what the sharer says, where something was left out."""
    key: str | None = None
    """The fingerprint of the key that signed the root."""
    is_certified: bool = False
    """Whether that is the key of the sharer's certificate."""
    withheld: list[dict[str, Any]] = field(default_factory=list)
    """What opens the leaves of what was left out. It is not in the pack."""
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without what was left out."""
        return {
            "images": self.image_count,
            "runs": self.runs,
            "sealed_files": self.sealed_files,
            "root": self.root,
            "key": self.key,
            "problems": self.problems,
        }


@dataclass(slots=True)
class _Pack:
    """A pack that is being written."""

    archive: zipfile.ZipFile
    folder: str
    sums: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, data: bytes) -> None:
        """Add a file once, and list its SHA-256."""
        if name not in self.sums:
            self.sums[name] = hashlib.sha256(data).hexdigest()
            self.write(name, data)

    def write(self, name: str, data: bytes) -> None:
        """Add a file whose SHA-256 is not listed."""
        entry = zipfile.ZipInfo(f"{self.folder}/{name}", _STAMP)
        is_dense = name.endswith((".webp", ".png", ".jpg"))
        entry.compress_type = zipfile.ZIP_STORED if is_dense else zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        self.archive.writestr(entry, data)


def write_pack(
    store: RunStore,
    images: Sequence[Image],
    target: Path,
    *,
    without: frozenset[str] = frozenset(),
    insights: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
    clock: Clock = SYSTEM_CLOCK,
) -> ShareReport:
    """Write a pack of these images to `target`, without `prompts`, `images`, or both. It is there whole or not at all.

    Raises:
        ConfigError: something is at `target` already, or there is no image.
        WriteFailed: the disk would not take it.
    """
    if target.exists():
        raise ConfigError(f"{target} is there already; choose another name")
    if not images:
        raise ConfigError("there is no image to share")
    report = ShareReport()

    def write(file: Any) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            pack = _Pack(archive, "stablenew-pack")
            _PackWriter(store, pack, without, report).write(images, insights, progress, clock)

    replace_cached_by(target, write)
    sync_files([target], [target.absolute().parent])
    return report


class _PackWriter:
    """Puts images and what is known of them into a pack."""

    def __init__(self, store: RunStore, pack: _Pack, without: frozenset[str], report: ShareReport) -> None:
        self._store = store
        self._places = ImagePlaces(store)
        self._pack = pack
        self._has_prompts = PROMPTS not in without
        self._has_images = IMAGES not in without
        self._withheld = sorted(without)
        self._report = report
        self._raters, self._jobs = Anonymous("rater"), Anonymous("job")
        self._leaves = LeafList()
        self._runs: dict[str, str] = {}
        self._seals: dict[str, dict[str, str]] = {}

    def write(
        self,
        images: Sequence[Image],
        insights: Mapping[str, Any] | None,
        progress: Callable[[int, int], object],
        clock: Clock,
    ) -> None:
        """Everything, the list of digests last."""
        shown: list[dict[str, Any]] = []
        for done, image in enumerate(images, 1):
            shown.append(self._show(image, len(shown)))
            progress(done, len(images))
        evidence = show_evidence(insights, has_prompts=self._has_prompts)
        if not self._has_prompts:
            self._leaves.add(f"{len(shown)}/evidence", evidence, is_shown=True)
        titles = {setting.name: setting.title for setting in SETTINGS}
        data = {"withheld": self._withheld, "images": shown, "evidence": evidence, "titles": titles}
        self._pack.put(_DATA, f"{_DATA_BEGINS}{_encode(data)};\n".encode("ascii"))
        for name in _PAGE_FILES:
            self._pack.put(name, (resources.files(__package__) / "page" / name).read_bytes())
        for name in _SCRIPTS:
            self._pack.put(name, (resources.files(__package__) / name).read_bytes())
        self._pack.write("pack.json", _encode(self._describe(clock), indent=1).encode("ascii"))
        self._report.image_count, self._report.runs = len(shown), len(self._runs)
        self._report.withheld = self._leaves.withheld

    def _describe(self, clock: Clock) -> dict[str, Any]:
        described: dict[str, Any] = {
            "kind": KIND,
            "version": VERSION,
            "created_at": clock.timestamp(),
            "withheld": self._withheld,
            "runs": [{"run_id": run_id, "digest": digest} for run_id, digest in self._runs.items()],
            "files": self._pack.sums,
        }
        if not self._has_prompts:
            self._report.root = self._leaves.root
            described |= {"root": self._leaves.root, "leaves": self._leaves.leaves}
            signer = open_signer()
            described["signature"] = signer.sign(message_of(described))
            self._report.key, self._report.is_certified = signer.fingerprint, signer.is_certified
        return described

    def _show(self, image: Image, number: int) -> dict[str, Any]:
        if self._has_prompts:
            shown = show_image(image)
            self._keep_documents(image)
        else:
            shown = show_image_without_prompts(image, self._raters, self._jobs)
        data = self._read(image) if self._has_images or not self._has_prompts else None
        if self._has_images and data is not None:
            shown |= self._put_picture(image, data, number)
        if not self._has_prompts:
            self._add_leaves(number, shown, image, data)
        return shown

    def _read(self, image: Image) -> bytes | None:
        try:
            return self._places.read(image)[0]
        except (StableNewError, OSError) as error:
            self._report.problems.append(f"{image['run_id']} {image['name']}: {error}")
            return None

    def _put_picture(self, image: Image, data: bytes, number: int) -> dict[str, str]:
        try:
            image_seen = read_bare(data)
        except StableNewError as error:
            self._report.problems.append(f"{image['run_id']} {image['name']}: {error}")
            return {}
        small = f"thumbnails/{number:05}.webp"
        self._pack.put(small, encode_thumbnail(image_seen))
        if not self._has_prompts:
            name = f"images/{number:05}.webp"
            self._pack.put(name, encode_bare(image_seen))
            return {"picture": name, "thumbnail": small, "sha256": self._pack.sums[name]}
        held = self._held_name(image, data)
        name = held or f"images/{number:05}.{extension_for(image['media_type'] or '')}"
        self._pack.put(name, data)
        return {"picture": name, "thumbnail": small}

    def _held_name(self, image: Image, data: bytes) -> str | None:
        """Where the file of a sealed run is in the pack, if this is one, and is what the seal says."""
        run_id, path = image["run_id"], image["path"]
        name = f"runs/{run_id}/{path}"
        if self._seals.get(run_id, {}).get(path) != hashlib.sha256(data).hexdigest():
            return None
        self._report.sealed_files += name not in self._pack.sums
        return name

    def _keep_documents(self, image: Image) -> None:
        """Put the documents of a sealed run into the pack, unchanged."""
        run_id = image["run_id"]
        if run_id in self._runs:
            return
        try:
            run = self._store.open(run_id)
            if run.is_sealed:
                self._keep(run)
        except (StableNewError, OSError) as error:
            self._report.problems.append(f"{run_id}: {error}")

    def _keep(self, run: Run) -> None:
        documents = {name: read_regular(run.path / name, _LONGEST_DOCUMENT) for name in (SEAL, METADATA, RECORDS)}
        for name, data in documents.items():
            self._pack.put(f"runs/{run.run_id}/{name}", data)
        self._runs[run.run_id] = run.digest
        self._seals[run.run_id] = parse_seal(documents[SEAL])
        self._report.sealed_files += len(documents) - 1

    def _add_leaves(self, number: int, shown: Mapping[str, Any], image: Image, data: bytes | None) -> None:
        for name, value in shown.items():
            self._leaves.add(f"{number}/{name}", value, is_shown=True)
        original = hashlib.sha256(data).hexdigest() if data is not None else None
        hidden = {"prompt": image["prompt"], "negative": image["negative"], "original_sha256": original}
        for name, value in hidden.items():
            self._leaves.add(f"{number}/{name}", value, is_shown=False)


def _encode(value: Any, indent: int | None = None) -> str:
    """JSON in ASCII, which is also a script."""
    separators = (",", ":") if indent is None else None
    return json.dumps(value, ensure_ascii=True, indent=indent, allow_nan=False, separators=separators)
