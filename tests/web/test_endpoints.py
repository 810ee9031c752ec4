"""The endpoints of the API over a real store, asked without a server: what each answers, and what devices never get."""

import json
import re
import struct

import pytest

from stablenew import FeedbackManager
from stablenew.controller.app_controller import AppController
from stablenew.importing.importer import Importer
from stablenew.web.context import WebContext
from stablenew.web.guard import Keys
from stablenew.web.lan.lan_guard import find_role
from stablenew.web.lan.roles import VIEWER, Role, Viewer
from stablenew.web.open_api import describe_api
from stablenew.web.web_app import ENDPOINTS, build_web_app
from tests.controller.light_table_stores import add_images
from tests.importing.images import fill
from tests.web.asgi import ask

SECRET = "secretfolder"
LOOKING = Viewer(Role.LOOK, "anna", "1", "tablet")
RATING = Viewer(Role.RATE, "anna", "1", "phone")
BLIND = Viewer(Role.RATE, "anna", "1", "phone", is_blind=True)
ACT = "0123456789ab"


class Page:
    """The application of one store, and whoever asks it."""

    def __init__(self, folder):
        self.context = WebContext(AppController(runs_dir=folder / SECRET / "runs"), instance="x")
        self.store = self.context.controller.run_store
        self.app = build_web_app(self.context, port=1, keys=Keys(b"x", "x"))._app
        given = [{"steps": steps, "model": f"/home/{SECRET}/dream"} for steps in (20, 20, 30)]
        self.digests = add_images(self.store, "run", *given)
        fill(folder / SECRET / "art", 1)
        Importer(self.store).run(folder / SECRET / "art")
        bob = FeedbackManager(self.store, rater="bob")
        bob.record_feedback("run", self.digests[0], 5, tags=["of bob"], notes="a note of bob", flag="pick")
        FeedbackManager(self.store, rater="anna").record_feedback("run", self.digests[1], 2)
        self.refresh()

    def refresh(self):
        self.context.controller.history.refresh(is_patient=True)

    def ask(self, method, path, body=b"", viewer=None, **query):
        async def app(scope, receive, send):
            await self.app(scope | ({VIEWER: viewer} if viewer else {}), receive, send)

        text = "&".join(f"{name}={value}" for name, value in query.items())
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return ask(app, method, path, query=text.encode(), body=data)

    def get(self, path, viewer=None, **query):
        answer = self.ask("GET", path, viewer=viewer, **query)
        assert answer.status == 200, (path, answer.body)
        return json.loads(answer.body)

    def post(self, path, body, viewer=None):
        answer = self.ask("POST", path, body, viewer)
        self.refresh()
        assert answer.status == 200, (path, answer.body)
        return json.loads(answer.body)

    def ids(self, query=""):
        return self.context.controller.history.image_snapshot(query, sort="oldest").images.tolist()

    def say(self, viewer=None, **said):
        said = {"run_id": "run", "act": ACT} | said
        return self.post("/api/feedback", {"says": [said]}, viewer)


@pytest.fixture
def site(tmp_path):
    site = Page(tmp_path)
    yield site
    site.context.controller.history.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One for tests that only ask."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("site")
        patch.setenv("STABLENEW_STATE_DIR", str(folder / "state"))
        patch.setenv("STABLENEW_CONFIG_DIR", str(folder / "config"))
        site = Page(folder)
        yield site
        site.context.controller.history.close()


def addresses(site):
    """Every address that is read, with real values in its place; but for thumbnails, which child processes make."""
    values = {"run_id": "run", "digest": site.digests[0][7:], "number": "0"}
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET" and endpoint.path != "/api/live" and "thumbnails" not in endpoint.path:
            path = re.sub(r"{(\w+)}", lambda name: values[name[1]], endpoint.path)
            yield endpoint, path


