"""Images by the JSON API: the list of all that fit, rows, facets, counts, one in full."""

import io
import json
import shutil
import struct
import zipfile
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stablenew import RunRecorder, RunStore
from stablenew.formats.digest import digest_bytes
from stablenew.image_metadata.xmp_opinions import read_opinion
from stablenew.index.index_keeper import try_index_lock
from stablenew.recording.image_content import build_image
from tests import samples
from tests.web.serving import Client, Server, wait_for

ACT = "abcdef012345"


@dataclass
class Snapshot:
    total: int
    ids: tuple[int, ...]
    starts: tuple[int, ...]
    ratios: list[float]
    rated: list[bool]


def read_snapshot(client, **parameters):
    search = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
    status, _, body = client.ask("GET", f"/api/images/snapshot?{search}")
    assert status == 200, body
    total, count, groups, _ = struct.unpack_from("<4I", body)
    parts = struct.unpack(f"<{count}i{groups}I{count}H{count}B", body[16:])
    ids, starts, rest = parts[:count], parts[count : count + groups], parts[count + groups :]
    return Snapshot(total, ids, starts, [code / 4096 for code in rest[:count]], [bool(code) for code in rest[count:]])


def rows(client, ids):
    return client.get(f"/api/images/rows?ids={','.join(map(str, ids))}")["images"]


def say(client, image, act=ACT, **fields):
    says = [{"act": act, "run_id": image["run_id"], "image_id": image["digest"], **fields}]
    return client.post("/api/feedback", {"says": says})


@pytest.mark.only_reads
def test_the_list_is_in_the_order_that_the_command_prints(server, client):
    snapshot = read_snapshot(client)
    printed = json.loads(server.run("images", "--limit", "0", "--json"))
    shown = rows(client, snapshot.ids)
    assert [row["digest"] for row in shown] == [row["digest"] for row in printed]
    assert [row["name"] for row in shown] == [row["name"] for row in printed]
    assert (snapshot.total, set(snapshot.ratios), any(snapshot.rated)) == (12, {1.0}, False)
    assert read_snapshot(client, sort="oldest").ids == snapshot.ids[::-1]


@pytest.mark.only_reads
def test_the_first_part_of_a_list_says_how_long_the_whole_is(client):
    whole = read_snapshot(client)
    part = read_snapshot(client, limit=5)
    assert (part.total, part.ids) == (12, whole.ids[:5])
    assert read_snapshot(client, query="harbour").total == 3


@pytest.mark.only_reads
@pytest.mark.parametrize(("group", "expected"), [("job", 4), ("prompt", 4), ("seed", 4), ("day", 1)])
def test_a_grouped_list_says_where_groups_start(client, group, expected):
    snapshot = read_snapshot(client, group=group)
    assert len(snapshot.starts) == expected
    assert snapshot.starts[0] == 0
    if group != "day":
        shown = rows(client, snapshot.ids)
        assert [len({row["prompt"] for row in shown[start : start + 3]}) for start in snapshot.starts] == [1] * 4


@pytest.mark.only_reads
def test_an_unchanged_list_is_not_sent_again(client):
    _, headers, body = client.ask("GET", "/api/images/snapshot")
    status, _, again = client.ask("GET", "/api/images/snapshot", If_None_Match=headers["etag"])
    assert (status, again) == (304, b"")
    assert body


def test_a_row_has_what_oneself_and_others_think(server, client):
    (image, *_) = rows(client, read_snapshot(client).ids[:1])
    assert (image["mine"], image["others"]) == ({}, {})
    say(client, image, rating=4, flag="pick", tags=["sky"])
    server.run("rate", image["run_id"], image["name"], "2", "--rater", "bob")
    wait_for(lambda: read_snapshot(client).rated[0])  # the index follows a moment later
    (image, gone) = rows(client, [read_snapshot(client).ids[0], 999_999])
    mine = image["mine"]
    assert (mine["rating"], mine["flag"], mine["tags"]) == (4, "pick", ["sky"])
    assert image["others"]["bob"]["rating"] == 2
    assert gone is None
    wait_for(lambda: client.get("/api/images/count?query=rating:3") == {"count": 1})


