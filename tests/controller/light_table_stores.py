"""Stores for what works on many images at once."""

from stablenew import RunStore
from stablenew.recording.image_content import build_image
from tests import samples


def add_images(store: RunStore, run_id, *variants, **fields):
    """A sealed run with an image for each dict of settings, every image of its own; returns the digests."""
    writer = store.create(samples.metadata(run_id, **fields))
    digests = []
    for index, settings in enumerate(variants):
        own = dict(settings)
        prompt = own.pop("prompt", "harbour")
        data = samples.png(f"{run_id} {index}".encode(), colour=((37 * index) % 256, 120, len(run_id) * 20 % 256))
        image = build_image(data, variant=index, stage="txt2img", number=0)
        writer.write_output(image.data, variant=index, stage="txt2img", number=0, media_type="image/png")
        output = image.reference.model_copy(update={"role": "final"})
        given = {"prompt": {"positive": prompt}, "requested": own, "actual": {}}
        writer.append_record(samples.record(run_id, index, [output], **given))
        digests.append(image.reference.digest)
    count = len(variants)
    writer.seal(samples.metadata(run_id, **fields, status="completed", record_count=count, output_count=count))
    return digests
