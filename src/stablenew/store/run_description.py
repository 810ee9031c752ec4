"""A run told in plain JSON: in one row, and in full. The command line prints it, the web page shows it."""

from typing import Any

from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.store.run import SEALED, Run


def summarise_run(run: Run) -> dict[str, Any]:
    """A run in one row; `problem` says why the metadata cannot be read, if so."""
    try:
        metadata = run.metadata
    except (OSError, ValueError) as error:
        return _summary(run, None, str(error))
    return _summary(run, metadata, None)


def _summary(run: Run, metadata: RunMetadata | None, problem: str | None) -> dict[str, Any]:
    state = run.state
    plan = metadata.variant_plan if metadata else None
    return {
        "run_id": run.run_id,
        "path": str(run.path),
        "state": state,
        "status": metadata.status if metadata and state == SEALED else state,
        "created_at": metadata.created_at if metadata else None,
        "duration_seconds": metadata.duration_seconds if metadata else None,
        "packs": [pack.name or pack.id for pack in metadata.packs] if metadata else [],
        "one_click_action": metadata.one_click_action if metadata else None,
        "engine": metadata.source.engine if metadata else None,
        "plan_size": plan.size if plan else None,
        "record_count": metadata.record_count if metadata else None,
        "output_count": metadata.output_count if metadata else None,
        "problem": problem,
    }


def describe_run(run: Run) -> dict[str, Any]:
    """A run in full: its row, its digest, its documents, and what of them could not be read."""
    records, problems = run.read_records()
    summary = summarise_run(run)
    return summary | {
        "digest": run.digest if run.is_sealed else None,
        "metadata": run.metadata.to_dict() if not summary["problem"] else None,
        "records": [record.to_dict() for record in records],
        "problems": [str(problem) for problem in problems],
    }
