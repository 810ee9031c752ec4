"""Another process that changes files as fast as it can, while a test looks at them."""

import contextlib
import subprocess
import sys

_LOOP = "import os, sys, time, itertools\nprint('ready', flush=True)\nfor number in itertools.count():\n"


@contextlib.contextmanager
def repeating(lines, *arguments):
    """A process that does `lines` again and again, with `number` counted up and `sys.argv[1:]` as given."""
    body = "\n".join("    " + line for line in lines.strip().splitlines())
    command = [sys.executable, "-c", _LOOP + body, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield
        assert process.poll() is None, "it ended early"
    finally:
        process.kill()
        process.communicate()


REPLACE_FILES = """
for path in sys.argv[1:]:
    with open(path + ".tmp", "wb") as file:
        file.write(b"{}")
    os.replace(path + ".tmp", path)
"""
COME_AND_GO = """
folder = f"{sys.argv[1]}/20261110-{number % 1000000:06d}-000-aaaaaaaaaa"
os.mkdir(folder)
os.rmdir(folder)
"""
COME_AND_GO_AS_FILE = """
open(sys.argv[1], "wb").close()
os.unlink(sys.argv[1])
"""
MOVE_AWAY_AND_BACK = """
store, aside, *names = sys.argv[1:]
for source, target in ((store, aside), (aside, store)):
    for name in names:
        os.rename(f"{source}/{name}", f"{target}/{name}")
    time.sleep(0.01)
"""
