"""Which image a person means by the beginning of its digest."""

from typing import TYPE_CHECKING

from stablenew.errors import ConfigError
from stablenew.formats.digest import PREFIX
from stablenew.store.run import MIN_DIGEST_PREFIX

if TYPE_CHECKING:
    from stablenew.index.job_history import JobHistory


def find_digest(history: "JobHistory", name: str) -> str:
    """The digest of the one image of a history whose digest begins with `name`.

    Raises:
        ConfigError: no image has such a digest, several have, or it is too short.
    """
    prefix = name.lower().removeprefix(PREFIX)
    if len(prefix) < MIN_DIGEST_PREFIX or set(prefix) - set("0123456789abcdef"):
        raise ConfigError(
            f"expected the digest of an image or {MIN_DIGEST_PREFIX} or more digits of it, found {name!r}"
        )
    with_copies = history.digests(f"digest:{prefix}")
    found = [digest for digest in with_copies if digest.removeprefix(PREFIX).startswith(prefix)]
    if len(found) != 1:
        raise ConfigError(f"{len(found) or 'no'} images have a digest that begins with {name!r}")
    return found[0]
