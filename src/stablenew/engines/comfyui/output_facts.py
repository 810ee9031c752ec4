"""What an output node of a workflow says of its images, under the names of records. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from stablenew.formats.common_names import checkpoint_stem
from stablenew.formats.strict_json import JsonValue
from stablenew.image_metadata.graphs.outputs import GraphOutput, SamplingPass

_NOT_RECORDED: Final = {"batch_size"}
_FILES: Final = {"model", "vae"}


def read_facts(output: GraphOutput) -> dict[str, JsonValue]:
    """What ran: settings of the first pass, every pass where there are several, the LoRAs that are connected."""
    facts = _settings(output.settings)
    if facts.get("denoising_strength") == 1:
        del facts["denoising_strength"]
    if len(output.passes) > 1:
        facts["passes"] = [_read_pass(sampling, output.passes[0]) for sampling in output.passes]
    if output.loras:
        facts["loras"] = [{"name": lora.name, "weight": lora.weight} for lora in output.loras]
    return facts


def _settings(settings: Mapping[str, Any]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for name, value in settings.items():
        if name == "model":
            found["model_file"] = value
        if name not in _NOT_RECORDED:
            found[name] = checkpoint_stem(str(value)) if name in _FILES else value
    return found


def _read_pass(sampling: SamplingPass, base: SamplingPass) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {"node": sampling.node, **_settings(sampling.settings)}
    texts = (
        ("prompt", sampling.prompt, base.prompt),
        ("negative_prompt", sampling.negative_prompt, base.negative_prompt),
    )
    return found | {name: text for name, text, first in texts if text is not None and text != first}
