"""Duels through the JSON API."""

import pytest

from tests.web.serving import wait_for


def draw(client, **parameters):
    query = "&".join(f"{name}={value}" for name, value in {"by": "cfg", "count": 3, **parameters}.items())
    return client.get(f"/api/duel/pairs?{query}")


def vote(pair, act, outcome="win"):
    sides = {
        "winner_run_id": pair["left"]["run_id"],
        "winner": pair["left"]["digest"],
        "loser_run_id": pair["right"]["run_id"],
        "loser": pair["right"]["digest"],
    }
    return {**sides, "outcome": outcome, "shown": "left", "asked": "duel: cfg_scale", "act": act}


def test_a_vote_is_in_the_report_once_however_often_it_is_posted(client):
    drawn = draw(client)
    assert len(drawn["pairs"]) == 3
    assert "settings" not in drawn["pairs"][0]["left"]
    votes = [vote(pair, f"act-{number:06d}") for number, pair in enumerate(drawn["pairs"])]
    first = client.post("/api/duel/votes", {"votes": votes[:2]})
    again = client.post("/api/duel/votes", {"votes": votes})
    assert first["refused"] == again["refused"] == []
    assert again["saved"].keys() == {entry["act"] for entry in votes}

    def counted():
        return client.get("/api/duel/report?by=cfg")["vote_count"]

    wait_for(lambda: counted() == 3)
    step = {"act": votes[0]["act"], "run_ids": [first["saved"][votes[0]["act"]]]}
    assert client.post("/api/undo", step) == {"undone": 1}
    wait_for(lambda: counted() == 2)


def test_a_vote_on_an_image_that_is_gone_is_refused_and_the_others_are_saved(client):
    pairs = draw(client)["pairs"]
    bad = vote(pairs[0], "act-000001") | {"winner": "xxh128:" + "0" * 32}
    answer = client.post("/api/duel/votes", {"votes": [bad, vote(pairs[1], "act-000002", "tie")]})
    assert list(answer["saved"]) == ["act-000002"]
    assert [(refusal["act"], refusal["type"]) for refusal in answer["refused"]] == [("act-000001", "OutputNotFound")]


@pytest.mark.only_reads
@pytest.mark.parametrize(
    "question", ["by=nonsense", "by=sampler", "by=cfg&matters=0.7", "by=cfg&matters=nan", "by=cfg&count=99", "query=("]
)
def test_a_question_that_makes_no_duel_is_explained(client, question):
    status, _, body = client.ask("GET", f"/api/duel/pairs?{question}")
    assert status == 422
    assert b'"error":' in body
