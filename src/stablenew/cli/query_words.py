"""Commands that take a query and have short options."""

import re
from typing import Any, Final

from typer.core import TyperCommand

_SHORT: Final = re.compile(r"-[A-Za-z][^-=].*", re.DOTALL)


class QueryCommand(TyperCommand):
    """A command with a query in which `-oil` means "without oil", also where `-o` is an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take words that only look like a short option with its value out of the options' way."""
        end = args.index("--") if "--" in args else len(args)
        with_value = {name for param in self.params for name in param.opts if not getattr(param, "is_flag", True)}
        options: list[str] = []
        words: list[str] = []
        for before, argument in zip(["", *args], args[:end], strict=False):
            is_word = _SHORT.fullmatch(argument) and before not in with_value
            (words if is_word else options).append(argument)
        return super().parse_args(ctx, [*options, "--", *words, *args[end + 1 :]])
