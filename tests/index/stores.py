"""Stores with a bit of everything in them, from a seed."""

import json
import random

from stablenew import FeedbackManager, RunStore
from stablenew.formats.documents.feedback import build_event
from stablenew.formats.documents.feedback_input import FeedbackInput
from stablenew.recording.image_content import build_image
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.run_folder import METADATA, RECORDS
from tests import samples

WORDS = ["harbour", "harbours", "oil", "painting", "blurry", "dawn", "fishing_boat", "café", "3d"]
MODELS = ["dreamshaper_8", "Dreamshaper XL", "sd15", None]
SAMPLERS = ["Euler a", "Euler", "DPM++ 2M", None]
PACKS = [("harbour", "Harbour at dawn"), ("still-life", None), ("Harbour", "Boats")]
TAGS = ["portrait", "keeper", "Keeper two", "label:red"]
ENGINES = ["webui", "sketch", None]
ACTIONS = ["moody landscape", None]
SEEDS = [-1, 5, 123, 2**53 + 1, 2**63 + 7, 2**64 - 1, None]
RATERS = ["alice", "bob"]


def make_store(root, seed, count=40):
    """A store of `count` runs, some unfinished or damaged, many rated."""
    chance = random.Random(seed)
    store = RunStore(root)
    for number in range(count):
        run_id = f"named-{number}" if chance.random() < 0.2 else f"202611{10 + number % 3}-{number:06d}-000-{'a' * 10}"
        add_run(store, run_id, chance)
    return store


def add_run(store, run_id, chance):
    """One more run, with whatever chance gives it."""
    pack_id, pack_name = chance.choice(PACKS)
    fields = {
        "created_at": f"2026-11-{chance.randint(10, 14)}T0{chance.randint(0, 2)}:00:00.{chance.randint(0, 3):03d}Z",
        "source": {"name": "StableNew"} | present(engine=chance.choice(ENGINES)),
        "packs": [{"id": pack_id} | present(name=pack_name)] if chance.random() < 0.8 else [],
        "variant_plan": {"mode": "fanout", "size": chance.randint(0, 5), "axes": []},
        "duration_seconds": round(chance.random() * 90, 2),
    } | present(one_click_action=chance.choice(ACTIONS), learning_tags=chance.choice([None, ["experiment:steps"]]))
    writer = store.create(samples.metadata(run_id, **fields))
    variants = chance.choice([0, 1, 1, 1, 2, 4])
    for index in range(variants):
        add_variant(writer, index, chance)
    end = chance.choice(["completed"] * 6 + ["failed", "cancelled", "crash", "damage"])
    if end == "crash":
        writer.abandon()
    else:
        status = "completed" if end == "damage" else end
        counts = {"record_count": variants, "output_count": variants}
        writer.seal(samples.metadata(run_id, **fields, **counts, status=status))
    rate(store, run_id, chance)
    if end == "damage":
        damage(store.root / run_id, chance)


def present(**fields):
    return {name: value for name, value in fields.items() if value is not None}


def add_variant(writer, index, chance):
    is_shared = chance.random() < 0.2
    images = [
        build_image(
            samples.png((f"shared {stage}" if is_shared else f"{writer.run_id} {index} {n}").encode()),
            variant=index,
            stage=stage,
            number=0,
        )
        for n, stage in enumerate(chance.choice([[], ["txt2img"], ["txt2img", "upscale"]]))
    ]
    for image in images:
        writer.write_output(image.data, variant=index, stage=image.reference.stage, number=0, media_type="image/png")
    outputs = [image.reference.model_copy(update={"role": "intermediate"}) for image in images[:-1]]
    outputs += [image.reference.model_copy(update={"role": "final"}) for image in images[-1:]]
    seed = chance.choice(SEEDS)
    settings = present(
        model=chance.choice(MODELS),
        sampler=chance.choice(SAMPLERS),
        steps=chance.choice([20, 30, None]),
        cfg_scale=chance.choice([4.5, 7.0, 7.3, None]),
        width=chance.choice([512, 768, None]),
        denoising_strength=chance.choice([0.3, None]),
        eta=chance.choice([0.5, None]),
        seed=seed if seed is None or abs(seed) < 2**53 else str(seed),
        s_churn=chance.choice([None, None, 0.5, 2, "auto", True]),
    )
    if "cfg_scale" in settings and chance.random() < 0.3:
        settings["guidance_scale"] = settings.pop("cfg_scale")
    pack_id, pack_name = chance.choice([(None, None), *PACKS])
    prompt = present(
        positive=" ".join(chance.choices(WORDS, k=chance.randint(0, 4))),
        negative=chance.choice([None, "blurry", "blurry oil"]),
        pack_id=pack_id,
        pack_name=pack_name,
        loras=chance.choice([None, [{"name": "ink", "weight": 0.5}], [{"name": "Paper cut"}]]),
        embeddings=chance.choice([None, ["fine-detail"]]),
    )
    actual = chance.choice([None, {}, {"steps": 25}, {"seed": 77, "sampler": None}])
    status = chance.choice(["completed", "failed"])
    fields = {"status": status, "prompt": prompt, "requested": settings} | present(actual=actual)
    if chance.random() < 0.2:
        fields["reconstructed"] = {"tool": "a1111", "reader": "stablenew", "reader_version": "1"}
        fields["finished_at"] = f"2026-11-0{chance.randint(1, 9)}T00:00:00.000Z"
    one = samples.record(writer.run_id, index, outputs, **fields)
    if actual is None:
        one = type(one).from_dict({key: value for key, value in one.to_dict().items() if key != "actual"})
    writer.append_record(one)


