"""Are the files of a run those that its seal lists, and no others?"""

import os
from collections.abc import Collection, Mapping

from stablenew.errors import FormatError
from stablenew.store.feedback.removals import Removals
from stablenew.store.run_folder import SEAL, is_unsealed
from stablenew.store.seal import read_seal
from stablenew.store.upkeep.verifying.finding_list import FindingList
from stablenew.store.upkeep.verifying.run_files import IN_OUTPUTS, RunFiles


def check_seal(files: RunFiles, found: FindingList) -> dict[str, str] | None:
    """The SHA-256 of every sealed file: None without a seal, empty where it cannot be read."""
    if not os.path.lexists(files.path / SEAL):
        return None
    try:
        return read_seal(files.path)
    except FormatError as error:
        found.add("seal-unreadable", SEAL, str(error))
    except OSError as error:
        found.add("link-refused", SEAL, f"cannot be read: {error.strerror or error}")
    return {}


def check_sealed_files(
    files: RunFiles, found: FindingList, sums: Mapping[str, str], names: Collection[str], removals: Removals
) -> None:
    """Note sealed files that are changed or gone, and files among `names` that came later."""
    for path, sha256 in sorted(sums.items()):
        if (hashes := files.hash(path)) is None:
            message = "listed in the seal, but not there"
            found.add_absent("file-missing", path, message, removals.by_sha256.get(sha256))
        elif hashes.sha256 != sha256:
            found.add("file-changed", path, f"SHA-256 is {hashes.sha256[:12]}…, the seal says {sha256[:12]}…")
    if sums:
        originals = {sums[path]: path for path in sums if path.startswith(IN_OUTPUTS)}
        for path in sorted(set(names) - sums.keys() - {SEAL}):
            if not is_unsealed(path):
                _add_unlisted(files, found, path, originals)


def _add_unlisted(files: RunFiles, found: FindingList, path: str, originals: Mapping[str, str]) -> None:
    """Note a file that the seal does not list. One with the bytes of a sealed output cannot deceive anybody."""
    hashes = files.hash(path)
    if hashes is not None and hashes.sha256 in originals:
        found.add("file-leftover", path, f"a copy of {originals[hashes.sha256]}; it is ignored")
    else:
        found.add("file-unlisted", path, "not there when the run was sealed")