@pytest.mark.parametrize("viewer", [RATING, BLIND, LOOKING], ids=["rating", "blind", "looking"])
def test_no_answer_to_a_device_names_a_folder_of_this_computer(shared, viewer):
    asked = 0
    ids = ",".join(map(str, shared.ids()))
    for endpoint, path in addresses(shared):
        names = {parameter.name for parameter in endpoint.parameters}
        wanted = {"ids": ids, "id": str(shared.ids()[0]), "image": str(shared.ids()[0]), "by": "model"}
        answer = shared.ask("GET", path, viewer=viewer, **{name: wanted[name] for name in names & wanted.keys()})
        assert SECRET.encode() not in answer.body, path
        if find_role("GET", path) > viewer.role:
            assert answer.status == 403, path
        elif answer.status == 200:
            asked += 1
    assert asked >= 10


def test_a_blind_device_learns_of_nobody_elses_opinion(shared):
    ids = ",".join(map(str, shared.ids()))
    paths = {"/api/images/rows": {"ids": ids}, "/api/images/facets": {}, "/api/status": {}, "/api/query/fields": {}}
    for path, query in paths.items():
        assert b"bob" not in shared.ask("GET", path, viewer=BLIND, **query).body
        assert path in ("/api/status", "/api/query/fields") or b"bob" in shared.ask("GET", path, **query).body
    first = shared.context.controller.history.image_ids([shared.digests[0]])[shared.digests[0]]
    for query in ({"id": first}, {"ids": first}):
        answer = shared.ask("GET", "/api/images/details", viewer=BLIND, **query)
        assert b"bob" not in answer.body


@pytest.mark.parametrize("sort", ["newest", "oldest"])
def test_a_snapshot_is_the_list_in_numbers_of_32_bits(shared, sort):
    answer = shared.ask("GET", "/api/images/snapshot", sort=sort)
    total, count, groups, stacked = struct.unpack_from("<4I", answer.body)
    ids = struct.unpack_from(f"<{count}I", answer.body, 16)
    assert (total, count, groups, stacked) == (4, 4, 0, 0)
    assert list(ids) == (shared.ids() if sort == "oldest" else shared.ids()[::-1])


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/api/jobs", {"limit": 0}, 422), ("/api/jobs", {"limit": 501}, 422), ("/api/jobs", {"sort": "nothing"}, 422),
        ("/api/jobs", {"after": "nothing"}, 422), ("/api/jobs", {"query": "rating:"}, 422),
        ("/api/jobs/rows", {}, 422), ("/api/images/rows", {}, 422), ("/api/images/snapshot", {"sort": "x"}, 422),
        ("/api/runs/gone", {}, 404), ("/outputs/run/0000", {}, 404), ("/outputs/gone/0000", {}, 404),
        ("/api/running/gone", {}, 404), ("/nothing", {}, 404),
        ("/api/grid", {"x": "nothing"}, 422), ("/api/duel/pairs", {"by": "nothing"}, 422),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_the_callers_mistake(shared, path, query, status):
    answer = shared.ask("GET", path, **query)
    assert answer.status == status
    if status == 422:
        assert len(answer.error) > 10


def test_a_query_is_checked_while_it_is_typed(shared):
    assert shared.get("/api/query", query="steps:20") == {"problem": None}
    problem = shared.get("/api/query", query="steps:")["problem"]
    assert problem["position"] == 6
    assert shared.get("/api/query", query="rating:5", viewer=RATING) == {"problem": None}
    assert "cannot be searched for" in shared.get("/api/query", query="rating:5", viewer=BLIND)["problem"]["error"]


def test_jobs_and_images_are_counted_as_they_are_listed(shared):
    assert shared.get("/api/jobs/count")["count"] == len(shared.get("/api/jobs")["jobs"]) == 2
    assert shared.get("/api/images/count", query="steps:20")["count"] == len(shared.ids("steps:20"))
    numbers = shared.ask("GET", "/api/jobs/numbers").body
    assert len(numbers) == 16


def test_an_output_is_its_bytes_and_may_be_kept_for_good(shared):
    answer = shared.ask("GET", f"/outputs/run/{shared.digests[0][7:]}")
    assert answer.body.startswith(b"\x89PNG")
    assert answer.header("content-type") == "image/png"
    assert "immutable" in answer.header("cache-control")
    assert "sandbox" in answer.header("content-security-policy")


