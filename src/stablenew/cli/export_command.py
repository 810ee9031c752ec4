"""`stablenew export`: recordings and opinions as files that other programs read."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stablenew.cli.console import SHOWN_PROBLEMS, Output, plural
from stablenew.cli.history_command import SETTINGS, open_history, read_query
from stablenew.cli.images_command import find_sorted
from stablenew.cli.options import ImageQuery
from stablenew.errors import FAILURE

app = typer.Typer(no_args_is_help=True, help="Write what is known of images in the files of other programs.")


@app.command("xmp", context_settings=SETTINGS)
def export_xmp(
    ctx: typer.Context,
    query: ImageQuery = None,
    folder: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write beneath this folder.")
    ] = None,
    beside: Annotated[
        bool, typer.Option("--beside", help="Write sidecars beside the images; what others wrote there is kept.")
    ] = False,
    embed: Annotated[
        bool, typer.Option("--embed", help="Copy PNG, JPEG and WebP images beneath DIR with the packet in them.")
    ] = False,
) -> int:
    """Write XMP sidecars, or copies of images with XMP in them: stars, reject, colour, tags, prompt, origin."""
    out: Output = ctx.obj
    if (folder is None) != beside or (embed and beside):
        raise typer.BadParameter("give either -o DIR, with --embed for copies, or --beside")
    if embed and folder is not None:
        return _export_copies(out, query, folder)
    from stablenew.exporting.image_places import ImagePlaces
    from stablenew.exporting.xmp_export import export_sidecars

    images, places = _find(out, query), ImagePlaces(out.controller.run_store)
    report = out.with_bar(
        "Writing sidecars", lambda progress: export_sidecars(places, images, folder, progress=progress)
    )
    out.json(report.to_dict())
    where = "beside the images" if folder is None else f"beneath {folder}"
    out.print(f"{plural(len(report.written), 'sidecar')} written {where}, {report.unchanged:,} said it already")
    if report.backups:
        out.print(f"  copies of {plural(len(report.backups), 'sidecar')} of other programs are kept as *.xmp.backup")
    return _end(out, [f"{image}: {reason}" for image, reason in report.problems])


def _export_copies(out: Output, query: list[str] | None, folder: Path) -> int:
    from stablenew.exporting.image_places import ImagePlaces
    from stablenew.exporting.xmp_copies import export_copies

    images, places = _find(out, query), ImagePlaces(out.controller.run_store)
    report = out.with_bar("Copying images", lambda progress: export_copies(places, images, folder, progress=progress))
    out.json(report.to_dict())
    out.print(f"{len(report.names):,} copies written beneath {folder}, {report.unchanged:,} were there")
    return _end(out, [f"{image}: {reason}" for image, reason in report.problems])


@app.command("captions", context_settings=SETTINGS)
def export_captions(
    ctx: typer.Context,
    query: ImageQuery = None,
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A new folder for a trainer.")] = Path(
        "captions"
    ),
    concept: Annotated[str, typer.Option(metavar="NAME", help="What the images show; it names the folder.")] = "images",
    repeats: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="How often each image is repeated per epoch.")
    ] = 1,
    by_stars: Annotated[
        bool, typer.Option("--by-stars", help="Repeat each image as often as it has stars, times --repeats.")
    ] = False,
    trigger: Annotated[str, typer.Option(metavar="WORDS", help="Words before every caption.")] = "",
) -> int:
    """Copy images with captions into folders as kohya's scripts read them: 10_harbour/00000-….png and .txt."""
    out: Output = ctx.obj
    from stablenew.exporting.caption_export import CaptionOptions
    from stablenew.exporting.caption_export import export_captions as export
    from stablenew.exporting.image_places import ImagePlaces

    options = CaptionOptions(concept=concept, repeats=repeats, by_stars=by_stars, trigger=trigger)
    images, places = _find(out, query), ImagePlaces(out.controller.run_store)
    report = out.with_bar("Copying images", lambda progress: export(places, images, folder, options, progress=progress))
    out.json(report.to_dict())
    out.table(
        ["folder", "images"], [(str(folder / name), f"{count:,}") for name, count in sorted(report.folders.items())]
    )
    return _end(out, report.problems)


