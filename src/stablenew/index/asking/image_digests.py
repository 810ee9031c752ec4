"""Which digests images have, which images digests, and where they are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from stablenew.formats.digest import is_digest
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.index_file import iter_id_lists
from stablenew.index.index_schema import DIGEST_KEY, DIGEST_KEY_BYTES
from stablenew.index.stored_values import DIGEST_BYTES, pack_digest, unpack_digest

_SELECT_NEWEST: Final = (
    "SELECT p.run, p.position, p.number FROM image i JOIN place p ON p.image = i.id "
    "JOIN variant v ON v.run = p.run AND v.position = p.position LEFT JOIN text t ON t.id = v.prompt "
    "WHERE i.id = ? OR i.picture = ? ORDER BY coalesce(t.body, '') = '', p.run DESC, p.position DESC LIMIT 1"
)
_DIGEST_IS: Final = f"{DIGEST_KEY} = ? AND substr(i.digest, 1, {DIGEST_BYTES}) = ?"


def image_ids(reader: IndexReader, digests: Iterable[str]) -> dict[str, int]:
    """The ids of images by digest, for copies that of their picture; what the index does not have is left out."""
    found: dict[str, int] = {}
    for digest in digests:
        if is_digest(digest):
            query = f"SELECT coalesce(picture, id) FROM image i WHERE {_DIGEST_IS} ORDER BY id"
            for (number,) in reader.fetch(query, _digest_keys(digest)):
                found.setdefault(digest, int(number))
    return found


def digests_of(reader: IndexReader, images: Sequence[int]) -> list[str]:
    """The digests of images and of their copies by their ids, in any order."""
    found: list[str] = []
    for some in iter_id_lists(images):
        found += [
            unpack_digest(digest)
            for (digest,) in reader.fetch(f"SELECT digest FROM image WHERE id IN ({some}) OR picture IN ({some})")
        ]
    return found


def digests_by_run(reader: IndexReader, images: Sequence[int]) -> dict[str, list[str]]:
    """For each run the digests of those of some images, or of their copies, that are among its final outputs."""
    found: dict[str, set[str]] = defaultdict(set)
    for some in iter_id_lists(images):
        query = (
            "SELECT r.run_id, i.digest FROM place p JOIN run r ON r.id = p.run JOIN image i ON i.id = p.image "
            f"WHERE i.id IN ({some}) OR i.picture IN ({some})"
        )
        for run_id, digest in reader.fetch(query):
            found[run_id].add(unpack_digest(digest))
    return {run_id: sorted(digests) for run_id, digests in found.items()}


def find_copies(reader: IndexReader) -> list[list[str]]:
    """The digests of each picture that is there in several files."""
    groups: dict[int, list[str]] = defaultdict(list)
    query = (
        "SELECT coalesce(picture, id), digest FROM image "
        "WHERE picture IS NOT NULL OR id IN (SELECT picture FROM image WHERE picture IS NOT NULL) ORDER BY digest"
    )
    for picture, digest in reader.fetch(query):
        groups[picture].append(unpack_digest(digest))
    return list(groups.values())


def runs_holding(reader: IndexReader, digest: str) -> list[str]:
    """The runs that have an image among their final outputs, the oldest first."""
    query = (
        "SELECT DISTINCT r.run_id, r.id FROM image i JOIN place p ON p.image = i.id JOIN run r ON r.id = p.run "
        f"WHERE {_DIGEST_IS} ORDER BY r.id"
    )
    return [run_id for run_id, _ in reader.fetch(query, _digest_keys(digest))]


def newest_place(reader: IndexReader, image: int) -> tuple[int, int, int] | None:
    """Run, position and number of the newest place of an image; None when it was deleted.

    Of copies one with a prompt is taken, where there is any.
    """
    rows = reader.fetch(_SELECT_NEWEST, (image, image))
    return (rows[0][0], rows[0][1], rows[0][2]) if rows else None


def _digest_keys(digest: str) -> tuple[bytes, bytes]:
    """The parameters of the condition that finds an image by its digest."""
    packed = pack_digest(digest)
    return packed[:DIGEST_KEY_BYTES], packed
