"""`stablenew verify`: is every byte still what was recorded?"""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stablenew.cli.console import DIM, RED, YELLOW, Output, format_bytes, plural
from stablenew.cli.options import RunsArgument
from stablenew.errors import FAILURE

if TYPE_CHECKING:
    from stablenew.store.run_store import RunStore
    from stablenew.store.upkeep.verifying.verify_report import ImagePlaces, VerifyReport


def verify(
    ctx: typer.Context,
    runs: RunsArgument = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also decode every image and check every document against its JSON Schema.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 also when outputs are missing that were removed on purpose.")
    ] = False,
) -> int:
    """Check runs against their seals; exit 1 when something is wrong."""
    out: Output = ctx.obj
    from stablenew.store.upkeep.verifying.verify_report import count_findings, count_images

    store = out.controller.run_store
    reports = _verify_all(out, store, runs or [], deep=deep)
    counts = count_findings(reports)
    is_ok = all(report.is_ok for report in reports)
    out.json(
        {
            "ok": is_ok,
            "runs": len(_of_runs(reports)),
            "counts": counts,
            "images": count_images(reports).to_dict(),
            "reports": [report.to_dict() for report in reports],
        }
    )
    for report in reports:
        _show_report(out, report)
    _show_total(out, reports, counts)
    if count_images(reports).missing:
        _show_missing_sources(out, store)
    is_whole = not strict or all(report.is_whole for report in reports)
    return 0 if is_ok and is_whole else FAILURE


def _verify_all(out: Output, store: "RunStore", names: list[str], *, deep: bool) -> "list[VerifyReport]":
    from stablenew.store.upkeep.store_files import verify_store_entries, verify_store_files
    from stablenew.store.upkeep.verifying.digest_collisions import DigestCollisions

    if not names:
        store.check_exists()
    reports, collisions = [], DigestCollisions()
    with out.progress() as progress:
        task = progress.add_task("verifying", total=None)
        for report, done, total in out.controller.iter_verify(names, deep=deep):
            reports.append(report)
            collisions.add(report)
            progress.update(task, completed=done, total=total)
    if not names and (store.root / ".stablenew").exists():
        reports.append(verify_store_files(store.root))
    if not names:
        of_store = (verify_store_entries(store.root), collisions.find(store))
        reports += [report for report in of_store if report.findings]
    return reports


def _of_runs(reports: "list[VerifyReport]") -> "list[VerifyReport]":
    return [report for report in reports if not report.subject.startswith(".")]


_IN_PLACE: Final = "origin-"
"""How the codes of findings about images in place begin: where a folder was moved, each of its images has one."""
_SHOWN_IN_PLACE: Final = 3


def _show_report(out: Output, report: "VerifyReport") -> None:
    in_place: Counter[str] = Counter()
    for finding in report.findings:
        in_place[finding.code] += finding.code.startswith(_IN_PLACE)
        if in_place[finding.code] > _SHOWN_IN_PLACE:
            continue
        place = "/".join(part for part in (report.subject, finding.path) if part)
        line = f", line {finding.line}" if finding.line else ""
        text = f"{finding.severity:7} {finding.code:22} {place}{line}: {finding.message}"
        if out.is_quiet and finding.severity != "info":
            out.warn(text)
        else:
            out.print(text, style={"error": RED, "warning": YELLOW}.get(finding.severity, DIM))
    for code, count in in_place.items():
        if (more := count - _SHOWN_IN_PLACE) > 0:
            out.print(
                f"        {code:22} {report.subject}: and {more:,} more like these (--json names them)", style=DIM
            )


def _show_missing_sources(out: Output, store: "RunStore") -> None:
    from stablenew.store.source_roots import SourceRoots

    for root in SourceRoots(store.root).list():
        if not root.path.is_dir():
            out.warn(f"{root.path} is not there: `stablenew sources move {root.id} DIR` says where its images are now")


def _show_total(out: Output, reports: "list[VerifyReport]", counts: dict[str, int]) -> None:
    from stablenew.store.upkeep.verifying.verify_report import count_images

    runs = _of_runs(reports)
    size = sum(report.size_bytes for report in runs)
    files = sum(report.files for report in runs)
    if not runs:
        out.print("No runs to verify.")
        return
    verdict = "all as recorded" if all(report.is_ok for report in reports) else "not as recorded"
    notes = ", ".join(plural(counts[name], name) for name in ("error", "warning") if counts[name])
    counted = f"{plural(len(runs), 'run')}, {plural(files, 'file')}, {format_bytes(size)}"
    out.print(f"{counted}: {verdict}{f' ({notes})' if notes else ''}")
    out.print(f"images: {_format_places(count_images(runs))}")


def _format_places(images: "ImagePlaces") -> str:
    """The three that always count, and the others where there are some."""
    places = [f"{images.held:,} in the store", f"{images.in_place:,} in place", f"{images.missing:,} missing"]
    places += [f"{images.removed:,} removed on purpose"] if images.removed else []
    places += [f"{images.elsewhere:,} in sources this machine does not know"] if images.elsewhere else []
    return ", ".join(places)