def add_again(root, client, image, run_id):
    """Another run that holds an image, which the server has noticed."""
    writer = RunStore(root).create(samples.metadata(run_id))
    data = (root / image["run_id"] / image["path"]).read_bytes()
    copy = build_image(data, variant=0, stage="txt2img", number=0)
    writer.write_output(data, variant=0, stage="txt2img", number=0, media_type="image/png")
    writer.append_record(samples.record(run_id, 0, [copy.reference.model_copy(update={"role": "final"})]))
    writer.seal(samples.metadata(run_id, status="completed", record_count=1, output_count=1))
    assert copy.reference.digest == image["digest"]
    wait_for(lambda: len(rows(client, [image["id"]])[0]["places"]) == 2)


def test_a_run_that_is_moved_away_hides_no_image_of_the_others(root, server, client, tmp_path, monkeypatch):
    images = rows(client, read_snapshot(client).ids)
    moved = images[0]
    add_again(root, client, images[1], "zz-again")
    say(client, moved, rating=4)
    say(client, images[1], rating=2)
    wait_for(lambda: any(read_snapshot(client).rated))
    server.stop()
    monkeypatch.setenv("STABLENEW_STATE_DIR", server.environment["STABLENEW_STATE_DIR"])
    lock = try_index_lock(root)
    assert lock is not None
    again = Client(server.start()).enter()
    (root / "zz-again").rename(tmp_path / "moved too")  # and the index, which we hold, does not learn of it
    details = again.get(f"/api/images/details?id={images[1]['id']}")
    assert details["record"]["run_id"] == images[1]["run_id"]
    assert [event["rating"] for event in details["events"]] == [2]
    (root / moved["run_id"]).rename(tmp_path / "moved")
    shown = rows(again, [image["id"] for image in images])
    assert [row["id"] for row in shown] == [image["id"] for image in images]
    assert shown[0]["mine"] == {"rating": 4}
    assert again.ask("GET", f"/api/images/details?id={moved['id']}")[0] == 404
    lock.release()


def test_what_was_said_in_two_runs_of_an_image_is_folded_and_not_added_up(root, client):
    image = rows(client, read_snapshot(client).ids[:1])[0]
    add_again(root, client, image, "zz-imported")
    say(client, image, rating=2, tags=["sky", "sea"], notes="too dark")
    other = image | {"run_id": "zz-imported"}
    say(client, other, act="0" * 32, remove_tags=["sky"])
    say(client, other, act="1" * 32, rating=5, notes="just right")
    mine = rows(client, [image["id"]])[0]["mine"]
    assert (mine["rating"], mine["tags"]) == (5, ["sea"])
    assert [note["text"] for note in mine["notes"]] == ["just right"]


def test_facets_count_images(client):
    (image, *_) = rows(client, read_snapshot(client).ids[:1])
    say(client, image, rating=5, flag="reject")
    wait_for(lambda: client.get("/api/images/count?query=flag:reject")["count"])
    facets = client.get("/api/images/facets?query=-flag:reject")
    assert {item["value"]: item["count"] for item in facets["cfg"]} == {4: 4, 7: 4, 10: 3}
    assert facets["flag"] == [{"value": "pick", "count": 0}, {"value": "reject", "count": 1}]
    assert facets["unrated"] == [{"value": "yes", "count": 11}]


def test_one_image_comes_with_its_record_and_what_was_said(client):
    (id_, *_) = read_snapshot(client).ids
    (image,) = rows(client, [id_])
    say(client, image, rating=3)
    found = client.get(f"/api/images/details?id={id_}")
    assert found["image"]["digest"] == image["digest"]
    assert found["record"]["variant"]["index"] == int(image["name"].partition("/")[0])
    assert found["record"]["actual"]["cfg_scale"] == image["settings"]["cfg_scale"]
    assert [event["rating"] for event in found["events"]] == [3]
    assert found["source"]["engine"] == "sketch"
    status, _, body = client.ask("GET", "/api/images/details?id=999999")
    assert (status, json.loads(body)["error"]) == (404, "this image is gone")


@pytest.mark.only_reads
def test_what_no_list_can_be_is_refused(client):
    for path in ("snapshot?sort=luck", "snapshot?group=size", "snapshot?query=cfg:", "rows?ids=", "rows?ids=1,x"):
        assert client.ask("GET", f"/api/images/{path}")[0] == 422, path


