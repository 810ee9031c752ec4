"""`stablenew learn defaults`: the settings that the ratings favour, worked out in two ways."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import Output, plural
from stablenew.cli.learn_command import (
    NO_RATINGS,
    REASON,
    ProposerOption,
    open_dataset,
    show_interval,
    show_value,
)
from stablenew.cli.options import DatasetOption, RunQuery
from stablenew.cli.table import Column

if TYPE_CHECKING:
    from stablenew.learning.dataset.reader import Dataset
    from stablenew.learning.evidence.best_settings import BestSettings
    from stablenew.learning.two_answers import TwoAnswers


def defaults(
    ctx: typer.Context,
    query: RunQuery = None,
    dataset: DatasetOption = None,
    proposer: ProposerOption = "evidence",
    show_all: Annotated[bool, typer.Option("--all", help="Also the settings that were never varied.")] = False,
    together: Annotated[
        bool, typer.Option("--together", help="Only the best settings together, and how much each matters.")
    ] = False,
) -> int:
    """Show the settings that the ratings favour: one by one, and all together."""
    out: Output = ctx.obj
    from stablenew.learning.evidence.best_settings import find_best_settings
    from stablenew.learning.evidence.evidence import to_json
    from stablenew.learning.evidence.evidence_table import read_evidence_table
    from stablenew.learning.learning_contract import BUILT_IN, EvidenceContract
    from stablenew.learning.two_answers import compare_answers

    if proposer != BUILT_IN:
        return _show_proposer(out, open_dataset(out, dataset, query), proposer)
    table = read_evidence_table(open_dataset(out, dataset, query))
    found = find_best_settings(table)
    if together:
        return _show_together(out, found)
    contract = EvidenceContract(table)
    answers = compare_answers(contract.get_current_best_defaults(), found)
    out.json(
        [
            to_json(answer.default) | {"together": answer.together, "difference": answer.difference}
            for answer in answers.values()
        ]
    )
    if answers:
        _show_both(out, answers, list(answers) if show_all else contract.varied_settings, found)
    else:
        out.print(NO_RATINGS)
    return 0


def _show_both(
    out: Output, answers: "Mapping[str, TwoAnswers]", names: "Collection[str]", found: "BestSettings"
) -> None:
    """Show the answers about some settings, where the two ways differ, and how sure the second is."""
    shown = [answer for name, answer in answers.items() if name in names]
    _show_answers(out, shown)
    if len(shown) < len(answers):
        out.print(f"{plural(len(answers) - len(shown), 'setting')} that rated images do not differ in: --all")
    for answer in answers.values():
        if answer.difference is not None:
            out.print(f"! {answer.default.name}: {answer.difference}")
    out.print(f"all settings together: {found.reason}; {plural(found.image_count, 'image')}")
    if not found.is_supported:
        out.print("`stablenew learn next` proposes the images that teach most about that")


def _show_proposer(out: Output, dataset: "Dataset", proposer: str) -> int:
    """Show what another package's proposer says."""
    from stablenew.learning.evidence.evidence import to_json
    from stablenew.learning.learning_contract import open_contract
    from stablenew.learning.two_answers import TwoAnswers

    found = open_contract(dataset, proposer).get_current_best_defaults()
    out.json([to_json(default) for default in found.values()])
    _show_answers(out, [TwoAnswers(default, None, None) for default in found.values()])
    return 0


def _show_answers(out: Output, answers: "list[TwoAnswers]") -> None:
    out.table(
        [
            "setting",
            Column("value", least=8),
            Column("together", rank=1),
            Column("mean stars", rank=3),
            Column("images", rank=2, is_right=True),
            REASON,
        ],
        [
            (
                answer.default.name,
                show_value(answer.default.value),
                "" if answer.together is None else show_value(answer.together),
                "" if answer.default.mean is None else show_interval(answer.default.mean),
                f"{answer.default.image_count:,}",
                answer.default.reason,
            )
            for answer in answers
        ],
    )


def _show_together(out: Output, found: "BestSettings") -> int:
    """Show the settings that one model over all of them expects to be rated best."""
    from dataclasses import replace

    from stablenew.learning.evidence.evidence import to_json

    plain = {"settings": dict(found.settings), "current": dict(found.current)}
    out.json(to_json(replace(found, settings={}, current={})) | plain)
    effects = {influence.setting: f"{influence.effect:.2f}" for influence in found.influences}
    out.table(
        ["setting", Column("best", least=8), Column("in use", rank=1), Column("matters by stars", is_right=True)],
        [
            (name, show_value(found.settings.get(name)), show_value(found.current[name]), effect)
            for name, effect in effects.items()
        ],
    )
    out.print(f"{found.reason}; {plural(found.image_count, 'image')}")
    return 0
