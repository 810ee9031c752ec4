"""PackLibrary: the prompt packs of a folder by name, and those that come with the program."""

from importlib import resources
from pathlib import Path
from typing import Final

from stablenew.errors import PromptPackError
from stablenew.pipeline.prompt_pack import Prompt, PromptPack, parse_text, read_prompt_pack

SAMPLE_PREFIX: Final = "sample:"
SAMPLES: Final = ("harbour",)
SUFFIXES: Final = {".txt", ".json", ".tsv"}


class PackLibrary:
    """Packs are known by names; a name never leads out of the folder."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def names(self) -> list[str]:
        """Every pack: the files of the folder, of twins the JSON one, and then the samples."""
        files = (
            sorted(path for path in self.folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
            if self.folder.is_dir()
            else []
        )
        twins = {path.stem for path in files if path.suffix.lower() == ".json"}
        own = [path.name for path in files if path.suffix.lower() == ".json" or path.stem not in twins]
        return [*own, *(f"{SAMPLE_PREFIX}{name}" for name in SAMPLES)]

    def read(self, name: str) -> PromptPack:
        """The pack of that name.

        Raises:
            PromptPackError: there is none, or it cannot be read.
        """
        if name not in self.names():
            raise PromptPackError(f"no prompt pack {name!r} in {self.folder}")
        return (
            read_sample_pack(name[len(SAMPLE_PREFIX) :])
            if name.startswith(SAMPLE_PREFIX)
            else read_prompt_pack(self.folder / name)
        )


def read_sample_pack(name: str = SAMPLES[0]) -> PromptPack:
    """A pack that comes with the program."""
    with resources.as_file(resources.files("stablenew.pipeline") / "sample_packs" / f"{name}.json") as path:
        return read_prompt_pack(path)


def build_typed_pack(text: str, name: str = "typed", *, negative: str = "") -> PromptPack:
    """A pack of what somebody has just typed, in the form of a TXT pack; `negative` is for prompts without their own.

    Raises:
        PromptPackError: there is no prompt in it.
    """
    pairs = parse_text(text)
    if not pairs:
        raise PromptPackError("expected a prompt, found none")
    prompts = (Prompt(prompt, own or negative, f"{name}/{index}") for index, (prompt, own) in enumerate(pairs))
    return PromptPack(id=name, name=name, prompts=tuple(prompts))
