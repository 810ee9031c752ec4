"""Which of the WebUIs a server is, and what it takes differently from the others.

Facts are of AUTOMATIC1111 1.10.1 and SD.Next of July 2026 as they answered, and of the sources of Forge (June 2025) and
Forge Classic (February 2025).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stablenew.engines.webui.client import WebUIClient
from stablenew.errors import EngineError
from stablenew.formats.common_names import SD_NEXT_SIGMAS, checkpoint_stem, same_checkpoint
from stablenew.formats.settings import BY_NAME, SCHEDULE, SETTINGS

AUTOMATIC1111: Final = "AUTOMATIC1111"
FORGE: Final = "Forge"
SD_NEXT: Final = "SD.Next"
_SD_NEXT_FIELDS: Final = {setting.webui_option: setting.sd_next for setting in SETTINGS if setting.sd_next}
"""Options of the others for which SD.Next has a field."""
_SIGMAS: Final = {*SD_NEXT_SIGMAS.values(), "lambdas", "flowmatch"}
_NO_VAE: Final = ("automatic", "none")
_MODULES: Final = "/sdapi/v1/sd-modules"


@dataclass(frozen=True, slots=True)
class Kin:
    """One program of the family."""

    program: str
    version: str = ""
    modules: Mapping[str, str] | None = None
    """Forge: VAEs and text encoders by name, with their paths."""

    def adapt(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a call, as this program takes it. What the caller said in the program's own words stays.

        Raises:
            EngineError: it asks for a VAE that the server does not have.
        """
        if self.program == SD_NEXT:
            return _for_sd_next(body)
        if self.program == FORGE:
            return self._for_forge(body)
        return dict(body)

    def _for_forge(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """`sd_vae` is a dummy there, and hires fix fails unless it is told which modules to use."""
        adapted = dict(body)
        overrides = dict(body.get("override_settings") or {})
        vae = overrides.pop("sd_vae", None)
        if vae and "forge_additional_modules" not in overrides:
            overrides["forge_additional_modules"] = self._find_modules(str(vae))
        if overrides or "override_settings" in body:
            adapted["override_settings"] = overrides
        if adapted.get("enable_hr"):
            adapted.setdefault("hr_additional_modules", ["Use same choices"])
        return adapted

    def _find_modules(self, vae: str) -> list[str]:
        if vae.casefold() in _NO_VAE:
            return []
        stem = checkpoint_stem(vae).casefold()
        found = [path for name, path in (self.modules or {}).items() if checkpoint_stem(name).casefold() == stem]
        if not found:
            known = ", ".join(self.modules or {}) or "none"
            raise EngineError(f"the server knows no VAE {vae!r}; it has {known}")
        return found[:1]


def with_known_vae(body: Mapping[str, Any], client: WebUIClient) -> Mapping[str, Any]:
    """The body of a call with its VAE as the server lists it, however it is spelled.

    The servers without modules leave a VAE out without a word where its name is not exactly one of their list.
    """
    overrides = body.get("override_settings") or {}
    asked = str(overrides.get("sd_vae") or "")
    if not asked or asked.casefold() in _NO_VAE:
        return body
    listed = client.find("/sdapi/v1/sd-vae")
    names = [str(vae.get("model_name")) for vae in listed or () if isinstance(vae, dict)]
    found = next((name for name in names if same_checkpoint(name, asked)), asked)
    return body if asked in names else {**body, "override_settings": {**overrides, "sd_vae": found}}


def _for_sd_next(body: Mapping[str, Any]) -> dict[str, Any]:
    """It has fields of its own for some options and for the schedule, and skips hires fix without a way to resize."""
    adapted = dict(body)
    overrides = dict(body.get("override_settings") or {})
    for option, name in _SD_NEXT_FIELDS.items():
        value = overrides.pop(option, None)
        if value is not None:
            adapted.setdefault(name, value)
    if overrides:
        adapted["override_settings"] = overrides
    else:
        adapted.pop("override_settings", None)
    if adapted.get("enable_hr"):
        adapted.setdefault("hr_resize_mode", 1)
    schedule = adapted.pop(BY_NAME[SCHEDULE].webui, None)
    if schedule and str(schedule).casefold() != "automatic":
        adapted.setdefault("schedulers_sigma", _sigma_of(str(schedule)))
    return adapted


def _sigma_of(schedule: str) -> str:
    """SD.Next's word for a noise schedule. It takes any word, and one that it does not know gives a wrong image."""
    known = {name.casefold(): sigma for name, sigma in SD_NEXT_SIGMAS.items()}
    sigma = known.get(schedule.casefold(), schedule)
    if sigma not in _SIGMAS:
        raise EngineError(f"the server knows no noise schedule {schedule!r}; it has {', '.join(SD_NEXT_SIGMAS)}")
    return sigma


def find_kin(client: WebUIClient) -> Kin:
    """The program at an address, by what only one of the family answers."""
    version = client.find("/sdapi/v1/version")
    if isinstance(version, dict):
        return Kin(SD_NEXT, str(version.get("updated") or version.get("commit") or ""))
    modules = client.find(_MODULES)
    if isinstance(modules, list):
        return Kin(FORGE, _find_version(client), _read_modules(modules))
    return Kin(AUTOMATIC1111, _find_version(client))


def _find_version(client: WebUIClient) -> str:
    """What the report of the system says; every reply says it too, but the first record is begun before the first."""
    report = client.find("/internal/sysinfo")
    version = report.get("Version") if isinstance(report, dict) else None
    return str(version or "")


def _read_modules(modules: list[Any]) -> dict[str, str]:
    return {
        str(module["model_name"]): str(module["filename"])
        for module in modules
        if isinstance(module, dict) and module.get("model_name") and module.get("filename")
    }
