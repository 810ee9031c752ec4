"""What ComfyUI finds wrong with a prompt before it runs it, as 0.8.0 was heard to say it.

Outputs are checked one by one, each with all that feeds it. A prompt of which one output is sound is accepted, and the
others are left out; only one without any is refused.
"""

LINKS = {
    "CLIPSetLastLayer": {"clip": "CLIP"},
    "CLIPTextEncode": {"clip": "CLIP"},
    "KSampler": {"model": "MODEL", "positive": "CONDITIONING", "negative": "CONDITIONING", "latent_image": "LATENT"},
    "LatentUpscaleBy": {"samples": "LATENT"},
    "VAEDecode": {"samples": "LATENT", "vae": "VAE"},
    "VAEEncode": {"pixels": "IMAGE", "vae": "VAE"},
    "ImageScale": {"image": "IMAGE"},
    "SaveImage": {"images": "IMAGE"},
    "PreviewImage": {"images": "IMAGE"},
}
"""The inputs that are links, of the classes that are checked, with the type that each takes."""
GIVES = {
    "CheckpointLoaderSimple": ("MODEL", "CLIP", "VAE"),
    "LoraLoader": ("MODEL", "CLIP"),
    "CLIPSetLastLayer": ("CLIP",),
    "CLIPTextEncode": ("CONDITIONING",),
    "EmptyLatentImage": ("LATENT",),
    "KSampler": ("LATENT",),
    "LatentUpscaleBy": ("LATENT",),
    "VAEDecode": ("IMAGE",),
    "VAEEncode": ("LATENT",),
    "LoadImage": ("IMAGE", "MASK"),
    "ImageScale": ("IMAGE",),
}
RANGES = {"steps": (1, 10000), "cfg": (0.0, 100.0), "denoise": (0.0, 1.0), "width": (16, 16384), "height": (16, 16384)}
_MANY = 20
"""So long a list is only counted in the answer."""


def check_prompt(graph, nodes, outputs, has_image):
    """The outputs that can run, and what is wrong with the nodes behind the others."""
    check = _Check(graph, nodes, has_image)
    sound, errors, whole = [], {}, []
    for output in outputs:
        try:
            faults = check.faults_behind(output)
        except KeyError as error:  # a link of the output itself leads nowhere
            faults = {output: [_raised("exception_during_validation", "Exception when validating node", error)]}
        whole += faults.get(output, ())
        for key, found in faults.items():
            class_type = graph[key]["class_type"]
            entry = errors.setdefault(key, {"errors": found, "dependent_outputs": [], "class_type": class_type})
            entry["dependent_outputs"].append(output)
        if not faults:
            sound.append(output)
    return sound, errors, "\n".join(f"{error['message']}: {error['details']}" for error in whole)


class _Check:
    def __init__(self, graph, nodes, has_image):
        self._graph = graph
        self._nodes = nodes
        self._has_image = has_image

    def faults_behind(self, key):
        """The faults of a node and of all that feed it, by node."""
        node = self._graph[key]
        wanted = {**LINKS.get(node["class_type"], {}), **self._nodes[node["class_type"]]}
        missing = [name for name in wanted if name not in node["inputs"]]
        found = [_fault("required_input_missing", "Required input is missing", name, name) for name in missing]
        faults = {}
        for name, value in node["inputs"].items():
            if isinstance(value, list):
                found += self._check_link(node, name, value, faults)
            else:
                found += self._check_value(node, name, value)
        return faults | ({key: found} if found else {})

    def _check_link(self, node, name, link, faults):
        if len(link) != 2:
            words = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return [_fault("bad_linked_input", words, name, name, input_config=[], received_value=link)]
        source = self._graph[link[0]]["class_type"]
        wanted, given = LINKS.get(node["class_type"], {}).get(name), GIVES.get(source, ())
        kind = given[link[1]] if link[1] < len(given) else None
        if wanted and kind and wanted != kind:
            details = f"{name}, received_type({kind}) mismatch input_type({wanted})"
            words = "Return type mismatch between linked nodes"
            about = {"input_config": [wanted, {}], "received_type": kind, "linked_node": link}
            return [_fault("return_type_mismatch", words, details, name, **about)]
        try:
            faults |= self.faults_behind(link[0])
        except KeyError as error:  # reported at the node whose link leads nowhere, with the input that led to it
            words = "Exception when validating inner node"
            about = {"input_name": name, "input_config": [], "exception_message": str(error), "linked_node": link}
            faults |= {link[0]: [_raised("exception_during_inner_validation", words, error, **about)]}
        return []

    def _check_value(self, node, name, value):
        known = self._nodes[node["class_type"]].get(name)
        about = {"input_config": [type(known).__name__.upper(), {}], "received_value": value}
        if isinstance(known, list):
            if not isinstance(value, str) or value in known:
                return []
            is_long = len(known) > _MANY
            listed = f"(list of length {len(known)})" if is_long else str(known)
            about["input_config"] = None if is_long else [known, {}]
            return [
                _fault("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {listed}", name, **about)
            ]
        if node["class_type"] == "LoadImage" and name == "image" and not self._has_image(value):
            words = "Custom validation failed for node"
            return [_fault("custom_validation_failed", words, f"image - Invalid image file: {value}", name)]
        if isinstance(known, (int, float)) and not isinstance(known, bool):
            return _check_number(name, value, type(known), about)
        return []


def _check_number(name, value, kind, about):
    try:
        number = kind(value)
    except (ValueError, TypeError) as error:
        words = f"Failed to convert an input value to a {kind.__name__.upper()} value"
        details = f"{name}, {value}, {error}"
        return [_fault("invalid_input_type", words, details, name, **about, exception_message=str(error))]
    low, high = RANGES.get(name, (number, number))
    if number < low:
        return [_fault("value_smaller_than_min", f"Value {number} smaller than min of {low}", name, name, **about)]
    if number > high:
        return [_fault("value_bigger_than_max", f"Value {number} bigger than max of {high}", name, name, **about)]
    return []


def _fault(kind, message, details, name, **about):
    return {"type": kind, "message": message, "details": details, "extra_info": {"input_name": name, **about}}


def _raised(kind, message, error, **about):
    about |= {"exception_type": type(error).__name__, "traceback": []}
    return {"type": kind, "message": message, "details": str(error), "extra_info": about}
