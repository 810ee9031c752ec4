"""Judge crates by roc-validator, without a network: python check_crates.py CONTEXT.json CRATE [CRATE …].

CONTEXT.json is the context of RO-Crate 1.2, as the npm package `ro-crate` has it. Exit status 1 at a required issue.
"""

import json
import sys
from pathlib import Path

import requests
from rocrate_validator import models, services
from rocrate_validator.utils import http

PROFILES = ("ro-crate-1.2", "process-run-crate-0.5")


def answer_with(context: bytes) -> None:
    """Let every request be answered with the context, and nothing leave this machine."""

    def respond(_self: object, name: str) -> object:
        if name not in {"get", "head"}:
            raise AttributeError(name)

        def request(url: str, *_: object, **__: object) -> requests.Response:
            response = requests.Response()
            response.status_code, response.url = 200, url
            response.headers["Content-Type"] = "application/ld+json"
            response._content = context
            return response

        return request

    http.HttpRequester.__getattr__ = respond


def judge(crate: Path) -> list[str]:
    """The required issues of a crate, as one of its version and as a record of process runs."""
    return [issue for profile in PROFILES for issue in judge_by(profile, crate)]


def judge_by(profile: str, crate: Path) -> list[str]:
    """The required issues by one profile."""
    settings = services.ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier=profile,
        requirement_severity=models.Severity.REQUIRED,
    )
    result = services.validate(settings)
    return [f"{issue.check.identifier}: {issue.message}" for issue in result.get_issues()]


def main(context: Path, crates: list[Path]) -> int:
    answer_with(context.read_bytes())
    json.loads(context.read_bytes())
    found = {crate.name: issues for crate in crates if (issues := judge(crate))}
    for name, issues in found.items():
        print(f"{name}: {issues}", file=sys.stderr)
    print(f"roc-validator: {len(crates) - len(found)} of {len(crates)} crates have no required issue")
    return 1 if found or not crates else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
