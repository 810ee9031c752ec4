"""What a check found: findings with codes that never change their meaning, apart from how anybody shows them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

ERROR: Final = "error"
WARNING: Final = "warning"
INFO: Final = "info"

CODES: Final[dict[str, tuple[str, str]]] = {
    "metadata-missing": (ERROR, "run_metadata.json is not there"),
    "metadata-unreadable": (ERROR, "run_metadata.json cannot be read"),
    "metadata-mismatch": (ERROR, "run_metadata.json belongs to another run, or its numbers are not what the run holds"),
    "newer-format": (WARNING, "a later program wrote this; it was not looked into"),
    "run-running": (INFO, "the run is being written now"),
    "run-interrupted": (WARNING, "the run ended without a seal; `stablenew repair` finishes it"),
    "run-incomplete": (WARNING, "the run has no seal here; another machine or a sync may still have the rest"),
    "run-vanished": (WARNING, "the run was there at first and then no more"),
    "run-unreadable": (ERROR, "the folder of the run cannot be read"),
    "run-copy": (
        INFO,
        "a folder holds a run and has another name, such as a desktop gives a copy; it is ignored",
    ),
    "run-link": (INFO, "a link to a folder with a run; links are not followed"),
    "seal-unreadable": (ERROR, "SHA256SUMS cannot be read"),
    "file-missing": (ERROR, "a sealed file is not there"),
    "file-unreadable": (ERROR, "a file is there and cannot be read: a permission, or a bad disk"),
    "file-changed": (ERROR, "a sealed file is not what it was when the run was sealed"),
    "file-unlisted": (ERROR, "a file of the format is there that the seal does not list"),
    "file-foreign": (INFO, "a file that is no part of the format; it is ignored"),
    "file-leftover": (INFO, "a temporary or conflict file of this program, a sync tool or a desktop; it is ignored"),
    "link-refused": (ERROR, "a link or special file stands where a regular file belongs; it was not followed"),
    "record-unreadable": (ERROR, "a line of records.jsonl is no record"),
    "record-torn": (WARNING, "the last line of records.jsonl was cut off by a crash; it was never acknowledged"),
    "record-mismatch": (ERROR, "a record belongs to another run"),
    "output-missing": (ERROR, "a record names an output that is not there"),
    "output-removed": (
        INFO,
        "the bytes of an output are not there, because they were removed on purpose",
    ),
    "output-changed": (ERROR, "an output's bytes have another digest or size than its record says"),
    "digest-collision": (ERROR, "outputs have one digest and, by their SHA-256, different bytes"),
    "output-unrecorded": (INFO, "an output that no record names: its variant was never finished"),
    "origin-missing": (WARNING, "an image that an import left in its place is not there any more"),
    "origin-changed": (ERROR, "another file is where an image in place was recorded"),
    "origin-moved": (INFO, "an image in place was moved or renamed after its import, and found again"),
    "origin-elsewhere": (INFO, "images lie in a source that this machine does not know"),
    "feedback-unreadable": (ERROR, "a feedback file or line cannot be read"),
    "feedback-torn": (WARNING, "the last line of a feedback log was cut off by a crash; it was never acknowledged"),
    "feedback-mismatch": (ERROR, "feedback belongs to another run"),
    "feedback-forged": (ERROR, "a feedback event is not what its id says"),
    "feedback-ahead": (WARNING, "a feedback event has a clock beyond tomorrow; newer events are not put after it"),
    "feedback-stale": (WARNING, "feedback.json does not say what its events mean"),
    "feedback-conflict-copy": (INFO, "a sync tool's conflict copy of feedback; its events count"),
    "metrics-unreadable": (ERROR, "a file or line of scores cannot be read"),
    "metrics-torn": (WARNING, "the last line of a file of scores was cut off by a crash; it was never acknowledged"),
    "metrics-mismatch": (ERROR, "scores belong to another run"),
    "store-changed": (ERROR, "a file of .stablenew is damaged or does not mean what it should; `repair` mends it"),
    "store-differs": (INFO, "a schema in .stablenew is not the one that this program writes; `repair` writes its own"),
    "store-incomplete": (INFO, "a file of .stablenew that describes the format is not there; `repair` writes it"),
    "documents-disagree": (ERROR, "documents of the run contradict each other"),
    "schema-violation": (ERROR, "a document does not fit its published JSON Schema"),
    "image-undecodable": (ERROR, "an image cannot be decoded"),
    "image-unchecked": (INFO, "an image is too large to be decoded here; its bytes were checked"),
    "media-type-mismatch": (ERROR, "an output's bytes are of another media type than its record says"),
    "image-mismatch": (ERROR, "an image's size or pixels are not what its record says"),
}
"""Severity and meaning of every code."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    code: str
    path: str
    """In the run; empty for the run as a whole."""
    message: str
    line: int | None = None

    @property
    def severity(self) -> str:
        """`error`, `warning` or `info`."""
        return CODES[self.code][0]

    def to_dict(self) -> dict[str, str | int | None]:
        """The JSON form."""
        return {
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "line": self.line,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class ImagePlaces:
    """How many recorded outputs are where. One that several runs describe counts in each."""

    held: int = 0
    """Their bytes are in the store."""
    in_place: int = 0
    """They lie in a source, where they were recorded or where they were found again."""
    missing: int = 0
    """They should be in the store or in a source, and are not, or another file is there."""
    removed: int = 0
    """They were removed on purpose."""
    elsewhere: int = 0
    """They lie in a source that this machine does not know."""

    def __add__(self, other: "ImagePlaces") -> "ImagePlaces":
        return ImagePlaces(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def to_dict(self) -> dict[str, int]:
        """The JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What verifying one run, or a store's own files, found."""

    subject: str
    """The run id, or `.stablenew`."""
    findings: tuple[Finding, ...] = ()
    files: int = 0
    """Files whose bytes were read and compared."""
    size_bytes: int = 0
    digest: str | None = None
    """The run's digest, when it is sealed."""
    state: str | None = None
    images: ImagePlaces = ImagePlaces()
    hashes: bytes = b""
    """Of each output the beginning of its digest and of its SHA-256; see `digest_collisions`."""

    @property
    def is_ok(self) -> bool:
        """Whether nothing worse than information was found."""
        return all(finding.severity == INFO for finding in self.findings)

    @property
    def is_whole(self) -> bool:
        """Whether every output is there, also those that may be missing because they were removed on purpose."""
        return not any(finding.code == "output-removed" for finding in self.findings)

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "run_id": self.subject,
            "ok": self.is_ok,
            "state": self.state,
            "digest": self.digest,
            "files": self.files,
            "size_bytes": self.size_bytes,
            "images": self.images.to_dict(),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def count_findings(reports: Iterable[VerifyReport]) -> dict[str, int]:
    """How many findings of each severity there are in all reports."""
    counts = {ERROR: 0, WARNING: 0, INFO: 0}
    for report in reports:
        for finding in report.findings:
            counts[finding.severity] += 1
    return counts


def count_images(reports: Iterable[VerifyReport]) -> ImagePlaces:
    """Where the images of all reports are."""
    return sum((report.images for report in reports), ImagePlaces())