def test_a_selection_is_a_zip_with_names_opinions_and_captions(client):
    snapshot = read_snapshot(client, query="harbour")
    chosen = rows(client, snapshot.ids[:2])
    say(client, chosen[0], rating=4, tags=["quay"])
    wait_for(lambda: read_snapshot(client, query="harbour rating:4 tag:quay").total == 1)
    body = {"ids": [row["id"] for row in chosen], "template": "{prompt:7}-{seed}", "xmp": True, "captions": True}
    written = {"Origin": client.server.origin, "Content_Type": "application/json"}
    status, headers, data = client.ask("POST", "/api/images/export", json.dumps(body), **written)
    assert (status, headers["x-exported"], headers["x-missing"]) == (200, "2", "0")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        assert [name for name in names if name.endswith(".png")] == ["a quiet-7.png", "a quiet-7-2.png"]
        assert digest_bytes(archive.read("a quiet-7.png")) == chosen[0]["digest"]
        assert archive.read("a quiet-7.txt").decode() == chosen[0]["prompt"]
        assert read_opinion(archive.read("a quiet-7.xmp").decode()).rating == 4
    wrong = {"ids": body["ids"], "template": "{nothing}"}
    status, _, data = client.ask("POST", "/api/images/export", json.dumps(wrong), **written)
    assert (status, b"nothing" in data) == (422, True)


def test_an_album_is_found_by_its_name_and_is_a_facet(client):
    (image,) = rows(client, read_snapshot(client, query="harbour").ids[:1])
    say(client, image, tags=["album:Best of May"])
    wait_for(lambda: read_snapshot(client, query='album:"best of may"').total == 1)
    facets = client.get("/api/images/facets")
    assert facets["album"] == [{"value": "Best of May", "count": 1}]


def test_an_album_is_in_the_order_in_which_its_images_were_put_in(client):
    images = rows(client, read_snapshot(client).ids[:4])
    put_in = [images[place] for place in (2, 0, 3, 1)]
    for image in put_in:
        say(client, image, tags=["album:Best"])
    wait_for(lambda: read_snapshot(client, query="album:Best").total == 4)
    first, *others = (image["id"] for image in put_in)
    assert read_snapshot(client, query="album:best", sort="album").ids == (first, *others)
    say(client, put_in[0], act="act-taken-out", remove_tags=["album:Best"])
    say(client, put_in[0], act="act-put-in-again", tags=["album:Best"])
    wait_for(lambda: read_snapshot(client, query="album:best", sort="album").ids == (*others, first))
    status, _, body = client.ask("GET", "/api/images/snapshot?sort=album")
    assert (status, b"album:Best" in body) == (422, True)


def make_album(client, count=4):
    """An album of images of several runs. Gives their digests and rows, in the order in which they were put in."""
    shown = rows(client, read_snapshot(client).ids[::-2][:count])
    for image in shown:
        say(client, image, tags=["album:Best"])
    wait_for(lambda: read_snapshot(client, query="album:Best").total == count)
    return [image["digest"] for image in shown], shown


def move(client, act, images, target, query="album:best", expected=200, **more):
    body = {"act": act, "query": query, "images": images, "target": target, **more}
    return client.post("/api/albums/move", body, expected)


def album(client):
    return [row["digest"] for row in rows(client, read_snapshot(client, query="album:best", sort="album").ids)]


def test_images_of_an_album_are_moved_and_moved_back_by_undo(client):
    (a, b, c, d), shown = make_album(client)
    move(client, "act-to-front", [d], a)
    assert album(client) == [d, a, b, c]
    move(client, "act-two-of-them", [c, d], b)
    assert album(client) == [a, c, d, b]
    move(client, "act-two-of-them", [c, d], b)  # a page that got no answer asks again
    assert album(client) == [a, c, d, b]
    move(client, "act-to-the-end", [a], b, is_after=True)
    assert album(client) == [c, d, b, a]
    runs = {image["digest"]: image["run_id"] for image in shown}
    client.post("/api/undo", {"act": "act-two-of-them", "run_ids": [runs[c], runs[d]]})
    assert album(client) == [d, b, c, a]
    step = {"act": "act-two-of-them", "as_act": "act-once-more", "run_ids": list(dict.fromkeys((runs[c], runs[d])))}
    client.post("/api/redo", step)
    assert album(client) == [c, d, b, a]


