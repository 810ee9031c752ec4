"""The trash through the JSON API."""

from stablenew import RunVerifier
from stablenew.store.run import Run
from tests.web.serving import wait_for


def test_images_are_trashed_shown_taken_out_and_removed(client, server, root):
    pairs = client.get("/api/duel/pairs?by=cfg&count=2")["pairs"]
    images = [pair["left"] for pair in pairs]
    says = [
        {"act": f"trash-{number:04d}", "run_id": image["run_id"], "image_id": image["digest"], "trashed": True}
        for number, image in enumerate(images)
    ]
    client.post("/api/feedback", {"says": says})
    wait_for(lambda: client.get("/api/trash")["count"] == 2)
    shown = client.get("/api/trash")
    assert {image["digest"] for image in shown["images"]} == {image["digest"] for image in images}
    assert shown["due"]["count"] == 2
    assert shown["due"]["size_bytes"] == shown["held_bytes"] > 0
    assert client.get("/api/trash?older=1d")["due"]["count"] == 0
    assert client.post("/api/trash/restore", {"digests": [images[0]["digest"]]})["restored"] == 1
    wait_for(lambda: client.get("/api/trash")["count"] == 1)
    refused = client.post("/api/trash/empty", {"expected_count": 2}, 422)
    assert "trash changed" in refused["error"]
    client.post("/api/trash/empty", {"expected_count": 1})
    run = Run(root / images[1]["run_id"])
    wait_for(lambda: not list(run.path.glob(f"outputs/*{images[1]['digest'][7:19]}*")))
    wait_for(lambda: client.get("/api/trash")["held_bytes"] == 0)
    report = RunVerifier(run).verify()
    assert report.is_ok
    assert [finding.code for finding in report.findings] == ["output-removed"]
    assert list(root.glob(f"*/outputs/*{images[0]['digest'][7:19]}*"))
