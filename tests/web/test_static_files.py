"""The page's files as they are served: small, complete, and named before they are needed."""

import gzip
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from stablenew.web.page.static_files import compact_script, read_page_files

MOST_BYTES = 115_000
"""Of all scripts, as they are sent: compressed."""
MOST_BYTES_UNPACKED = 250_000
FILES = read_page_files()
SCRIPTS = {path: file.data for path, file in FILES.items() if path.endswith(".js")}


def test_the_script_of_all_screens_is_small():
    assert len(SCRIPTS) > 40
    assert sum(map(len, SCRIPTS.values())) < MOST_BYTES_UNPACKED
    packed = [file.packed for path, file in FILES.items() if path.endswith(".js")]
    assert sum(map(len, packed)) < MOST_BYTES
    assert [gzip.decompress(data) for data in packed] == list(SCRIPTS.values())


def test_a_browser_gets_a_file_compressed_and_other_programs_as_it_is(client):
    _, headers, data = client.ask("GET", "/static/js/app.js", Accept_Encoding="gzip")
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(data) == SCRIPTS["js/app.js"]
    _, headers, data = client.ask("GET", "/static/js/app.js")
    assert ("content-encoding" in headers, data) == (False, SCRIPTS["js/app.js"])


def test_comments_and_white_space_are_left_out_and_nothing_else():
    source = b'/**\n * What. * /\n */\nconst a = 1; // gone\n  // gone\n\n  b("http://x  /* kept */", 2 * a);\n'
    assert compact_script(source) == b'const a=1;b("http://x  /* kept */",2*a);'


def test_what_looks_like_a_comment_or_white_space_stays_in_texts_and_patterns():
    source = b"if (a < 1) x = /[ ] =  \\/\\/ /.exec(y);\nreturn `a = ${b}\n  // kept`\n"
    assert compact_script(source) == b"if(a<1)x=/[ ] =  \\/\\/ /.exec(y);return`a = ${b}\n  // kept`"


def test_no_template_stands_in_another_which_the_minifier_would_take_for_code():
    static = Path(str(resources.files("stablenew.web"))) / "static"
    for path in static.rglob("*.js"):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            assert not re.search(r"`[^`]*\$\{[^`}]*`", line), f"{path}:{number}"


def test_templates_keep_their_words_and_spaces():
    """Beside the names in what is put into them."""
    static = Path(str(resources.files("stablenew.web"))) / "static"
    for path, data in SCRIPTS.items():
        source = (static / path).read_text("utf-8")
        assert [words(one) for one in templates(data.decode())] == [words(one) for one in templates(source)], path


def templates(text):
    return re.findall(r"`[^`]*`", re.sub(r"^\s*(?:/?\*|//).*$", "", text, flags=re.MULTILINE))


def words(template):
    return re.sub(r"\$\{[^}]*\}", "${}", template)


PARSE = """
import { readFileSync } from "node:fs";
import { SourceTextModule } from "node:vm";
const names = process.argv.slice(1);
names.forEach((name) => new SourceTextModule(readFileSync(name, "utf8"), { identifier: name }));
console.log(`${names.length} parsed`);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here; install nodejs")
def test_scripts_are_still_scripts(tmp_path):
    names = []
    for path, data in SCRIPTS.items():
        file = tmp_path / path.replace("/", "-")
        file.write_bytes(data)
        names.append(file.name)
    command = ["node", "--experimental-vm-modules", "--no-warnings", "--input-type=module", "--eval", PARSE, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{len(names)} parsed\n"), done.stderr


def test_the_page_names_all_modules_of_the_wall():
    named = set(re.findall(rb'modulepreload" href="/static/([^"]+)"', FILES["index.html"].data))
    assert named >= {b"js/app.js", b"js/screens/wall_screen.js", b"js/parts/images/wall_view.js", b"js/data/api.js"}
    assert b"js/screens/new_screen.js" not in named
    assert {path.decode() for path in named} <= set(FILES)


def test_every_file_of_the_page_is_served():
    static = resources.files("stablenew.web") / "static"
    assert {"index.html", "app.css", "wall.css", "icon.svg"} <= {item.name for item in static.iterdir()} & set(FILES)