# What changes something


def test_feedback_is_saved_for_whoever_says_it(site):
    image = site.digests[2]
    assert site.say(image_id=image, rating=4) == {"saved": [ACT], "refused": []}
    site.say(RATING, image_id=image, rating=1, act="a" * 12)
    (row,) = site.get("/api/images/rows", ids=site.ids("steps:30")[0])["images"]
    assert row["ratings"] == {site.context.controller.feedback.rater: 4, "anna": 1}


def test_of_several_words_those_that_fit_are_saved_and_the_others_named(site):
    says = [
        {"run_id": "run", "act": "good-act", "image_id": site.digests[2], "rating": 3},
        {"run_id": "gone", "act": "gone-act", "image_id": site.digests[2], "rating": 3},
    ]
    answer = site.post("/api/feedback", {"says": says})
    assert answer["saved"] == ["good-act"]
    assert [(item["act"], item["run_id"]) for item in answer["refused"]] == [("gone-act", "gone")]


def test_a_device_throws_nothing_away(site):
    answer = site.say(RATING, image_id=site.digests[2], trashed=True)
    assert answer["saved"] == []
    assert "the trash is the owner's" in answer["refused"][0]["error"]
    site.say(image_id=site.digests[2], trashed=True)
    assert len(site.ids("is:trashed")) == 1


def test_what_was_said_is_undone_and_redone_by_its_rater(site):
    image = site.digests[2]
    site.say(RATING, image_id=image, rating=5)
    step = {"act": ACT, "run_ids": ["run"]}
    assert site.post("/api/undo", step, RATING)["undone"] == 1
    assert site.ids("rating:5 steps:30") == []
    assert site.post("/api/redo", step, RATING)["redone"] == 1
    assert len(site.ids("rating:5 steps:30")) == 1


def test_views_are_kept_and_forgotten(site):
    mine = [{"name": "mine", "query": "steps:20"}]
    assert site.post("/api/views", mine[0])["views"] == site.get("/api/views")["views"] == mine
    assert site.post("/api/views", {"name": "mine", "query": None})["views"] == []


def test_devices_are_invited_only_where_the_network_is_let_in(site):
    assert site.get("/api/devices") == {"lan": None, "devices": []}
    answer = site.ask("POST", "/api/devices/invite", {})
    assert answer.status == 422
    assert "stablenew serve --lan" in answer.error
    assert site.ask("POST", "/api/devices/revoke", {"device": "x"}).status == 422


TAKING = [one for one in ENDPOINTS if one.body not in (None, "NothingBody", "RoundBody")]  # a round loads SciPy first


@pytest.mark.parametrize("endpoint", TAKING, ids=lambda one: one.path)
@pytest.mark.parametrize("body", [b"[", b"[]", b'"text"', b'{"nothing": 1}'])
def test_a_body_of_another_kind_is_the_callers_mistake(shared, endpoint, body):
    answer = shared.ask("POST", re.sub(r"{\w+}", "run", endpoint.path), body)
    assert answer.status in (404, 422), answer.body


# The description of it all


def test_every_address_is_described_with_its_parameters_and_body():
    document = describe_api(ENDPOINTS)
    for endpoint in ENDPOINTS:
        operation = document["paths"][endpoint.path][endpoint.method.lower()]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert names == {parameter.name for parameter in endpoint.parameters} | set(
            re.findall(r"{(\w+)}", endpoint.path)
        )
        assert ("requestBody" in operation) == (endpoint.body is not None)
        if endpoint.body:
            assert endpoint.body in document["components"]["schemas"]
    operations = [one["operationId"] for paths in document["paths"].values() for one in paths.values()]
    assert len(operations) == len(set(operations)) == len(ENDPOINTS)


def test_every_reference_of_the_description_leads_somewhere():
    document = describe_api(ENDPOINTS)
    references = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= document["components"]["schemas"].keys()
