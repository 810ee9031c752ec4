"""The page's files as they are served: small, complete, and named before they are needed."""

import re
import shutil
import subprocess
from importlib import resources

import pytest

from stablenew.web.static_files import compact_script, read_page_files

MOST_BYTES = 258_000  # to be 250_000 again
FILES = read_page_files()
SCRIPTS = {path: file.data for path, file in FILES.items() if path.endswith(".js")}


def test_the_script_of_all_screens_is_small():
    assert len(SCRIPTS) > 40
    assert sum(map(len, SCRIPTS.values())) < MOST_BYTES


def test_comments_and_white_space_are_left_out_and_nothing_else():
    source = b'/**\n * What. * /\n */\nconst a = 1; // gone\n  // gone\n\n  b("http://x", 2 * a); /* kept */\n'
    assert compact_script(source) == b'const a=1;b("http://x", 2 * a); /* kept */\n'


def test_white_space_around_signs_goes_and_texts_keep_theirs():
    source = b'const a = (b, c) => {\n  return b + " , " + c;\n};\nif (a < 1) x = /[ ] = /;\nreturn `a = ${b}`;\n'
    wanted = b'const a=(b,c)=>{return b + " , " + c;};if (a < 1) x = /[ ] = /;return `a = ${b}`;'
    assert compact_script(source) == wanted


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here; install nodejs")
def test_scripts_are_still_scripts(tmp_path):
    for path, data in SCRIPTS.items():
        file = tmp_path / path.replace("/", "-").replace(".js", ".mjs")
        file.write_bytes(data)
        done = subprocess.run(["node", "--check", str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (path, done.stderr)


def test_the_page_names_all_modules_of_the_wall():
    named = set(re.findall(rb'modulepreload" href="/static/([^"]+)"', FILES["index.html"].data))
    assert named >= {b"js/app.js", b"js/screens/wall_screen.js", b"js/parts/images/wall_view.js", b"js/data/api.js"}
    assert b"js/screens/new_screen.js" not in named
    assert {path.decode() for path in named} <= set(FILES)


def test_every_file_of_the_page_is_served():
    static = resources.files("stablenew.web") / "static"
    assert {"index.html", "app.css", "wall.css", "icon.svg"} <= {item.name for item in static.iterdir()} & set(FILES)
