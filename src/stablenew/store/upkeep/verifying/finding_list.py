"""What a check of one run has found so far."""

from stablenew.formats.documents.feedback import Removal
from stablenew.store.upkeep.verifying.run_files import IN_OUTPUTS, RunFiles
from stablenew.store.upkeep.verifying.verify_report import CODES, Finding


class FindingList:
    """Findings in the order in which they were made; a file that gives no bytes is named once."""

    def __init__(self, files: RunFiles) -> None:
        self.items: list[Finding] = []
        self.removed: set[str] = set()
        """Paths of outputs that are not there because they were removed on purpose."""
        self._files = files

    def add(self, code: str, path: str, message: str | None = None, line: int | None = None) -> None:
        """Note a finding; without a message it says what its code means."""
        self.items.append(Finding(code, path, message or CODES[code][1], line))

    def add_absent(self, code: str, path: str, message: str, removal: Removal | None) -> None:
        """Note a file that gave no bytes: removed on purpose, lost, or kept by a permission or a bad disk."""
        if path in self._files.unreadable:
            if not any(finding.path == path for finding in self.items):
                self.add("file-unreadable", path, f"cannot be read: {self._files.unreadable[path]}")
        elif removal is None or not path.startswith(IN_OUTPUTS):
            self.add(code, path, message)
        elif path not in self.removed:
            self.removed.add(path)
            self.add("output-removed", path, f"removed on purpose on {removal.replica}: {removal.reason}")
