"""Two Syncthing nodes on loopback that share one folder."""

import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

FOLDER = "runs"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Node:
    """One Syncthing process with its own home."""

    def __init__(self, home: Path, folder: Path, options: str = "") -> None:
        self.home, self.folder, self.options = home, folder, options
        self.api_port, self.sync_port = free_port(), free_port()
        subprocess.run(
            ["syncthing", "generate", f"--home={home}", "--no-default-folder", "--skip-port-probing"],
            check=True,
            capture_output=True,
        )
        config = (home / "config.xml").read_text()
        self.device = re.search(r'<device id="([A-Z0-9-]+)"', config)[1]
        self.key = re.search(r"<apikey>(.*?)</apikey>", config)[1]
        self.process = None

    def start(self, peer: "Node") -> None:
        (self.home / "config.xml").write_text(self._config(peer))
        self.process = subprocess.Popen(
            ["syncthing", "serve", f"--home={self.home}", "--no-browser", "--no-restart"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "STMONITORED": "yes"},  # or a second process does the work, and survives the first
        )

    def _config(self, peer: "Node") -> str:
        """Loopback only: no discovery, no relays, no reports, no updates."""
        return f"""<configuration version="35">
  <folder id="{FOLDER}" path="{self.folder}" type="sendreceive" rescanIntervalS="3600" fsWatcherEnabled="false">
    <device id="{self.device}"></device><device id="{peer.device}"></device>
    <maxConflicts>10</maxConflicts>
  </folder>
  <device id="{self.device}" name="self"><address>dynamic</address></device>
  <device id="{peer.device}" name="peer"><address>tcp://127.0.0.1:{peer.sync_port}</address></device>
  <gui enabled="true" tls="false"><address>127.0.0.1:{self.api_port}</address><apikey>{self.key}</apikey></gui>
  <options>
    <listenAddress>tcp://127.0.0.1:{self.sync_port}</listenAddress>
    <globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>
    <relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><urAccepted>-1</urAccepted>
    <autoUpgradeIntervalH>0</autoUpgradeIntervalH><crashReportingEnabled>false</crashReportingEnabled>
    <reconnectionIntervalS>1</reconnectionIntervalS><startBrowser>false</startBrowser>
    <stunKeepaliveStartS>0</stunKeepaliveStartS><announceLANAddresses>false</announceLANAddresses>{self.options}
  </options>
</configuration>
"""

    def ask(self, path: str, method: str = "GET"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.api_port}{path}", method=method, headers={"X-API-Key": self.key}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            data = answer.read()
        return json.loads(data) if data else None

    def stop(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class SyncthingPair:
    """Both nodes, connected; `sync` returns when neither needs anything from the other."""

    def __init__(self, homes: Path, left: Path, right: Path, options: str = "") -> None:
        for folder in (left, right):
            (folder / ".stfolder").mkdir(parents=True, exist_ok=True)
        self.nodes = (Node(homes / "left", left, options), Node(homes / "right", right, options))
        self.conflicts_seen = 0

    def __enter__(self):
        left, right = self.nodes
        left.start(right)
        right.start(left)
        self.wait_until_connected()
        return self

    def wait_until_connected(self) -> None:
        self._wait(lambda: all(self._is_connected(node) for node in self.nodes), 60)

    def __exit__(self, *_error) -> None:
        for node in self.nodes:
            node.stop()

    def _is_connected(self, node: Node) -> bool:
        connections = node.ask("/rest/system/connections")["connections"]
        return any(one["connected"] for one in connections.values())

    def sync(self) -> None:
        """Both are cut off from each other while they scan, so that changes on both sides really meet."""
        for _ in range(2):
            for node in self.nodes:
                node.ask(f"/rest/db/scan?folder={FOLDER}", "POST")
            self._wait(self._is_settled, 120)
        for node in self.nodes:
            self.conflicts_seen += sum(1 for _ in node.folder.glob("*/*.sync-conflict-*"))

    def _is_settled(self) -> bool:
        statuses = [node.ask(f"/rest/db/status?folder={FOLDER}") for node in self.nodes]
        idle = all(one["state"] == "idle" and one["needTotalItems"] == 0 for one in statuses)
        return idle and statuses[0]["globalBytes"] == statuses[1]["globalBytes"] and self._agree()

    def _agree(self) -> bool:
        left, right = self.nodes
        completion = [
            node.ask(f"/rest/db/completion?folder={FOLDER}&device={peer.device}")["completion"]
            for node, peer in ((left, right), (right, left))
        ]
        return completion == [100, 100]

    def _wait(self, condition, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        settled = 0
        while settled < 3:
            try:
                settled = settled + 1 if condition() else 0
            except (urllib.error.URLError, ConnectionError, KeyError, TimeoutError):
                settled = 0
            if time.monotonic() > deadline:
                raise TimeoutError("Syncthing did not settle")
            time.sleep(0.1)
