"""Short names in scripts: what a module calls its own things, and nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stablenew.web.page.short_names import shorten_names
from tests.web.test_page_units import UNITS
from tests.web.test_static_files import FILES


@pytest.mark.parametrize(
    ("source", "shortened"),
    [
        ("const total = 1; use(total);", "const a = 1; use(a);"),
        ("function add(first, second) { return first + second; }", "function c(a, b) { return a + b; }"),
        ("let found = ({ total }) => total + this.total;", "let b = ({ total:a }) => a + this.total;"),
        ("const rows = 1, cells = rows; f({ rows, cells: cells });", "const a = 1, b = a; f({ rows:a, cells: b });"),
        ("const { run_id: runId, rest = 2 } = x; y(runId, rest);", "const { run_id: a, rest:b = 2 } = x; y(a, b);"),
        ("const [first, , ...more] = x; y(first, ...more);", "const [a, , ...b] = x; y(a, ...b);"),
        (
            "for (const image of images) image.src = `${image.id} image`;",
            "for (const a of images) a.src = `${a.id} image`;",
        ),
        (
            "class View { width = 1; show(width) { this.width = width; } }",
            "class b { width = 1; show(a) { this.width = a; } }",
        ),
        ("try { f(); } catch (error) { g(error.message); }", "try { f(); } catch (a) { g(a.message); }"),
        ('const pattern = /pattern \'/; x(pattern, "pattern");', 'const a = /pattern \'/; x(a, "pattern");'),
        ("const isIt = is ? { is: isIt } : isIt;", "const a = is ? { is: a } : a;"),
    ],
)
def test_names_of_its_own_are_short_wherever_they_stand(source, shortened):
    assert shorten_names(source) == shortened


@pytest.mark.parametrize(
    "source",
    [
        'import { total } from "./x.js"; use(total);',
        "export const total = 1; export function other() {} export class Third {}",
        "const name = 1; const location = 2; f(name, location);",
        "x.total = { total: 1, method() {} };",
        "const a = (1;",
    ],
)
def test_what_others_know_keeps_its_name(source):
    assert shorten_names(source) == source


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The page's files as browsers get them."""
    folder = tmp_path_factory.mktemp("served")
    for path, file in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.data)
    shutil.copy(Path(__file__).parents[2] / "src/stablenew/web/static/js/package.json", folder / "js")
    return folder


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("node") is None, reason="no node here; install nodejs")
def test_the_units_pass_with_the_scripts_that_browsers_get(served):
    """But for the one that reads the sources."""
    units = [str(path) for path in UNITS if path.name != "modules.test.mjs"]
    environment = os.environ | {"STABLENEW_PAGE": served.as_uri() + "/js/"}
    done = subprocess.run(["node", "--test", *units], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-4000:]
