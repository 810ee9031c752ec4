"""Graphs of ComfyUI, node by node."""


def node(kind, title=None, **inputs):
    return {"class_type": kind, "inputs": inputs} | ({"_meta": {"title": title}} if title else {})


def base_graph(**changes):
    """A graph of one pass; a node that is None in `changes` is left out."""
    nodes = {
        "3": node(
            "KSampler", seed=42, steps=20, cfg=7.0, sampler_name="euler_ancestral", scheduler="karras", denoise=1.0,
            model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0],
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name="tiny.safetensors"),
        "5": node("EmptyLatentImage", width=64, height=48, batch_size=1),
        "6": node("CLIPTextEncode", text="a quiet harbour", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }  # fmt: skip
    return {key: value for key, value in (nodes | changes).items() if value is not None}


def workflow_of(nodes, links, **more):
    """A workflow as the page saves it; `nodes` are `(id, type, widgets, inputs by name and link, extra)`."""
    return {
        "nodes": [
            {
                "id": key,
                "type": kind,
                "widgets_values": widgets,
                "inputs": [{"name": name, "link": link, "type": "X"} for name, link in inputs.items()],
                "outputs": [{"name": "OUT", "type": "X"}],
                **extra,
            }
            for key, kind, widgets, inputs, extra in nodes
        ],
        "links": [[link, origin, slot, 0, 0, "X"] for link, origin, slot in links],
        **more,
    }
