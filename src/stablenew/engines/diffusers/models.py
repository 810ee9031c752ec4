"""Pipelines of diffusers from disk: found, loaded once, and given the sampler and the LoRAs that are asked for."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stablenew.errors import EngineError
from stablenew.formats.common_names import DIFFUSERS_SIGMAS, SAMPLERS, find_sampler, split_schedule
from stablenew.formats.settings import SAMPLER, SCHEDULE

INSTALL_HINT: Final = "the engine diffusers needs its libraries: python -m pip install 'stablenew[diffusers]'"
_SINGLE_FILES: Final = (".safetensors", ".ckpt")
_PIPELINES: Final = {
    "xl": "StableDiffusionXLPipeline",
    "playground": "StableDiffusionXLPipeline",
    "v1": "StableDiffusionPipeline",
    "v2": "StableDiffusionPipeline",
    "inpainting": "StableDiffusionPipeline",
    "sd3": "StableDiffusion3Pipeline",
    "flux": "FluxPipeline",
}
"""The pipeline of a single file, by how the kind that diffusers takes it for begins."""


class LoadedModel:
    """A model in memory, as a pipeline from text and, once that is asked for, as one from image."""

    def __init__(self, model: str, extra: Mapping[str, Any], device: str) -> None:
        self._model = model
        self.from_text = load_pipeline(model, extra, device)
        self._from_image: Any = None
        _bridge_text_encoder(self.from_text)
        self._own_scheduler = self.from_text.scheduler
        """The one that came with the model: others are made from its configuration."""

    def pipeline(self, settings: Mapping[str, Any], *, takes_image: bool) -> Any:
        """The pipeline of either kind, with the sampler and noise schedule of `settings`; both share their weights.

        Raises:
            EngineError: the model has none that takes images, or diffusers has no such sampler.
        """
        pipe = self._pipeline_from_image() if takes_image else self.from_text
        pipe.scheduler = build_scheduler(self._own_scheduler, settings.get(SAMPLER), settings.get(SCHEDULE))
        return pipe

    def _pipeline_from_image(self) -> Any:
        if self._from_image is None:
            _, diffusers = import_libraries()
            try:
                self._from_image = diffusers.AutoPipelineForImage2Image.from_pipe(self.from_text)
            except ValueError as error:
                raise EngineError(f"{self._model} has no pipeline from image to image: {error}") from None
            self._from_image.set_progress_bar_config(disable=True)
        return self._from_image


def _bridge_text_encoder(pipe: Any) -> None:
    """Let diffusers (0.42) find the text model of a CLIP of transformers 5, which it looks for when layers are skipped.

    Up to transformers 4 the encoder held a `text_model`; now it is one.
    """
    encoder = getattr(pipe, "text_encoder", None)
    if encoder is not None and not hasattr(encoder, "text_model") and hasattr(encoder, "final_layer_norm"):
        encoder.__dict__["text_model"] = encoder  # not as a submodule: it would hold itself


def import_libraries() -> tuple[Any, Any]:
    """Torch and diffusers.

    Raises:
        EngineError: they are not installed.
    """
    try:
        import diffusers  # noqa: PLC0415
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise EngineError(f"{INSTALL_HINT} ({error})") from None
    return torch, diffusers


def choose_device(asked: str | None) -> str:
    """The device that is asked for, or the best there is."""
    torch, _ = import_libraries()
    if asked:
        return asked
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_pipeline(model: str, extra: Mapping[str, Any], device: str) -> Any:
    """A pipeline from a folder or a single file (or, as diffusers does it, from a hub), on its device.

    `extra` may say `dtype` (float32 on a CPU, else float16), `pipeline` (the class, for a single file) and `config`
    (the folder that describes a single file, where the hub cannot be asked).

    Raises:
        EngineError: it cannot be loaded.
    """
    torch, diffusers = import_libraries()
    name = str(extra.get("dtype") or ("float32" if device == "cpu" else "float16"))
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise EngineError(f"no dtype {name!r}; there are float32, float16, bfloat16")
    path = Path(model).expanduser()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch_dtype has a new name that older ones do not know
            pipe = _load(diffusers, model, path, extra, dtype)
        pipe.set_progress_bar_config(disable=True)
        return pipe.to(device)
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
        raise EngineError(f"the model {model} cannot be loaded: {error}") from None


def _load(diffusers: Any, model: str, path: Path, extra: Mapping[str, Any], dtype: Any) -> Any:
    if path.suffix in _SINGLE_FILES:
        return _load_single_file(diffusers, path, extra, dtype)
    return diffusers.DiffusionPipeline.from_pretrained(str(path) if path.exists() else model, torch_dtype=dtype)


def _load_single_file(diffusers: Any, path: Path, extra: Mapping[str, Any], dtype: Any) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    kind = str(extra.get("pipeline") or _guess_class(path))
    pipeline = getattr(diffusers, kind, None)
    if pipeline is None:
        raise EngineError(f"diffusers has no pipeline {kind!r}")
    config = {"config": str(Path(extra["config"]).expanduser())} if extra.get("config") else {}
    return pipeline.from_single_file(str(path), torch_dtype=dtype, **config)


def _guess_class(path: Path) -> str:
    from diffusers.loaders.single_file_utils import (  # noqa: PLC0415
        infer_diffusers_model_type,
        load_single_file_checkpoint,
    )

    kind = infer_diffusers_model_type(load_single_file_checkpoint(str(path)))
    for beginning, pipeline in _PIPELINES.items():
        if kind.startswith(beginning):
            return pipeline
    raise EngineError(f"{path} is taken for {kind}; name its pipeline: txt2img.extra.pipeline=CLASS")


def build_scheduler(own: Any, sampler: str | None, schedule: str | None) -> Any:
    """A scheduler for the sampler and noise schedule that are asked for, from the configuration of the model's own.

    Where the model cannot go with it (a flow-matching model with another kind of scheduler), its own stays.

    Raises:
        EngineError: diffusers has no such sampler, or a library that it needs is missing.
    """
    _, diffusers = import_libraries()
    config = dict(own.config)
    if not sampler:
        return type(own).from_config(config)
    name, named_schedule = split_schedule(sampler)
    found = find_sampler(name)
    kind = found.diffusers if found else sampler
    wanted = getattr(diffusers, kind, None) if kind else None
    if wanted is None:
        known = ", ".join(sampler.name for sampler in SAMPLERS if sampler.diffusers)
        raise EngineError(f"diffusers has no sampler {sampler!r}; it has {known}")
    if wanted not in (type(own), *own.compatibles):
        return type(own).from_config(config)
    options = {**(found.options if found else {}), **_sigmas(wanted, schedule or named_schedule)}
    plain = {key: value for key, value in config.items() if key not in _SIGMA_FLAGS}
    try:
        return wanted.from_config(plain, **options)
    except ImportError as error:
        raise EngineError(f"the sampler {sampler} cannot be made: {' '.join(str(error).split())}") from None


_SIGMA_FLAGS: Final = {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"}


def _sigmas(kind: Any, schedule: str | None) -> dict[str, Any]:
    """The options of a noise schedule, as far as a scheduler has them."""
    import inspect  # noqa: PLC0415

    known = inspect.signature(kind.__init__).parameters
    wanted = {name.casefold(): options for name, options in DIFFUSERS_SIGMAS.items()}
    return {key: value for key, value in wanted.get((schedule or "").casefold(), {}).items() if key in known}


def use_loras(pipe: Any, loras: list[tuple[str, float]], folder: str | None) -> list[Path]:
    """Put these LoRAs on a pipeline, and no others. Returns their files.

    Raises:
        EngineError: one is not there, or does not fit.
    """
    if not loras:
        if getattr(pipe, "peft_config", None) or _adapter_names(pipe):
            pipe.unload_lora_weights()
        return []
    files = [_find_lora(name, folder) for name, _ in loras]
    loaded = _adapter_names(pipe)
    for (name, _), file in zip(loras, files, strict=True):
        if name not in loaded:
            _load_lora(pipe, name, file)
    pipe.set_adapters([name for name, _ in loras], [weight for _, weight in loras])
    return files


def _adapter_names(pipe: Any) -> set[str]:
    if not hasattr(pipe, "get_list_adapters"):
        return set()
    return {name for names in pipe.get_list_adapters().values() for name in names}


def _find_lora(name: str, folder: str | None) -> Path:
    if not folder:
        raise EngineError(f"the prompt calls the LoRA {name}; say where LoRAs are: txt2img.extra.lora_dir=DIR")
    found = next(iter(sorted(Path(folder).expanduser().rglob(f"{name}.safetensors"))), None)
    if found is None:
        raise EngineError(f"no LoRA {name}.safetensors in {folder}")
    return found


def _load_lora(pipe: Any, name: str, found: Path) -> None:
    try:
        pipe.load_lora_weights(str(found.parent), weight_name=found.name, adapter_name=name)
    except (OSError, ValueError, RuntimeError, ImportError, AttributeError) as error:
        raise EngineError(f"the LoRA {found} cannot be loaded: {error}") from None
