"""Write `src/stablenew/cli/README.md`, the help of every command; with `--check`, only say whether it is in step."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).parents[1] / "src" / "stablenew" / "cli" / "README.md"
_WIDTH: Final = 100
_HEAD: Final = """# Commands

What `--help` says of every command, written by `tools/write_commands.py`. The options `--runs-dir`, `--json`, `--quiet`
and `--version` stand before or after any of them. Each exits with 0 if all is well, 1 if the work found or met
something that is not, 2 if it was called wrongly, 130 if it was stopped by Ctrl-C.
"""


def build_page() -> str:
    """The page."""
    os.environ["TERMINAL_WIDTH"] = os.environ["COLUMNS"] = str(_WIDTH)
    from typer.main import get_command

    from stablenew.cli.main import app

    group: Any = get_command(app)
    context = group.make_context("stablenew", [], resilient_parsing=True)
    sections = [f"## {path}\n\n```\n{text}\n```\n" for path, text in _iter_help(group, context)]
    return "\n".join([_HEAD, *sections])


def _iter_help(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    """The path and help of a command and of all below it."""
    help_text = command.get_help(context)
    yield context.command_path, "\n".join(line.rstrip() for line in help_text.strip().splitlines())
    for name in getattr(command, "commands", ()):
        found = command.commands[name]
        inner = type(context)(found, info_name=name, parent=context, terminal_width=_WIDTH, max_content_width=_WIDTH)
        yield from _iter_help(found, inner)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is out of step")
    arguments = parser.parse_args()
    page = build_page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    print(f"{'out of step' if arguments.check else 'written'}: {PAGE.name} of stablenew.cli")
    if not arguments.check:
        PAGE.write_text(page, encoding="utf-8")
    return 1 if arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
