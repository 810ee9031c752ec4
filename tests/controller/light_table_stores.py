"""Stores for what works on many images at once."""

from stablenew import FeedbackManager, JobHistory, RunStore, RunVerifier
from stablenew.controller.light_table.trash import TrashCan
from stablenew.formats.documents.feedback_input import FeedbackInput
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


class Machine:
    """A store and its owner."""

    def __init__(self, root, owner="me", **options):
        self.store = RunStore(root)
        self.history = JobHistory(root, rater=owner)
        self.feedback = FeedbackManager(self.store, rater=owner, replica=f"desk-{owner}")
        self.trash = TrashCan(self.store, self.history, self.feedback, **options)

    def say(self, run_id, image, **fields):
        rater = fields.pop("rater", None)
        trashed = fields.pop("trashed", None)
        if trashed is not None:
            given = FeedbackInput.build(run_id=run_id, image_id=image, trashed=trashed)
            self.feedback.record_many([given], rater=rater)
        if fields:
            self.feedback.record_feedback(run_id, image, rater=rater, **fields)
        self.refresh()

    def refresh(self):
        self.history.refresh(is_patient=True)

    def empty(self, **options):
        self.refresh()
        chosen, kept = self.trash.choose(**options)
        options.pop("older", None)
        report = self.trash.empty(chosen, **options)
        self.refresh()
        return report, kept

    def files(self):
        return {
            path.relative_to(self.store.root).as_posix(): path.read_bytes()
            for path in self.store.root.rglob("*")
            if path.is_file() and not path.name.startswith("feedback")
        }

    def problems(self):
        reports = [RunVerifier(run, deep=True).verify() for run in self.store.iter_runs()]
        return [finding for report in reports for finding in report.findings if not report.is_ok]
