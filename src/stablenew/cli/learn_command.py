"""`stablenew learn`: which settings worked, how sure that is, and what might be changed. Nothing is changed by it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stablenew.cli.console import Output, bar, plural
from stablenew.cli.history_command import SETTINGS, read_query
from stablenew.cli.options import DatasetOption, RunQuery
from stablenew.cli.query_words import QueryCommand
from stablenew.cli.table import Column

if TYPE_CHECKING:
    from stablenew.learning.dataset.reader import Dataset
    from stablenew.learning.evidence.evidence import Evidence
    from stablenew.learning.evidence.evidence_table import EvidenceTable
    from stablenew.learning.evidence.metric_evidence import MetricScale
    from stablenew.learning.evidence.rating_statistics import Interval
    from stablenew.learning.learning_contract import Proposal

app = typer.Typer(help="What the ratings say about settings.", no_args_is_help=True)

_BAR = 24
REASON = Column(is_wrapped=True)
NO_RATINGS = "no image is rated yet; `stablenew serve` or `stablenew rate RUN IMAGE STARS`"


def open_dataset(out: Output, folder: Path | None, query: list[str] | None = None) -> "Dataset":
    """The dataset that was named, or one of the store, brought up to date."""
    if folder is not None:
        from stablenew.learning.dataset.reader import Dataset

        return Dataset(folder)
    text = read_query(query)
    return out.with_bar("Reading runs", lambda progress: out.controller.datasets.open(text, progress=progress))


@app.command(context_settings=SETTINGS)
def evidence(
    ctx: typer.Context,
    query: RunQuery = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SETTING",
            help="A setting, such as txt2img.cfg_scale, or metric.NAME to judge by instead of stars; may be repeated.",
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="SETTING", help="Show pairs of values of this setting and the first.")
    ] = None,
    dataset: DatasetOption = None,
    limit: Annotated[int, typer.Option(min=0, help="Show at most N values; 0 shows all.")] = 15,
    exact: Annotated[bool, typer.Option("--exact", help="Do not group numeric values into ranges.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw it, as .png or .svg.")] = None,
) -> int:
    """Show how images with each value of a setting were rated or scored, and what matched pairs say."""
    out: Output = ctx.obj
    from stablenew.learning.evidence.evidence import build_evidence, to_json
    from stablenew.learning.learning_contract import EvidenceContract

    metric, by = _split_metric(by or [])
    if metric is not None and plot is not None:
        raise typer.BadParameter("--plot draws stars, not metrics")
    table, scale = _read_table(open_dataset(out, dataset, query), metric)
    for name in [*by, *([against] if against else ())]:
        table.find_setting(name)
    names = by or EvidenceContract(table).varied_settings
    found = [build_evidence(table, name, against, is_exact=exact) for name in names]
    if scale is not None:
        from stablenew.learning.evidence.metric_evidence import in_units

        found = [in_units(item, scale) for item in found]
    if out.is_json:  # with the runs behind everything it is long to make
        judged = {"metric": metric} if metric else {}
        out.json({**judged, "rated_image_count": len(table.stars), "settings": [to_json(item) for item in found]})
    _show_found(out, table, found, limit, scale)
    if plot is not None and found:
        _draw(plot, found[0])
        out.print(f"drawn: {plot}")
    return 0


def _show_found(
    out: Output, table: "EvidenceTable", found: "list[Evidence]", limit: int, scale: "MetricScale | None"
) -> None:
    if not len(table.stars):
        out.print(NO_RATINGS)
    elif not found:
        out.print("all rated images have the same settings; `stablenew plan new` varies one on purpose")
    for item in found:
        _show_evidence(out, item, limit, scale)


def _split_metric(by: list[str]) -> tuple[str | None, list[str]]:
    """The metric among some names, and the settings."""
    from stablenew.learning.evidence.metric_evidence import PREFIX

    metrics = [name.removeprefix(PREFIX) for name in by if name.startswith(PREFIX)]
    if len(metrics) > 1:
        raise typer.BadParameter("one metric at a time")
    return (metrics[0] if metrics else None), [name for name in by if not name.startswith(PREFIX)]


def _read_table(dataset: "Dataset", metric: str | None) -> "tuple[EvidenceTable, MetricScale | None]":
    """What evidence is computed from; of a metric also how to put results into its units."""
    if metric is None:
        from stablenew.learning.evidence.evidence_table import read_evidence_table

        return read_evidence_table(dataset), None
    from stablenew.learning.evidence.metric_evidence import read_metric_table

    return read_metric_table(dataset, metric)


def _draw(path: Path, evidence: "Evidence") -> None:
    from stablenew.disk.atomic_file import replace_file
    from stablenew.learning.evidence.evidence_plot import draw_evidence

    data = draw_evidence(evidence, path.suffix)
    replace_file(path, data)


def _show_evidence(out: Output, evidence: "Evidence", limit: int, scale: "MetricScale | None" = None) -> None:
    unit = f"metric.{scale.metric}" if scale else "stars"
    title = evidence.setting + (f" and {evidence.against}" if evidence.against else "")
    agreement = "" if evidence.agreement is None else f"; raters agree {evidence.agreement:.2f}"
    out.print(f"\n{title}{agreement}")
    shown = evidence.values[: limit or None]
    out.table(
        [
            Column("value", least=12),
            _right("images"),
            f"mean {unit}",
            Column(rank=2),
            Column("" if scale else "0 1 2 3 4 5", rank=1),
        ],
        [
            (
                show_value(item.value),
                f"{item.image_count:,}",
                show_interval(item.mean),
                bar((scale.to_stars(item.mean.estimate) if scale else item.mean.estimate) / 5, _BAR),
                _sparkline(item.stars),
            )
            for item in shown
        ],
    )
    if len(shown) < len(evidence.values):
        out.print(f"and {len(evidence.values) - len(shown)} more values; --limit 0 shows all")
    _show_comparisons(out, evidence, limit, unit)
    for warning in evidence.warnings:
        out.print(f"! {warning}")


def _show_comparisons(out: Output, evidence: "Evidence", limit: int, unit: str) -> None:
    gains = evidence.gains
    shown = gains[: limit or None]
    out.table(
        [
            Column("where all else was alike", is_wrapped=True),
            Column(rank=1),
            unit,
            _right("pairs"),
            _right("sure"),
        ],
        [
            (
                f"{show_value(gain.value)} over {show_value(gain.other)}",
                f"{gain.kind}, few prompts" if gain.is_of_few_prompts else gain.kind,
                show_interval(gain.difference.interval, sign=True),
                f"{gain.difference.place_count:,}",
                f"{gain.difference.confidence:.0%}",
            )
            for gain in shown
        ],
    )
    if evidence.comparisons and not gains:
        most = max(comparison.difference.place_count for comparison in evidence.comparisons)
        out.print(f"too few matched pairs to compare values: {most} at most")
    if len(shown) < len(gains):
        out.print(f"and {len(gains) - len(shown)} more comparisons; --limit 0 shows all")
    out.table(
        [Column("preferred", is_wrapped=True), "how often", _right("comparisons")],
        [
            (show_value(value), show_interval(preference.win_rate), f"{preference.comparison_count:,}")
            for value, preference in evidence.preferred
        ],
    )


def _right(title: str) -> Column:
    """A column of numbers."""
    return Column(title, is_right=True)


def show_value(value: Any) -> str:
    """A value of a setting as people read it."""
    if isinstance(value, list):
        return " + ".join(map(show_value, value))
    return "—" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def show_interval(interval: "Interval", *, sign: bool = False) -> str:
    """`3.52 (3.31 to 3.74)`."""
    form = "+.2f" if sign else ".2f"
    return f"{interval.estimate:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def _sparkline(stars: list[int]) -> str:
    most = max(*stars, 1)
    return " ".join("▁▂▃▄▅▆▇█"[round(count / most * 7)] if count else "·" for count in stars)


ProposerOption = Annotated[str, typer.Option(metavar="NAME", help="The proposer to use; packages can add some.")]


@app.command(context_settings=SETTINGS)
def propose(
    ctx: typer.Context,
    query: RunQuery = None,
    current: Annotated[
        list[str] | None, typer.Option(metavar="SETTING=VALUE", help="What you use now; by default what you used most.")
    ] = None,
    dataset: DatasetOption = None,
    proposer: ProposerOption = "evidence",
) -> int:
    """Propose settings to change, or say why the evidence is too thin. Nothing is changed."""
    out: Output = ctx.obj
    from stablenew.learning.evidence.evidence import to_json
    from stablenew.learning.learning_contract import open_contract
    from stablenew.pipeline.run_request import parse_assignments

    used = parse_assignments(current or [], is_dotted=False)
    found = open_contract(open_dataset(out, dataset, query), proposer).propose_new_defaults(current=used)
    out.json([to_json(proposal) for proposal in found])
    _show_proposals(out, found)
    return 0


def _show_proposals(out: Output, found: "Sequence[Proposal]") -> None:
    out.table(
        ["setting", Column("now", rank=1), "proposed", Column("stars", rank=2), _right("sure"), REASON],
        [
            (
                proposal.name,
                show_value(proposal.current),
                "—" if proposal.proposed is None else show_value(proposal.proposed),
                "" if proposal.gain is None else show_interval(proposal.gain, sign=True),
                "" if proposal.confidence is None else f"{proposal.confidence:.0%}",
                proposal.reason,
            )
            for proposal in found
        ],
    )
    changes = [proposal for proposal in found if proposal.proposed is not None]
    if not found:
        out.print(NO_RATINGS)
    out.print(f"{plural(len(changes), 'proposal')}; nothing was changed")
    for proposal in found:
        if proposal.difference is not None:
            out.print(f"{proposal.name}: {_say_difference(proposal)}")
    for proposal in changes:
        out.print(f"  stablenew run PACK --set {proposal.name}={show_value(proposal.proposed)}")


@app.command(cls=QueryCommand, context_settings=SETTINGS)
def package(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")],
    query: RunQuery = None,
    dataset: DatasetOption = None,
    examples: Annotated[int, typer.Option(min=0, help="Include the prompts of the N best and N worst images.")] = 10,
) -> int:
    """Write what the ratings say as one small JSON file, for a language model or a colleague. Makes no network call."""
    out: Output = ctx.obj
    from stablenew.disk.atomic_file import replace_file
    from stablenew.learning.evidence.learning_package import package_for_llm

    found = package_for_llm(open_dataset(out, dataset, query), examples=examples)
    data = found.encode_document()
    replace_file(output, data)
    out.json(found.to_dict())
    out.print(f"{output}: {plural(len(found.settings), 'setting')}, {len(data):,} bytes")
    return 0


def _say_difference(proposal: "Proposal") -> str:
    """Why matched pairs and one model of all settings say different things, as a sentence."""
    if proposal.proposed == proposal.together:
        return str(proposal.difference)
    return f"one model of all settings expects {show_value(proposal.together)} to be best; {proposal.difference}"