def test_an_image_that_is_put_in_again_forgets_its_place(client):
    (a, b, c, d), shown = make_album(client)
    move(client, "act-to-front", [d], a)
    say(client, shown[3], act="act-taken-out", remove_tags=["album:Best"])
    wait_for(lambda: read_snapshot(client, query="album:Best").total == 3)
    say(client, shown[3], act="act-put-in-again", tags=["album:Best"])
    wait_for(lambda: read_snapshot(client, query="album:Best").total == 4)
    assert album(client) == [a, b, c, d]


def test_what_a_filter_hides_keeps_its_place_when_others_move(client):
    (a, b, c, d), shown = make_album(client)
    say(client, shown[1], act="act-rejected", flag="reject")
    move(client, "act-over-it", [d], a, query="album:Best -flag:reject", is_after=True)
    assert album(client) == [a, d, b, c]


def test_only_an_album_and_its_images_have_an_order(client):
    (a, b, *_), _ = make_album(client)
    other = next(row for row in rows(client, read_snapshot(client).ids) if row["digest"] not in album(client))
    for refused, status in (
        (move(client, "act-no-album", [a], b, query="harbour", expected=422), 422),
        (move(client, "act-other-image", [other["digest"]], b, expected=404), 404),
        (move(client, "act-itself", [a], a, expected=422), 422),
    ):
        assert refused["error"], status
    assert album(client)[:2] == [a, b]


def test_moves_on_two_machines_come_to_one_order(client, root, tmp_path):
    (a, b, c, d), _ = make_album(client)
    shutil.copytree(root, tmp_path / "other")
    other = Server(tmp_path / "other", tmp_path / "machine-2").start()
    try:
        there = Client(other).enter()
        wait_for(lambda: there.get("/api/status")["is_indexed"])
        move(client, "act-here-0", [d], a)
        move(there, "act-there-0", [c], a)
        move(there, "act-there-1", [b], c, is_after=True)
        assert (album(client), album(there)) == ([d, a, b, c], [c, b, a, d])
        client.server.run("merge", str(tmp_path / "other"))
        other.run("merge", str(root))
        wait_for(lambda: album(client) == album(there))
        assert sorted(album(client)) == sorted((a, b, c, d))
        assert album(client).index(c) < album(client).index(b) < album(client).index(a)
    finally:
        other.close()


def test_commands_list_and_export_an_album_in_its_order(client, server, tmp_path):
    (a, b, c, d), _ = make_album(client)
    move(client, "act-to-front", [d], a)
    for options in ((), ("--sort", "album")):
        printed = json.loads(server.run("images", "album:best", *options, "--json"))
        assert [image["digest"] for image in printed] == [d, a, b, c]
    server.run("images", "album:best", "--export", str(tmp_path / "best"))
    files = sorted((tmp_path / "best").iterdir())
    assert [digest_bytes(file.read_bytes()) for file in files] == [d, a, b, c]
    assert [file.name[:2] for file in files] == ["1-", "2-", "3-", "4-"]
    newest = json.loads(server.run("images", "album:best", "--sort", "oldest", "--json"))
    assert [image["digest"] for image in newest] == sorted((a, b, c, d), key=[a, b, c, d].index)


def test_the_workflow_of_an_image_is_read_from_its_file(client, root):
    graph = {"nodes": [{"id": 1, "type": "KSampler"}], "links": []}
    text = PngInfo()
    text.add_text("workflow", json.dumps(graph))
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(buffer, "PNG", pnginfo=text)
    with RunRecorder(root, engine="theirs") as run:
        run.record_variant(prompt="a graph", images=[buffer.getvalue()])
    wait_for(lambda: read_snapshot(client, query="graph").total == 1)
    (made,) = read_snapshot(client, query="graph").ids
    assert client.get(f"/api/images/workflow?id={made}")["workflow"] == graph
    (plain,) = read_snapshot(client, query="harbour").ids[:1]
    status, _, data = client.ask("GET", f"/api/images/workflow?id={plain}")
    assert (status, b"no ComfyUI workflow" in data) == (404, True)
