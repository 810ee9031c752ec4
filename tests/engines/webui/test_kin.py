"""What each program of the family takes differently."""

import pytest

from stablenew.engines.webui.kin import AUTOMATIC1111, FORGE, SD_NEXT, Kin
from stablenew.errors import EngineError

BODY = {
    "prompt": "a pier", "steps": 4, "scheduler": "Karras",
    "override_settings": {"sd_model_checkpoint": "m", "sd_vae": "ae", "CLIP_stop_at_last_layers": 2},
}  # fmt: skip
MODULES = {"ae.safetensors": "/models/VAE/ae.safetensors", "t5xxl.safetensors": "/models/text/t5xxl.safetensors"}


def overriding(**options):
    return {"override_settings": options}


@pytest.mark.parametrize("kin", [Kin(AUTOMATIC1111), Kin(FORGE, modules=MODULES), Kin(SD_NEXT)])
def test_the_body_that_is_adapted_stays_as_it_was(kin):
    body = BODY | {"override_settings": dict(BODY["override_settings"])}
    assert kin.adapt(body) is not body
    assert body == BODY


def test_automatic1111_takes_what_there_is():
    assert Kin(AUTOMATIC1111).adapt(BODY) == BODY


def test_forge_takes_a_vae_as_a_module_with_its_path():
    adapted = Kin(FORGE, modules=MODULES).adapt(BODY)
    assert adapted == BODY | overriding(
        sd_model_checkpoint="m", CLIP_stop_at_last_layers=2, forge_additional_modules=[MODULES["ae.safetensors"]]
    )


@pytest.mark.parametrize("vae", ["Automatic", "none", "NONE"])
def test_forge_without_a_vae_of_its_own_has_no_modules(vae):
    assert Kin(FORGE).adapt(overriding(sd_vae=vae)) == overriding(forge_additional_modules=[])


def test_forge_keeps_modules_that_were_named_in_its_own_words():
    given = overriding(sd_vae="ae", forge_additional_modules=["/mine"])
    assert Kin(FORGE, modules=MODULES).adapt(given) == overriding(forge_additional_modules=["/mine"])


@pytest.mark.parametrize(("modules", "known"), [(MODULES, "ae.safetensors, t5xxl.safetensors"), (None, "none")])
def test_forge_names_the_vaes_it_has(modules, known):
    with pytest.raises(EngineError, match=f"the server knows no VAE 'kl-f8'; it has {known}"):
        Kin(FORGE, modules=modules).adapt(overriding(sd_vae="kl-f8"))


@pytest.mark.parametrize(
    ("body", "modules"),
    [
        ({"enable_hr": True}, ["Use same choices"]),
        ({"enable_hr": False}, None),
        ({}, None),
        ({"enable_hr": True, "hr_additional_modules": ["/mine"]}, ["/mine"]),
    ],
)
def test_forge_is_told_which_modules_its_second_pass_uses(body, modules):
    adapted = Kin(FORGE).adapt(body)
    assert adapted.get("hr_additional_modules") == modules
    assert "override_settings" not in adapted


def test_sd_next_has_fields_for_the_options_and_the_schedule():
    assert Kin(SD_NEXT).adapt(BODY) == {
        "prompt": "a pier", "steps": 4, "clip_skip": 2, "schedulers_sigma": "karras",
        "override_settings": {"sd_model_checkpoint": "m", "sd_vae": "ae"},
    }  # fmt: skip
    assert Kin(SD_NEXT).adapt(overriding(CLIP_stop_at_last_layers=2)) == {"clip_skip": 2}
    assert Kin(SD_NEXT).adapt({"clip_skip": 1} | overriding(CLIP_stop_at_last_layers=2)) == {"clip_skip": 1}


@pytest.mark.parametrize(
    ("schedule", "sigma"),
    [
        ("Karras", "karras"), ("EXPONENTIAL", "exponential"), ("Beta", "betas"), ("Normal", "default"),
        ("flowmatch", "flowmatch"), ("lambdas", "lambdas"), ("Automatic", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_sd_next_has_its_own_words_for_schedules(schedule, sigma):
    adapted = Kin(SD_NEXT).adapt({"scheduler": schedule})
    assert adapted == ({} if sigma is None else {"schedulers_sigma": sigma})


def test_sd_next_would_make_a_wrong_image_of_a_schedule_that_it_does_not_know():
    with pytest.raises(EngineError, match="'Turbo'; it has Karras, Exponential, Beta, Normal"):
        Kin(SD_NEXT).adapt({"scheduler": "Turbo"})
    assert Kin(SD_NEXT).adapt({"schedulers_sigma": "betas"}) == {"schedulers_sigma": "betas"}


@pytest.mark.parametrize(
    ("body", "mode"), [({"enable_hr": True}, 1), ({"enable_hr": True, "hr_resize_mode": 5}, 5), ({}, None)]
)
def test_sd_next_needs_a_way_to_resize_for_its_second_pass(body, mode):
    assert Kin(SD_NEXT).adapt(body).get("hr_resize_mode") == mode
