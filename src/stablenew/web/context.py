"""WebContext: what the endpoints of one server share."""

import threading
from typing import TYPE_CHECKING, Any, Final

from stablenew.controller.app_controller import AppController
from stablenew.controller.job_news import JobNews
from stablenew.index.run_index import RESET, RUN_REMOVED, RunChange
from stablenew.index.run_watcher import RunWatcher, Subscription
from stablenew.recording.side_channel import SideChannel, attempt
from stablenew.web.events import LiveHub
from stablenew.web.pictures.thumbnails import ThumbnailCache
from stablenew.web.tasks import TaskRunner

if TYPE_CHECKING:
    from stablenew.web.lan.lan_door import LanDoor

_TICK_SECONDS: Final = 0.2
_MOST_AT_ONCE: Final = 500
_MOST_JOBS_SENT: Final = 40
_MOST_RATERS: Final = 10_000


class WebContext:
    """One store, one server: its controller, its watcher, the pages that listen."""

    def __init__(
        self,
        controller: AppController,
        *,
        instance: str,
        is_read_only: bool = False,
        lan_door: "LanDoor | None" = None,
    ) -> None:
        self.controller = controller
        self.lan_door = lan_door
        """The way in from the network; None where it is closed."""
        self.instance = instance
        self.is_read_only = is_read_only
        self.live = LiveHub()
        self.thumbnails = ThumbnailCache()
        self.tasks = TaskRunner(lambda task: self.live.publish("task", task.to_dict(), key=f"task {task.kind}"))
        self.watcher: RunWatcher | None = None
        self._subscription: Subscription | None = None
        self._stopped = threading.Event()
        self._is_warming = False
        self.is_warm = False
        """Whether the columns are in memory: what they answer takes milliseconds then."""
        self._publishing = SideChannel("publishing changes to pages")
        controller.subscribe(self._publish_news, only_ends=True)  # of ratings, pages hear as changes of the index
        controller.subscribe_progress(lambda job: self.live.publish("job", job.to_dict(), key=f"job {job.run_id}"))

    def start(self) -> None:
        """Keep the index up to date, and publish changes to pages."""
        self.watcher = self.controller.build_watcher()
        self._subscription = self.watcher.subscribe()
        self.watcher.start()
        threading.Thread(target=self._follow, args=(self._subscription,), name="stablenew-live", daemon=True).start()
        if not self.is_read_only:
            attempt(self.controller.imports.resume)  # a damaged list of sources must not keep the page from coming

    def warm_up(self) -> None:
        """Load what the first screen will request, while the browser is still parsing the page."""
        if not self._is_warming:
            self._is_warming = True
            threading.Thread(target=self._load_columns, name="stablenew-warm", daemon=True).start()

    def _load_columns(self) -> None:
        attempt(lambda: self.thumbnails.start(1))
        attempt(lambda: self.controller.history.columns)  # a request that needs them reports what is wrong
        self.is_warm = True
        attempt(self.thumbnails.start)  # the others, when the first screen no longer waits for the processor

    def stop(self) -> None:
        """Stop everything that was started; runs in progress are sealed as cancelled."""
        self._stopped.set()
        self.live.close()
        self.controller.stop_jobs()
        self.controller.stop_imports()
        self.tasks.stop()
        if self.watcher is not None:
            self.watcher.stop()
        self.thumbnails.close()
        self.controller.history.close()

    def _publish_news(self, news: JobNews) -> None:
        self.live.publish("news", {"kind": news.kind, "run_id": news.run_id, "job": news.job})

    def _follow(self, subscription: Subscription) -> None:
        while not self._stopped.is_set():
            change = subscription.get(_TICK_SECONDS)
            if change is not None:
                self._publishing.call(self._publish_changes, _drain(subscription, change))

    def _publish_changes(self, changes: list[RunChange]) -> None:
        is_reset = any(change.kind == RESET for change in changes) or len(changes) >= _MOST_AT_ONCE
        latest = {change.run_id: change.kind for change in changes if change.run_id}
        told = [] if is_reset else [{"kind": kind, "run_id": run_id} for run_id, kind in latest.items()]
        wanted = [run_id for run_id, kind in latest.items() if kind != RUN_REMOVED]
        jobs = {} if is_reset or len(wanted) > _MOST_JOBS_SENT else self.jobs_by_id(wanted)
        self.live.publish("changes", {"changes": told, "jobs": jobs, "is_reset": is_reset})

    def known_raters(self) -> set[str]:
        """The names under which feedback is kept already, the owner's among them."""
        facets = self.controller.history.image_facets("", names=["rater"], limit=_MOST_RATERS)
        return {str(value.value) for value in facets["rater"]} | {self.controller.feedback.rater}

    def jobs_by_id(self, run_ids: list[str]) -> dict[str, dict[str, Any]]:
        """The jobs of those runs that history has, each with its number."""
        history = self.controller.history
        numbers = [number for number in map(history.number_of, run_ids) if number is not None]
        return {row["run_id"]: row for row in history.shown_rows(numbers) if row is not None}


def _drain(subscription: Subscription, first: RunChange) -> list[RunChange]:
    """All changes that wait to be published."""
    changes = [first]
    while len(changes) < _MOST_AT_ONCE and (change := subscription.get(0)) is not None:
        changes.append(change)
    return changes
