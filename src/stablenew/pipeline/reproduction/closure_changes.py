"""What changed between the closures of two runs: files, versions, extensions, hardware, flags. Pure.

Files of one model that were swapped together are one change.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from stablenew.formats.documents.run_metadata import Closure, CustomNode, ModelFile
from stablenew.pipeline.reproduction.change import CUSTOM_NODE, DEVICE, DTYPE, FILE, FLAG, VERSION, Change
from stablenew.store.file_hashes import PENDING

_TITLES: Final = {"lora": "LoRA", "vae": "VAE", "text_encoder": "text encoder", "clip_vision": "CLIP vision model"}
_SHORT: Final = 12
_NO_FILES: Final = "which files were used: one of the two runs does not say"
Item = TypeVar("Item")


def compare_closures(before: Closure, after: Closure) -> tuple[list[Change], list[str]]:
    """What changed, and what cannot be compared because one of the two does not say it."""
    files, unknown = _compare_files(before.models, after.models)
    return [
        *files,
        *_compare_versions(before, after),
        *_compare_nodes(before, after),
        *_compare_machines(before, after),
    ], unknown


def _compare_files(
    before: Sequence[ModelFile] | None, after: Sequence[ModelFile] | None
) -> tuple[list[Change], list[str]]:
    """Changes by model, and the files whose bytes cannot be compared."""
    if before is None or after is None:
        return [], [] if before is after else [_NO_FILES]
    first, second = ({(file.kind, file.name): file for file in files} for files in (before, after))
    changed: dict[str, list[ModelFile]] = {}
    changes, unknown = [], []
    for key in dict.fromkeys((*first, *second)):
        old, new = first.get(key), second.get(key)
        if old is None or new is None:
            changes += [Change(FILE, _title(file), _bytes_of(old), _bytes_of(new)) for file in (old, new) if file]
        elif _is_known(old) and _is_known(new):
            if old.sha256 != new.sha256:
                changed.setdefault(old.name.partition("/")[0], []).append(new)
        elif old.size_bytes is not None and new.size_bytes is not None and old.size_bytes != new.size_bytes:
            changes.append(Change(FILE, _title(new), f"{old.size_bytes} bytes", f"{new.size_bytes} bytes"))
        else:
            unknown.append(f"whether {new.name} holds the same bytes: its hash is not known of both runs")
    return [*(_group(files, first) for files in changed.values()), *changes], unknown


def _group(files: Sequence[ModelFile], before: Mapping[tuple[str | None, str], ModelFile]) -> Change:
    """Files of one model that hold other bytes, as one change; of a model in one file that file."""
    old, new = (_digests(files_of) for files_of in ([before[file.kind, file.name] for file in files], files))
    if len(files) == 1:
        return Change(FILE, _title(files[0]), old, new)
    kinds = {file.kind for file in files}
    kind = kinds.pop() if len(kinds) == 1 else "checkpoint"
    model = files[0].name.partition("/")[0]
    return Change(FILE, f"{_TITLES.get(str(kind), kind)} {model} ({len(files)} files)", old, new)


def _title(file: ModelFile) -> str:
    return f"{_TITLES.get(str(file.kind), file.kind or 'file')} {file.name}"


def _is_known(file: ModelFile) -> bool:
    return file.sha256 not in (None, PENDING)


def _bytes_of(file: ModelFile | None) -> str | None:
    return None if file is None else f"sha256 {file.sha256[:_SHORT]}" if file.sha256 and _is_known(file) else "used"


def _digests(files: Sequence[ModelFile]) -> str:
    return f"sha256 {', '.join(str(file.sha256)[:_SHORT] for file in files)}"


def _compare_versions(before: Closure, after: Closure) -> list[Change]:
    is_whole = _lists_libraries(before) and _lists_libraries(after)
    pairs = _pairs(before.versions or {}, after.versions or {}, is_whole=is_whole)
    return [Change(VERSION, name, old, new) for name, old, new in pairs if old != new]


def _lists_libraries(closure: Closure) -> bool:
    """Whether a library that it does not name was not there."""
    return bool({"torch", "numpy"} & (closure.versions or {}).keys())


def _pairs(
    before: Mapping[str, Item], after: Mapping[str, Item], *, is_whole: bool
) -> list[tuple[str, Item | None, Item | None]]:
    """Both values of each name; unless the lists are whole only of the names that both have."""
    names = [name for name in dict.fromkeys((*before, *after)) if is_whole or (name in before and name in after)]
    return [(name, before.get(name), after.get(name)) for name in names]


def _compare_nodes(before: Closure, after: Closure) -> list[Change]:
    if before.custom_nodes is None and after.custom_nodes is None:
        return []
    first, second = ({node.name: _state_of(node) for node in closure.custom_nodes or ()} for closure in (before, after))
    pairs = _pairs(first, second, is_whole=_lists_libraries(before) and _lists_libraries(after))
    return [Change(CUSTOM_NODE, f"extension {name}", old, new) for name, old, new in pairs if old != new]


def _state_of(node: CustomNode) -> str:
    return f"commit {node.commit[:_SHORT]}" if node.commit else node.version or "there"


def _compare_machines(before: Closure, after: Closure) -> list[Change]:
    changes = [
        Change(kind, kind, old, new)
        for kind, old, new in ((DEVICE, before.device, after.device), (DTYPE, before.dtype, after.dtype))
        if old is not None and new is not None and old != new
    ]
    is_whole = _lists_libraries(before) and _lists_libraries(after)
    pairs = _pairs(_flags(before), _flags(after), is_whole=is_whole)
    return [*changes, *(Change(FLAG, name, old, new) for name, old, new in pairs if old != new)]


def _flags(closure: Closure) -> dict[str, str]:
    """Flags by name: `--medvram` is given, `attention=X` and `--precision full` have values."""
    found = {}
    for flag in closure.flags or ():
        separator = "=" if "=" in flag else " "
        name, _, value = flag.partition(separator)
        found[name] = value or "given"
    return found
