"""Spaces of Hugging Face that follow the Animagine demo: diffusers' names as JSON under `parameters`."""

from typing import Final

from stablenew.formats.settings import BY_NAME, SAMPLER
from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.metadata import Generation, Tool
from stablenew.image_metadata.prompt_tags import find_loras
from stablenew.image_metadata.settings import build_settings, first_text

_NAMES: Final = {BY_NAME[SAMPLER].diffusers_part: SAMPLER}
_PROMPTS: Final = {"prompt", "negative_prompt"}


def read_hugging_face(evidence: Evidence) -> Generation | None:
    """What an image of such a space says."""
    for value in evidence.iter_main_objects():
        prompt = value.get("prompt")
        if isinstance(prompt, str) and {"num_inference_steps", "guidance_scale"} & value.keys():
            pairs = {name: item for name, item in value.items() if name not in _PROMPTS}
            if isinstance(model := pairs.get("Model"), dict):
                pairs = {**pairs, **model}
            return Generation(
                tool=Tool.HUGGING_FACE,
                prompt=prompt,
                negative_prompt=first_text([value.get("negative_prompt")]),
                settings=build_settings(pairs, _NAMES),
                loras=find_loras([prompt]),
            )
    return None
