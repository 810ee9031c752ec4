"""Images by the JSON API: the list of all that fit, rows, facets, counts, one in full."""

import io
import json
import struct
import zipfile
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stablenew import RunRecorder
from stablenew.formats.digest import digest_bytes
from stablenew.image_metadata.xmp_opinions import read_opinion
from tests.web.serving import wait_for

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
