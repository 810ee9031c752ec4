"""`stablenew completion`: the script that lets a shell complete commands and options."""

from enum import StrEnum
from typing import Annotated, Final

import typer

VARIABLE: Final = "_STABLENEW_COMPLETE"
"""The variable by which such a script asks."""


class Shell(StrEnum):
    """Shells whose scripts are known."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    powershell = "powershell"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell the script is for.")]) -> None:
    """Print the script that completes commands and options in a shell.

    For bash, put `eval "$(stablenew completion bash)"` into ~/.bashrc; zsh takes the same in ~/.zshrc after compinit,
    fish `stablenew completion fish | source` in its config.fish.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    typer.echo(get_completion_script(prog_name="stablenew", complete_var=VARIABLE, shell=shell.value))


def prepare_answers() -> None:
    """Let typer answer a completion script, which started the program."""
    from typer.completion import completion_init  # type: ignore[attr-defined]

    completion_init()