def rate(store, run_id, chance):
    """What people say of a run and its images."""
    outputs = [output.digest for _, output in store.open(run_id).iter_outputs()]
    for _ in range(chance.choice([0, 0, 1, 3])):
        manager = FeedbackManager(store, rater=chance.choice(RATERS))
        image = chance.choice([None, *outputs])
        manager.record_feedback(
            run_id,
            image,
            chance.choice([None, 0, 2, 4, 5]),
            **present(
                tags=chance.choice([None, [chance.choice(TAGS)]]),
                notes=chance.choice([None, "hands wrong"]),
                flag=chance.choice([None, "pick", "reject"]),
            ),
        )
    if outputs and chance.random() < 0.2:
        thrown = FeedbackInput.build(run_id=run_id, image_id=chance.choice(outputs), trashed=True)
        FeedbackManager(store, rater=chance.choice(RATERS)).record_many([thrown])
    if outputs and chance.random() < 0.3:
        say(store.root / run_id, chance, [chance.choice(outputs) for _ in range(2)])
    if outputs and chance.random() < 0.3:
        score(store.root / run_id, run_id, outputs, chance)


def say(path, chance, images):
    """Words that only other programs say so far: into the trash, out of it, and what was said taken back."""
    log = FeedbackLog(path)
    with log.writing() as reading:
        events = []
        for image in images:
            op = chance.choice(["trash", "trash", "rate", "flag"])
            value = {"trash": {"present": chance.random() < 0.7}, "rate": {"rating": None}, "flag": {"flag": None}}[op]
            clock = f"2027-01-0{chance.randint(1, 9)}T00:00:00.000Z-0000"
            rater = chance.choice(RATERS)
            events.append(build_event(clock=clock, replica="there", rater=rater, op=op, image_id=image, **value))
        log.append(reading, events)


def score(path, run_id, outputs, chance):
    """Scores of images, by a program that measured them later."""
    scores = [
        {"image_id": chance.choice([None, *outputs]), "metric": "aesthetic", "value": chance.choice([1.5, 4.25, 6.0])}
        for _ in range(chance.choice([1, 3]))
    ]
    batch = {"kind": "stablenew.metric_batch", "schema_version": "1.0", "run_id": run_id, "replica": "here"}
    batch |= {"scored_at": f"2026-11-15T00:00:0{chance.randint(0, 9)}.000Z", "scores": scores}
    with (path / "metrics.here.jsonl").open("a") as file:
        file.write(json.dumps(batch) + "\n")


def damage(path, chance):
    """What disks, people and half-finished syncs do to a run."""
    name = chance.choice([METADATA, RECORDS, "outputs", "line", "feedback"])
    files = sorted((path / "outputs").glob("*"))
    if name == "outputs" and files:
        files[0].unlink()
    elif name in (METADATA, RECORDS) and (path / name).exists():
        (path / name).chmod(0o644)
        (path / name).write_bytes((path / name).read_bytes()[: chance.choice([0, 40, 400])])
    elif name == "feedback":
        (path / "feedback.json").write_bytes(b'{"kind": "stablenew.feedback"')
    elif (path / RECORDS).exists():
        (path / RECORDS).chmod(0o644)
        with (path / RECORDS).open("ab") as file:
            file.write(b'{"kind": "stablenew.learning_record", "schema_version": "1.0"}\nnonsense\n')