@app.command("c2pa", context_settings=SETTINGS)
def export_c2pa(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Write the copies beneath this folder.")
    ],
    query: ImageQuery = None,
    detached: Annotated[
        bool, typer.Option("--detached", help="Copy images as they are, with the statement in a .c2pa file beside.")
    ] = False,
    without_prompt: Annotated[
        bool, typer.Option("--without-prompt", help="Leave prompts out of the statement.")
    ] = False,
) -> int:
    """Copy images with Content Credentials: a signed statement that a model made them, with which settings."""
    out: Output = ctx.obj
    from stablenew.exporting.content_credentials.credential_export import (
        CredentialOptions,
        check_packages,
        export_credentials,
    )
    from stablenew.exporting.content_credentials.signing_identity import read_identity
    from stablenew.exporting.image_places import ImagePlaces

    check_packages()
    identity = read_identity()
    options = CredentialOptions(is_detached=detached, with_prompt=not without_prompt)
    images, places = _find(out, query), ImagePlaces(out.controller.run_store)
    report = out.with_bar(
        "Signing copies",
        lambda progress: export_credentials(places, images, folder, identity, options, progress=progress),
    )
    out.json(report.to_dict())
    out.print(f"{plural(len(report.names), 'image')} with Content Credentials beneath {folder}")
    if without_prompt and report.names:
        out.print("  What the images' own metadata says is copied as it is, prompts included.")
    return _end(out, report.problems)


@app.command("certificate")
def make_certificate(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name that readers of your exports see.")],
) -> int:
    """Make the certificate that `export c2pa` signs with. It proves that files did not change, not who you are."""
    out: Output = ctx.obj
    from stablenew.exporting.content_credentials.credential_export import check_packages
    from stablenew.exporting.content_credentials.signing_identity import make_identity

    check_packages()
    path = make_identity(name)
    out.json({"certificate": str(path)})
    out.print(f"certificate made: {path}")
    return 0


@app.command("ro-crate", context_settings=SETTINGS)
def export_ro_crate(
    ctx: typer.Context,
    query: ImageQuery = None,
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A new folder for the crates.")] = Path(
        "crates"
    ),
    license_url: Annotated[
        str | None, typer.Option("--license", metavar="URL", help="The licence; by default that rights are unknown.")
    ] = None,
) -> int:
    """Copy the runs of images as RO-Crates (1.2, Process Run Crate 0.5), which repositories and workflow tools read."""
    out: Output = ctx.obj
    from stablenew.exporting.provenance_export import export_crates
    from stablenew.exporting.ro_crate import UNKNOWN_RIGHTS

    report = export_crates(_find_runs(out, query), folder, license_url or UNKNOWN_RIGHTS)
    out.json(report.to_dict())
    out.print(f"{plural(len(report.written), 'crate')} written beneath {folder}")
    return _end(out, report.problems)


@app.command("prov", context_settings=SETTINGS)
def export_prov(
    ctx: typer.Context,
    query: ImageQuery = None,
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="A new folder for the documents.")
    ] = Path("prov"),
) -> int:
    """Write how images were made as W3C PROV in JSON, a document for each run of them."""
    out: Output = ctx.obj
    from stablenew.exporting.provenance_export import export_prov as export

    report = export(_find_runs(out, query), folder)
    out.json(report.to_dict())
    out.print(f"{plural(len(report.written), 'document')} written beneath {folder}")
    return _end(out, report.problems)


def _find_runs(out: Output, query: list[str] | None) -> list[Any]:
    """The runs of the images that a query finds, each once."""
    store = out.controller.run_store
    return [store.open(run_id) for run_id in dict.fromkeys(image["run_id"] for image in _find(out, query))]


def _find(out: Output, query: list[str] | None) -> list[dict[str, Any]]:
    text = read_query(query)
    return find_sorted(out, open_history(out, text), text)


def _end(out: Output, problems: list[str]) -> int:
    for problem in problems[:SHOWN_PROBLEMS]:
        out.warn(problem)
    if len(problems) > SHOWN_PROBLEMS:
        out.warn(f"and {len(problems) - SHOWN_PROBLEMS:,} more (--json lists them all)")
    return FAILURE if problems else 0
