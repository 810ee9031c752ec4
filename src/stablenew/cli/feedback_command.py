"""`stablenew rate`, `undo`, `redo` and `feedback`: what people think of runs and images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stablenew.cli.console import Output, plural
from stablenew.cli.options import RunArgument
from stablenew.cli.table import Column
from stablenew.errors import ConfigError

if TYPE_CHECKING:
    from stablenew.formats.documents.feedback import Feedback, FeedbackState, Opinion
    from stablenew.recording.feedback_manager import FeedbackManager

_BACKUP_ACTS: Final = ("export", "restore")
RaterOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The name your ratings are kept under; by default from the settings.")
]


def rate(
    ctx: typer.Context,
    run: RunArgument,
    image_or_stars: Annotated[
        str,
        typer.Argument(
            metavar="[IMAGE] STARS", help="IMAGE: digest prefix, path or <variant>/<n>. STARS: 0-5 or clear."
        ),
    ],
    stars: Annotated[str | None, typer.Argument(metavar="", show_default=False)] = None,
    note: Annotated[str | None, typer.Option(help="A note; an empty one removes it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="T", help="A tag; may be repeated.")] = None,
    untag: Annotated[list[str] | None, typer.Option(metavar="T", help="Remove a tag; may be repeated.")] = None,
    flag: Annotated[str | None, typer.Option(help="pick, reject or clear.")] = None,
    rater: RaterOption = None,
) -> None:
    """Rate a run, or one image of it, 0 to 5."""
    out: Output = ctx.obj
    from stablenew.recording.feedback_manager import KEEP, parse_stars

    image, text = (image_or_stars, stars) if stars is not None else (None, image_or_stars)
    rating = parse_stars(text)
    found = out.controller.run_store.resolve(run)
    feedback = _manager(out, rater).record_feedback(
        found.run_id,
        image,
        rating,
        notes=note,
        tags=tag or (),
        remove_tags=untag or (),
        flag=KEEP if flag is None else parse_flag(flag),
    )
    _show_state(out, feedback)


def prefer(
    ctx: typer.Context,
    run: RunArgument,
    winner: Annotated[str, typer.Argument(help="The better image: digest prefix, path or <variant>/<n>.")],
    loser: Annotated[str, typer.Argument(help="The other one.")],
    tie: Annotated[bool, typer.Option("--tie", help="Neither is better.")] = False,
    both_bad: Annotated[bool, typer.Option("--both-bad", help="Neither is any good.")] = False,
    rater: RaterOption = None,
) -> None:
    """Record which of two images of a run is better."""
    out: Output = ctx.obj
    outcome = "both_bad" if both_bad else "tie" if tie else "win"
    found = out.controller.run_store.resolve(run)
    document = _manager(out, rater).record_preference(found.run_id, winner, loser, outcome)
    out.json({"run_id": document.run_id, "state": document.state.to_dict()})
    out.print(describe_event(document.events[-1]))


def parse_flag(text: str) -> str | None:
    """`pick` or `reject`, or None for `clear`.

    Raises:
        ConfigError: something else.
    """
    if text not in {"pick", "reject", "clear"}:
        raise ConfigError(f"expected a flag of pick, reject or clear, found {text!r}")
    return None if text == "clear" else text


def _manager(out: Output, rater: str | None) -> "FeedbackManager":
    return out.controller.feedback_of(rater)


def undo(ctx: typer.Context, run: RunArgument, rater: RaterOption = None) -> None:
    """Undo your last feedback on a run."""
    _step(ctx.obj, run, rater, "undo")


def redo(ctx: typer.Context, run: RunArgument, rater: RaterOption = None) -> None:
    """Redo what the last undo removed."""
    _step(ctx.obj, run, rater, "redo")


def _step(out: Output, run: str, rater: str | None, step: str) -> None:
    found = out.controller.run_store.resolve(run)
    change = out.controller.undo_feedback if step == "undo" else out.controller.redo_feedback
    events = change([found.run_id], rater=rater)
    out.json({"run_id": found.run_id, step: [event.to_dict() for event in events]})
    if not events:
        out.print(f"{rater or out.controller.feedback.rater} has nothing to {step} on run {found.run_id}")
    for event in events:
        out.print(f"{step}: {describe_event(event)}")


def feedback(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN|export|restore", help="A run; or what to do with all feedback.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="With export and restore: the backup, a .jsonl file.")
    ] = None,
) -> int:
    """Show the feedback on a run, and its history; or back up all that was ever said, and take a backup back."""
    out: Output = ctx.obj
    if file is not None or run in _BACKUP_ACTS:
        return _back_up(out, run, file)
    from stablenew.store.feedback.feedback_log import FeedbackLog

    found = out.controller.run_store.resolve(run)
    reading = FeedbackLog(found.path).read()
    document = reading.build_document()
    problems = [str(problem) for problem in reading.problems]
    out.json(document.to_dict() | {"problems": problems})
    _show_people(out, document)
    out.print("")
    out.table(
        [Column("when", rank=1), "who", Column("what", is_wrapped=True)],
        [(event.clock[:19].replace("T", " "), event.rater, describe_event(event)) for event in document.events],
    )
    for problem in problems:
        out.warn(problem)
    return 1 if any(not problem.is_torn for problem in reading.problems) else 0


def _back_up(out: Output, act: str, file: Path | None) -> int:
    from stablenew.exporting.feedback_backup import restore_backup, write_backup

    if file is None or act not in _BACKUP_ACTS:
        found = f"{act!r} before a file" if file else "no FILE"
        raise ConfigError(f"expected `feedback export FILE` or `feedback restore FILE`, found {found}")
    work, store = write_backup if act == "export" else restore_backup, out.controller.run_store
    report = out.with_bar("Reading feedback", lambda progress: work(store, file, progress=progress))
    out.json(report.to_dict())
    if act == "export":
        out.print(f"{plural(report.events, 'event')} of {plural(report.runs, 'run')} written to {file}")
    else:
        out.print(f"{plural(report.events, 'event')} taken back, {report.known:,} were here")
    for run_id in report.missing:
        out.warn(f"run {run_id} is not here; what was said about it stays in {file}")
    for problem in report.problems:
        out.warn(problem)
    return 1 if report.missing or report.problems else 0


def describe_event(event: Any) -> str:
    """An event in a few words."""
    subject = event.image_id[7:19] if event.image_id else "the run"
    match event.op:
        case "rate":
            about = f" for {event.aspect}" if event.aspect else ""
            return f"{subject}: {'unrated' if event.rating is None else stars_of(event.rating)}{about}"
        case "tag":
            return f"{subject}: {'+' if event.present else '-'}{event.tag}"
        case "note":
            return f"{subject}: {event.text!r}" if event.text else f"{subject}: no note"
        case "flag":
            return f"{subject}: {event.flag or 'no flag'}"
        case "prefer":
            return describe_comparison(event)
        case "retract":
            return f"took back {len(event.event_ids)}"
        case _:
            return str(event.op)


def describe_comparison(said: Any) -> str:
    """Which image is better, of an event or a preference."""
    winner, loser = said.winner[7:19], said.loser[7:19]
    match said.outcome:
        case "tie":
            return f"{winner} as good as {loser}"
        case "both_bad":
            return f"{winner} and {loser} both bad"
        case _:
            return f"{winner} over {loser}"


def stars_of(rating: int) -> str:
    """`★★★★☆`."""
    return "★" * rating + "☆" * (5 - rating)


def _show_state(out: Output, document: "Feedback") -> None:
    out.json({"run_id": document.run_id, "state": document.state.to_dict()})
    _show_people(out, document)


def _show_people(out: Output, document: "Feedback") -> None:
    rows, comparisons = list(_rows(document.state)), document.state.preferences
    if not rows and not comparisons:
        out.print(f"run {document.run_id}: no feedback yet; `stablenew rate RUN [IMAGE] STARS`")
    if rows:
        out.table(
            ["of", "who", "stars", "flag", Column("tags", is_wrapped=True), Column("note", is_wrapped=True)], rows
        )
    if comparisons:
        out.table(
            ["comparison", "who"], [(describe_comparison(comparison), comparison.rater) for comparison in comparisons]
        )


def _rows(state: "FeedbackState") -> Any:
    for rater, opinion in state.run.items():
        yield ("the run", rater, *_cells(opinion))
    for image, opinions in state.images.items():
        for rater, opinion in opinions.items():
            yield (image[7:19], rater, *_cells(opinion))


def _cells(opinion: "Opinion") -> tuple[str, ...]:
    aspects = "".join(f" {name} {rating}" for name, rating in (opinion.aspects or {}).items())
    return (
        ("" if opinion.rating is None else stars_of(opinion.rating)) + aspects,
        opinion.flag or "",
        ", ".join(opinion.tags or ()),
        " / ".join(note.text for note in opinion.notes or ()),
    )
