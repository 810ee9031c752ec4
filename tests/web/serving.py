"""A real server in a process of its own, and stores for it to show."""

import http.client
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from stablenew import FeedbackManager, PipelineConfig, PipelineRunner, Prompt, RunStore, SketchEngine, VariantPlan
from stablenew.pipeline.randomizer import SWEEP, Axis
from tests import forked_commands

READ_SECONDS = 60


class Server:
    """`stablenew serve` for the store at `root`, from `start` to `stop` or `kill`."""

    def __init__(self, root, machine, *options):
        self.root = Path(root)
        self.machine = Path(machine)
        self.options = options
        self.process = None
        self.link = None
        self.cookie = None
        """What lets everybody in, where many use this server."""

    def start(self):
        self.process = self.launch()
        self.link = read_link(self.process)
        self.origin, _, self.token = self.link.partition("/?token=")
        self.port = int(self.origin.rpartition(":")[2])
        return self

    def launch(self, *options):
        command = ["--runs-dir", str(self.root), "serve", "--no-browser", *(self.options or ("--port", "0")), *options]
        return forked_commands.start(*command, env=self.environment, stderr=subprocess.STDOUT)

    @property
    def environment(self):
        """Nothing of the person who runs the tests is in it."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("STABLENEW_")}
        return {
            **others,
            "STABLENEW_STATE_DIR": str(self.machine / "state"),
            "STABLENEW_CONFIG_DIR": str(self.machine / "config"),
            "STABLENEW_PACKS_DIR": str(self.machine / "packs"),
        }

    def run(self, *arguments):
        """A command of the same machine."""
        done = forked_commands.run("--runs-dir", str(self.root), *arguments, env=self.environment)
        done.check_returncode()
        return done.stdout

    def kill(self):
        self.process.kill()
        self.process.wait(READ_SECONDS)
        self.process.stdout.close()

    def restart(self):
        """Again at the same port, as somebody would who types the same command."""
        self.process = self.launch("--port", str(self.port))
        read_link(self.process)

    def close(self):
        """End it, whatever became of it, and leave no pipe open: a test that failed may have left it dead."""
        if self.process.poll() is None:
            self.stop()
        self.process.stdout.close()

    def stop(self):
        """Ctrl-C. Gives the exit code and what it said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        said = self.process.stdout.read()
        self.process.stdout.close()
        return self.process.wait(READ_SECONDS), said


def read_link(process):
    for line in process.stdout:
        if match := re.search(r"http://\S+token=\S+", line):
            return match[0]
    raise AssertionError(f"no link before it ended with {process.wait()}")


class Client:
    """Raw HTTP, with the cookie of the page."""

    def __init__(self, server):
        self.server = server
        self.cookie = None

    def enter(self):
        if self.server.cookie is not None:
            self.cookie = self.server.cookie
            return self
        status, headers, _ = self.ask("GET", f"/?token={self.server.token}")
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]
        return self

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=READ_SECONDS)

    def ask(self, method, path, body=None, **headers):
        """Status, headers and body. Names of headers are given with _ for -."""
        connection = self.connect()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            given.setdefault("Cookie", self.cookie)
        try:
            connection.request(method, path, body=body, headers=given)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def get(self, path, expected=200):
        status, _, body = self.ask("GET", path)
        assert status == expected, (status, body)
        return json.loads(body)

    def post(self, path, body, expected=200):
        status, _, answer = self.ask(
            "POST", path, json.dumps(body), Origin=self.server.origin, Content_Type="application/json"
        )
        assert status == expected, (status, answer)
        return json.loads(answer)


def make_runs(root, prompts, *, values=(5.0,), size=96, sampler="Euler a", steps=12, stages=None):
    """One run of small sketches for each prompt, oldest first. Gives their ids."""
    runner = PipelineRunner(SketchEngine(), run_store=RunStore(root))
    config = PipelineConfig(
        txt2img={"width": size, "height": size, "steps": steps, "seed": 7, "sampler": sampler},
        one_click_action="test",
        **(stages or {}),
    )
    ids = []
    for prompt in prompts:
        plan = VariantPlan((Prompt(prompt),), sweeps=(Axis(SWEEP, "txt2img.cfg_scale", tuple(values)),))
        ids.append(runner.run(config, plan=plan).run_id)
    return ids


def rate_all(root, rater="anna"):
    """Every image of such runs, by its CFG scale; None is the rater of the page."""
    manager = FeedbackManager(RunStore(root), rater=rater)
    for run in RunStore(root).iter_runs():
        for record, output in run.iter_outputs():
            stars = {4.0: 2, 7.0: 5}.get(record.actual.cfg_scale, 1)
            manager.record_feedback(run.run_id, output.digest, stars)


def events_of(root, run_id):
    """Every event in a run's feedback.json."""
    return json.loads((Path(root) / run_id / "feedback.json").read_bytes())["events"]


def wait_for(condition):
    """Look until it holds."""
    until = time.monotonic() + READ_SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
