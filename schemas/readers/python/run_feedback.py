"""What people and programs said of a run: events, their fold, and scores."""

import re
from datetime import UTC, datetime, timedelta

from run_documents import canonical, document, lines_of, parse, validator, xxh128

LOG = re.compile(r"feedback\.[a-z0-9]+(?:-[a-z0-9]+)*\.jsonl")


def read_feedback(run_id, files):
    events, findings, documents = {}, [], []
    soon = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z-ffff")
    for name, data in files:
        claimed = []
        if ".jsonl" in name:
            for number, line, is_whole in lines_of(data):
                event, code = (
                    document(line, "feedback_event", "feedback-unreadable") if is_whole else (None, "feedback-torn")
                )
                claimed += [(event, number)] if event else []
                findings += [(code, name, number)] if code else []
        else:
            value, code = document(data, "feedback", "feedback-unreadable")
            code = "feedback-mismatch" if value and value["run_id"] != run_id else code
            findings += [(code, name, None)] if code else []
            claimed = [(event, None) for event in value["events"]] if not code else []
        rest = [({key: event[key] for key in event if key != "id"}, event, line) for event, line in claimed]
        findings += [
            ("feedback-forged", name, line) for body, event, line in rest if xxh128(canonical(body)) != event["id"]
        ]
        genuine = [event for body, event, _ in rest if xxh128(canonical(body)) == event["id"]]
        documents += [(name, value["state"], genuine)] if ".jsonl" not in name and not code else []
        if genuine and name != "feedback.json" and not LOG.fullmatch(name):
            findings.append(("feedback-conflict-copy", name, None))
        if any(event["clock"] > soon for event in genuine):
            findings.append(("feedback-ahead", name, None))
        events |= {event["id"]: event for event in genuine}
    findings += [("feedback-stale", name, None) for name, state, own in documents if not is_state_of(state, own)]
    return in_order(events.values()), findings


def in_order(events):
    return sorted(events, key=lambda event: (event["clock"], event["id"]))


def standing(events):
    taken = {(event["rater"], target) for event in events if event["op"] == "retract" for target in event["event_ids"]}
    return [event for event in events if event["op"] != "retract" and (event["rater"], event["id"]) not in taken]


def fold(events):
    """What events, in their order, mean now: the `state` of a feedback.json."""
    words, state = {}, {"run": {}, "images": {}, "preferences": [], "removals": []}
    about = {"rate": "aspect", "tag": "tag", "note": "note_id", "flag": None, "trash": None}
    for event in standing(events):
        image, rater, op = event.get("image_id"), event["rater"], event["op"]
        if op in about:
            words[image or "", rater, op, event.get(about[op]) or ""] = event
        names = {
            "prefer": "rater winner loser outcome shown other_run_id",
            "remove": "replica digest sha256 size_bytes reason",
        }
        if op in names:
            entry = {name: event[name] for name in names[op].split() if event.get(name) is not None}
            state["preferences" if op == "prefer" else "removals"].append({"event_id": event["id"], **entry})
    for (image, rater, op, word), event in sorted(words.items()):
        said = {}
        if op == "rate" and event["rating"] is not None:
            said = (
                {"aspects": {word: event["rating"]}}
                if word
                else {"rating": event["rating"], "rated_at": event["clock"]}
            )
        elif op == "tag" and event["present"]:
            said = {"tags": [word]}
        elif op == "note" and event["text"] is not None:
            said = {"notes": [{"note_id": word, "text": event["text"]}]}
        elif op == "flag" and event["flag"] is not None:
            said = {"flag": event["flag"]}
        elif op == "trash" and event["present"]:
            said = {"trashed": True}
        if said:
            opinion = (state["images"].setdefault(image, {}) if image else state["run"]).setdefault(rater, {})
            for key, value in said.items():
                known = opinion.get(key)
                opinion[key] = (
                    known | value if isinstance(known, dict) else known + value if isinstance(known, list) else value
                )
    return state if state["removals"] else {key: value for key, value in state.items() if key != "removals"}


def is_state_of(state, events):
    early = fold([event for event in in_order(events) if event["op"] not in ("trash", "remove")])
    early["preferences"] = [{k: v for k, v in said.items() if k != "other_run_id"} for said in early["preferences"]]
    return canonical(state) in (canonical(fold(in_order(events))), canonical(early))


def read_scores(run_id, files):
    scores, findings = [], []
    for name, data in files:
        for number, line, is_whole in lines_of(data):
            batch, code = document(line, "metric_batch", "metrics-unreadable") if is_whole else (None, "metrics-torn")
            if batch and batch["run_id"] != run_id:
                code = "metrics-mismatch"
            findings += [(code, name, number)] if code else []
            if code == "metrics-unreadable":
                try:
                    batch = parse(line)
                except ValueError:
                    continue
            if isinstance(batch, dict) and batch.get("run_id") == run_id and isinstance(batch.get("scores"), list):
                for score in batch["scores"]:
                    if validator("metric_batch").is_valid({**batch, "replica": "any", "scores": [score]}):
                        scores.append((batch["scored_at"], score["value"], score))
    return sorted(scores, key=lambda score: score[:2]), findings
