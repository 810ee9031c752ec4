"""The samplers that an image went through, and their settings. Pure."""

import itertools
from typing import Final

from stablenew.image_metadata.graphs.graph import PIPES, Graph, Link
from stablenew.image_metadata.graphs.node_inputs import SAMPLER_INPUTS, setting_of_class
from stablenew.image_metadata.graphs.values import Found, Values

_TEXTS: Final = {"positive", "guider", "conditioning", *PIPES}
_CONDITIONINGS: Final = {"positive", "conditioning"}
_STAGES: Final = {"stage_c"}
_NOISE: Final = {"steps", "sigmas", "seed", "noise_seed", "noise"}
_ASIDE: Final = {
    "model", "clip", "vae", "positive", "negative", "conditioning", "guider", "sigmas", "noise", "sampler",
    "control_net", "upscale_model", "upscale_model_opt", "bbox_detector", "sam_model_opt", "segm_detector_opt",
    "detailer_hook", "clip_vision", "style_model", "mask", "text", "filename_prefix", "model_opt", "clip_opt",
}  # fmt: skip
"""Links that carry something else than the image itself."""
_CARRIERS: Final = {"noise", "guider", "sigmas", "sampler", *PIPES}
_MOST_PASSES: Final = 8


class Samplers:
    """Samplers of one graph."""

    def __init__(self, graph: Graph, values: Values) -> None:
        self._graph = graph
        self._values = values

    def passes_to(self, output: str) -> list[str]:
        """The samplers that the image of an output node went through, the first pass first."""
        passes: list[str] = []
        start = [link.node for link in self._graph.links(output) if link.name not in _ASIDE]
        if self._is_sampler(output):  # it saves what it samples
            start = [output]
        while len(passes) < _MOST_PASSES:
            found = self._nearest(start)
            if found is None or found in passes:
                break
            passes.insert(0, found)
            start = [link.node for link in self._graph.links(found) if _carries_image(link)]
            start += self._stages_before(found)
        return passes

    def _stages_before(self, sampler: str) -> list[str]:
        """What an earlier stage sampled that a sampler gets as a conditioning and not as its image (Cascade)."""
        starts = [link.node for link in self._graph.links(sampler) if link.name in _CONDITIONINGS]
        path = self._graph.walk(starts, lambda link: link.name in _CONDITIONINGS)
        return [link.node for key in path for link in self._graph.links(key) if link.name in _STAGES]

    def image_path(self, start: str) -> list[str]:
        """Every node that the image itself went through before a node."""
        begin = [link.node for link in self._graph.links(start) if _carries_image(link)]
        return list(self._graph.walk(begin, _carries_image))

    def settings_of(self, sampler: str) -> dict[str, Found]:
        """The settings of one sampler, at itself or at the nodes that carry them."""
        holders = [sampler, *self._carriers_of(sampler)]
        found = {}
        for name, fields in SAMPLER_INPUTS.items():
            value = next((value for key in holders if (value := self._values.scalar(key, *fields))), None)
            if value:
                found[name] = value
        for key in holders[1:]:
            self._read_class(key, found)
        return found

    def _read_class(self, key: str, found: dict[str, Found]) -> None:
        """What only the class of a carrier says."""
        setting = setting_of_class(self._graph.class_type(key))
        if setting and setting[0] not in found:
            found[setting[0]] = Found(setting[1], None)

    def _carriers_of(self, sampler: str) -> list[str]:
        starts = [link.node for link in self._graph.links(sampler) if link.name in _CARRIERS]
        return list(self._graph.walk(starts, lambda link: link.name in _CARRIERS))

    def _nearest(self, starts: list[str]) -> str | None:
        """The next sampler behind some nodes; of several side by side, one that itself goes on from another."""
        walk = self._graph.walk(starts, lambda link: link.name not in _ASIDE, self._is_sampler)
        found = list(itertools.islice(filter(self._is_sampler, walk), _MOST_PASSES))
        return next(
            (key for key in found if len(found) > 1 and self._goes_on_from(key, found)), next(iter(found), None)
        )

    def _goes_on_from(self, sampler: str, others: list[str]) -> bool:
        behind = self._graph.walk([sampler], _carries_image)
        return any(key in others for key in itertools.islice(behind, 1, None))

    def _is_sampler(self, key: str) -> bool:
        names = self._graph.inputs(key).keys()
        return bool(_TEXTS & names) and bool(_NOISE & names)


def _carries_image(link: Link) -> bool:
    return link.name not in _ASIDE and link.name not in PIPES
