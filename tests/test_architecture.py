"""Imports point down only, and no module imports in a circle: also inside functions and under TYPE_CHECKING."""

import ast
import re
import venv
from collections import Counter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "stablenew"
LAYERS = {
    "errors": 0,
    "garbage_collection": 0,
    "worker_pool": 0,
    "disk": 1,
    "formats": 1,
    "store": 2,
    "image_metadata": 2,
    "app_config": 3,
    "diffusers_facts": 3,
    "engines": 4,
    "recording": 4,
    "index": 4,
    "learning": 4,
    "pipeline": 5,
    "importing": 4,
    "exporting": 4,
    "controller": 6,
    "tool_hooks": 0,
    "web": 7,
    "cli": 8,
}
FREE = {"__init__", "__main__"}
"""The public names, and the door for `python -m`."""
MODULES = {
    path.relative_to(SOURCE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path):
    names = (name.removeprefix("stablenew.") for name in imports_of(path) if name.startswith("stablenew."))
    return {name for name in names if name in MODULES}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - FREE))
def test_imports_point_down(module):
    layer = module.split(".")[0]
    for imported in own_imports(MODULES[module]) - {"__init__"}:
        target = imported.split(".")[0]
        assert target == layer or LAYERS[target] < LAYERS[layer], f"{module} imports {imported}"


def test_every_package_has_a_layer():
    assert {module.split(".")[0] for module in MODULES} - FREE - {""} <= LAYERS.keys()


MOST_IN_A_FOLDER = 15
"""What one can take in at a glance. `cli` has a file a command, whatever their number."""


def test_a_folder_is_a_page():
    folders = Counter(path.parent for path in MODULES.values() if path.stem != "__init__")
    assert not {str(folder): n for folder, n in folders.items() if n > MOST_IN_A_FOLDER and folder.name != "cli"}


LONGEST_FUNCTION = 58
"""Lines, signature and docstring included."""


def test_a_function_fits_on_a_screen():
    trees = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}
    functions = [(name, node) for name, tree in trees.items() for node in ast.walk(tree) if is_function(node)]
    sizes = {f"{module}.{node.name}": node.end_lineno - node.lineno + 1 for module, node in functions}
    assert not {name: size for name, size in sizes.items() if size > LONGEST_FUNCTION}


def is_function(node):
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


@pytest.mark.parametrize(("setting", "most"), [("scheduler", 12), ("clip_skip", 7)])
def test_a_setting_is_spelled_only_where_a_format_or_a_program_is_translated(setting, most):
    """All others take its name from `formats/settings.py`, so that a new setting is one line."""
    files = [path for path in SOURCE.rglob("*") if path.suffix in {".py", ".js", ".html", ".md"}]
    naming = [path for path in files if re.search(rf"\b{setting}\b", path.read_text(encoding="utf-8"))]
    assert len(naming) <= most, naming


def test_no_module_imports_in_a_circle():
    graph = {module: own_imports(path) - {module} for module, path in MODULES.items() if module not in FREE}
    done = set()

    def visit(module, trail):
        assert module not in trail, " → ".join([*trail, module])
        if module not in done:
            for imported in graph.get(module, ()):
                visit(imported, [*trail, module])
            done.add(module)

    for module in graph:
        visit(module, [])


def swallows_everything(node):
    if not isinstance(node, ast.ExceptHandler):
        return False
    is_broad = node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
    return is_broad and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))


def test_only_the_store_writes_files_and_only_the_side_channel_catches_everything():
    broad, writing = set(), set()
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if any(swallows_everything(node) for node in ast.walk(ast.parse(text))):
            broad.add(module)
        if any(call in text for call in ("write_bytes(", "write_text(", 'open("w', "os.open(", "os.write(")):
            writing.add(module.split(".")[0])
    assert broad == {"recording.side_channel", "tool_hooks.bridge"}, "the second is a guest in other programs"
    assert writing <= {"disk", "store", "cli"}, "cli exports to places the user names"


def names_at_the_top(root):
    """What a checkout holds, without hidden names and without virtual environments, whatever those are called."""
    return {
        path.name for path in root.iterdir() if not path.name.startswith(".") and not (path / "pyvenv.cfg").is_file()
    }


def test_a_virtual_environment_is_no_part_of_the_project(tmp_path):
    venv.create(tmp_path / "env", with_pip=False)
    (tmp_path / "environment").mkdir()
    assert names_at_the_top(tmp_path) == {"environment"}


def test_the_top_level_is_what_it_shall_be():
    root = SOURCE.parents[1]
    allowed = {"schemas", "src", "tests", "runs", "tools", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"}
    ignored = {"build", "dist", "artifacts"}
    assert names_at_the_top(root) - ignored == allowed
