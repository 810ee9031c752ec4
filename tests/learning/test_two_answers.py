"""Where single settings and all of them together are said to differ."""

import pytest

from stablenew.learning.evidence.best_settings import BestSettings
from stablenew.learning.learning_contract import BestDefault
from stablenew.learning.two_answers import compare_answers

NAME = "txt2img.cfg_scale"


def differ(value, together, *, is_supported=True, is_sure=True):
    default = BestDefault(NAME, value, is_supported, "", None, 10, ())
    found = BestSettings({NAME: together}, {}, is_sure, "", None, (), 40, ())
    return compare_answers({NAME: default}, found)[NAME]


@pytest.mark.parametrize(("value", "together"), [(7.0, 7.3), ("Euler a", "Euler a"), (20, 20)])
def test_answers_that_agree_are_not_remarked_on(value, together):
    answer = differ(value, together)
    assert answer.together == together
    assert answer.difference is None


@pytest.mark.parametrize(("value", "together"), [(7.0, 11.0), ("Euler a", "DDIM"), (None, 3.0), (True, False)])
def test_two_sure_answers_that_differ_say_that_the_rest_differs_too(value, together):
    assert f"{together} is expected to be better together with" in differ(value, together).difference


def test_where_too_few_images_match_the_number_behind_the_other_answer_is_named():
    assert "all 40 images" in differ(7.0, 11.0, is_supported=False).difference


def test_a_model_that_is_not_sure_contradicts_nothing():
    answer = differ(7.0, 11.0, is_sure=False)
    assert answer.together is None
    assert answer.difference is None
