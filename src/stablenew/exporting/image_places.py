"""ImagePlaces: from an image as a query finds it to its bytes, wherever they are."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from stablenew.errors import OutputNotFound, StableNewError
from stablenew.exporting.maker import Maker, maker_of
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.image_files import MAX_IMAGE_BYTES
from stablenew.store.output_access import locate_output, open_output
from stablenew.store.run import Run
from stablenew.store.run_store import RunStore

Image: TypeAlias = Mapping[str, Any]
"""An image as `JobHistory.find_images` returns it."""
_MOST_KEPT: Final = 64
_UNKNOWN: Final = "unknown program"


class ImagePlaces:
    """The places of images in one store. The records of a run are read once for many images."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._outputs: dict[str, dict[str, OutputReference]] = {}
        self._makers: dict[str, dict[str, Maker]] = {}
        """The programs that the metadata of imported images name, by run and digest."""

    def read(self, image: Image) -> tuple[bytes, OutputReference]:
        """The bytes of an image, checked against its record, from the first place that has them.

        Raises:
            OutputNotFound: none has; the message says why the last one has not.
        """
        missing: Exception = OutputNotFound(f"no run here holds {image['digest']}")
        for run, output in self._iter_places(image):
            try:
                with open_output(run, output) as file:
                    return file.read(MAX_IMAGE_BYTES), output
            except (StableNewError, OSError) as error:
                missing = error
        raise OutputNotFound(str(missing))

    def paths_in_place(self, image: Image) -> list[Path]:
        """Where the files of an image lie that no run holds, those with the same pixels too; the bytes are as recorded.

        Raises:
            OutputNotFound: all are held in runs, whose folders are closed, or none is there any more.
        """
        missing: Exception = OutputNotFound(f"{image['run_id']} {image['name']} is held in its run, not in a folder")
        found: dict[Path, None] = {}
        for run, output in self._iter_files(image):
            if output.origin is None:
                continue
            try:
                open_output(run, output).close()
                found[locate_output(run, output)] = None
            except (StableNewError, OSError) as error:
                missing = error
        if not found:
            raise OutputNotFound(str(missing))
        return list(found)

    def name_of(self, image: Image) -> str:
        """The path of an image beneath its source, or its name in its run: with `/`, never leading out of a folder."""
        for _, output in self._iter_places(image):
            path = output.origin.path if output.origin else output.path_in_run.rpartition("/")[2]
            parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
            if parts:
                return "/".join(part.replace(":", "_") for part in parts)
        return f"{image['digest'][7:19]}.png"

    def maker_of(self, image: Image) -> Maker:
        """The program that made the image, as its run says; for imported images the program that wrote their metadata.

        Raises:
            OutputNotFound: no run here holds it.
        """
        for run, output in self._iter_places(image):
            return self._makers[run.run_id].get(output.digest) or maker_of(run.metadata.source)
        raise OutputNotFound(f"no run here holds {image['digest']}")

    def _iter_places(self, image: Image) -> Iterator[tuple[Run, OutputReference]]:
        """The places of the very file that history shows."""
        yield from (found for found in self._iter_files(image) if found[1].digest == image["digest"])

    def _iter_files(self, image: Image) -> Iterator[tuple[Run, OutputReference]]:
        """The places of all files that are this picture."""
        for place in image["places"]:
            try:
                run = self._store.open(place["run_id"])
            except StableNewError:
                continue
            output = self._outputs_of(run).get(place["digest"])
            if output is not None:
                yield run, output

    def _outputs_of(self, run: Run) -> dict[str, OutputReference]:
        if run.run_id not in self._outputs:
            while len(self._outputs) >= _MOST_KEPT:
                del self._makers[next(iter(self._outputs))]
                self._outputs.pop(next(iter(self._outputs)))
            found = list(run.iter_outputs())
            self._outputs[run.run_id] = {output.digest: output for _, output in found}
            self._makers[run.run_id] = {
                output.digest: Maker(record.reconstructed.tool or _UNKNOWN)
                for record, output in found
                if record.reconstructed is not None
            }
        return self._outputs[run.run_id]
