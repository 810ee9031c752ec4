"""A stage made image by image: seeds, parts of progress, and what outlives a failure."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.engines.engine import CancelToken, EngineImage, StageMonitor, StageRequest, StageResult
from stablenew.engines.image_by_image import part_of, run_each, seeds_of
from stablenew.errors import Cancelled, EngineError

IMAGES = tuple(EngineImage(b"", "image/png", 8, 8, seed=seed) for seed in (5, None, 2**64 - 1))


def txt2img(**settings):
    return StageRequest("txt2img", settings, "a pier")


def made(number, **fields):
    return StageResult((EngineImage(b"", "image/png", 8, 8, seed=number),), **fields)


def run(*results, monitor=None):
    """Run a stage that gives these results one after the other; an error is raised."""

    def make(number, part):
        result = results[number]
        if isinstance(result, EngineError):
            raise result
        return result

    return run_each(len(results), make, monitor or StageMonitor())


@given(st.integers(0, 2**64 - 1), st.integers(1, 4), st.integers(1, 4))
def test_seeds_count_up_over_the_whole_batch_and_begin_again_behind_the_last(first, batch, rounds):
    seeds = seeds_of(txt2img(seed=first, batch_size=batch, n_iter=rounds))
    assert len(seeds) == batch * rounds
    assert seeds[0] == first
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert {(after - before) % 2**64 for before, after in pairwise(seeds)} <= {1}


@pytest.mark.parametrize("settings", [{}, {"seed": -1}, {"seed": None}, {"seed": "7"}])
def test_without_a_seed_one_is_chosen_that_every_program_can_take(settings):
    chosen = {seeds_of(txt2img(**settings))[0] for _ in range(4)}
    assert len(chosen) > 1
    assert all(0 <= seed < 2**32 for seed in chosen)


@pytest.mark.parametrize("settings", [{"batch_size": 0, "n_iter": None}, {"batch_size": None}, {}])
def test_a_batch_of_nothing_is_one_image(settings):
    assert seeds_of(txt2img(seed=9, **settings)) == [9]


def test_images_go_on_with_the_seed_they_came_from_whatever_the_batch():
    request = StageRequest("img2img", {"seed": 9, "batch_size": 4}, "a pier", inputs=IMAGES)
    assert seeds_of(request) == [5, 9, 2**64 - 1]


def test_parts_become_one_result_in_order():
    result = run(
        made(1, actual={"steps": 4}, notices=("no LoRA x",)),
        made(2, actual={"steps": 5}, notices=("no LoRA y", "no LoRA x")),
    )
    assert [image.seed for image in result.images] == [1, 2]
    assert result.actual == {"steps": 4}
    assert result.notices == ("no LoRA x", "no LoRA y")
    assert result.failure is None
    assert run() == StageResult(())


def test_what_ran_is_that_of_the_first_image_that_says():
    assert run(made(1), made(2, actual={"steps": 5})).actual == {"steps": 5}


@pytest.mark.parametrize("failure", [EngineError("out of memory"), Cancelled("stopped on request")])
def test_what_was_finished_outlives_a_failure(failure):
    result = run(made(1, notices=("careful",)), failure, made(3))
    assert [image.seed for image in result.images] == [1]
    assert result.failure is failure
    assert result.notices == ("careful",)


def test_a_first_image_that_fails_fails_the_stage():
    with pytest.raises(EngineError, match="out of memory"):
        run(EngineError("out of memory"), made(2))


def test_a_part_that_failed_within_ends_the_stage_with_what_it_made():
    failure = EngineError("the server was stopped")
    result = run(made(1), made(2, failure=failure), made(3))
    assert [image.seed for image in result.images] == [1, 2]
    assert result.failure is failure


def test_a_stage_that_is_cancelled_begins_no_other_image():
    cancel = CancelToken()

    def make(number, part):
        cancel.cancel()
        return made(number)

    result = run_each(3, make, StageMonitor(cancel))
    assert [image.seed for image in result.images] == [0]
    assert isinstance(result.failure, Cancelled)
    with pytest.raises(Cancelled, match="stopped on request"):
        run_each(3, make, StageMonitor(cancel))


def test_progress_of_a_part_is_progress_of_the_whole_and_never_goes_back():
    heard = []

    def make(number, part):
        for fraction in (0.0, 0.5):
            part.on_progress(fraction)
        return made(number)

    run_each(4, make, StageMonitor(on_progress=lambda fraction, preview=None: heard.append(fraction)))
    assert heard == [number / 8 for number in (0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8)]


def test_a_part_hands_on_previews_wishes_and_the_request_to_stop():
    heard = []
    whole = StageMonitor(on_progress=lambda *said: heard.append(said), wants_previews=True)
    part = part_of(whole, 1, 2)
    part.on_progress(0.5, IMAGES[0])
    part.on_progress(0.5)
    assert heard == [(0.75, IMAGES[0]), (0.75,)]
    assert part.wants_previews
    part.cancel.cancel()
    assert whole.cancel.is_cancelled


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (StageRequest("upscale", {}, ""), "the engine toy has no stage 'upscale'; it has txt2img, img2img"),
        (StageRequest("img2img", {}, ""), "the stage img2img needs an image to start from; let txt2img run before it"),
        (
            StageRequest("img2img", {}, "", inputs=(IMAGES[0], EngineImage(b"", "video/mp4", 8, 8))),
            "the stage img2img starts from an image, and the one before made video/mp4",
        ),
    ],
)
def test_a_request_that_an_engine_cannot_go_on_with_says_why(request_, said):
    with pytest.raises(EngineError) as refused:
        request_.check("toy", ("txt2img", "img2img"))
    assert str(refused.value) == said


def test_a_request_that_an_engine_can_go_on_with_is_let_through():
    txt2img(steps=4).check("toy", ("txt2img",))
    StageRequest("img2img", {}, "", inputs=IMAGES).check("toy", ("txt2img", "img2img"))
