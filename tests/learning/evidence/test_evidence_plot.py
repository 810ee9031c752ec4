"""Evidence as a picture, and in the units of a metric."""

import io
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from stablenew.errors import ConfigError
from stablenew.learning.evidence.evidence import Evidence, build_evidence
from stablenew.learning.evidence.evidence_plot import draw_evidence
from stablenew.learning.evidence.evidence_table import build_evidence_table
from stablenew.learning.evidence.metric_evidence import MetricScale, in_units
from stablenew.learning.evidence.rating_statistics import Interval
from stablenew.learning.evidence.value_evidence import ValueEvidence
from tests.learning.simulated_user import build_images

SVG = "{http://www.w3.org/2000/svg}"


def value(name, estimate=3.0, low=2.0, high=4.0):
    return ValueEvidence(name, 12_345, 0, [0] * 6, estimate, Interval(estimate, low, high), ())


def evidence_of(*values, against=None):
    """What is said of a setting with these values."""
    found = build_evidence(build_evidence_table(build_images([])), "sampler")
    fields = vars(found) | {"values": list(values), "against": against}
    return Evidence(**{name: fields[name] for name in Evidence.__dataclass_fields__})


def drawn(*values, **fields):
    """The texts, intervals and dots of the picture."""
    root = ET.fromstring(draw_evidence(evidence_of(*values, **fields), ".svg"))
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    lines = [line for line in root.iter(f"{SVG}line") if line.get("stroke-width") == "3"]
    return texts, [(float(line.get("x1")), float(line.get("x2"))) for line in lines], list(root.iter(f"{SVG}circle"))


def test_each_value_has_its_name_its_interval_and_its_count():
    texts, intervals, dots = drawn(value("Euler", 3.0, 2.0, 4.0), value(None, 1.0, 0.0, 5.0))
    assert texts[0] == "txt2img.sampler: mean stars, with 95 % intervals"
    assert {"Euler", "unknown", "3.00  n=12,345"} <= set(texts)
    assert intervals == [(444.0, 648.0), (240.0, 750.0)]
    assert [float(dot.get("cx")) for dot in dots] == [546.0, 342.0]


def test_an_interval_beyond_the_scale_ends_at_it():
    assert drawn(value("a", 3.0, -9.0, 99.0))[1] == [(240.0, 750.0)]


def test_two_settings_are_named_together_and_long_names_are_cut():
    texts, *_ = drawn(value(["Euler", 7.0]), value("x" * 40), against="txt2img.cfg_scale")
    assert texts[0].startswith("txt2img.sampler and txt2img.cfg_scale: ")
    assert {"Euler + 7.0", f"{'x' * 28}…"} <= set(texts)


@pytest.mark.parametrize("name", ["<b> & \"c\" 'd'", "a\x00\x07\x1bb", "tab\tnew\nline", "\ufffe\uffff", "港 ☆ 😀"])
def test_a_picture_is_valid_whatever_a_value_is_called(name):
    texts, *_ = drawn(value(name))
    shown = texts[-2]  # the last is its count
    assert len(shown) == len(name)
    assert Image.open(io.BytesIO(draw_evidence(evidence_of(value(name)), ".png"))).size[0] == 860


def test_of_very_many_values_the_best_are_shown():
    assert len(drawn(*[value(f"v{number}") for number in range(60)])[2]) == 40
    height = [
        Image.open(io.BytesIO(draw_evidence(evidence_of(*[value("v")] * count), ".PNG"))).height for count in (0, 1, 2)
    ]
    assert np.diff(height).tolist() == [34, 34]


@pytest.mark.parametrize(("suffix", "said"), [(".jpg", "found '.jpg'"), ("", "found 'no ending'")])
def test_another_kind_of_picture_is_refused(suffix, said):
    with pytest.raises(ConfigError, match=f"expected a file that ends in .png or .svg, {said}"):
        draw_evidence(evidence_of(), suffix)


SCALE = MetricScale("aesthetic", 6.0, 0.5)


def test_scores_are_stars_one_spread_each_and_none_is_off_the_scale():
    assert SCALE.to_stars(np.array([6.0, 6.5, 5.5, 99.0, -99.0])).tolist() == [2.5, 3.5, 1.5, 5.0, 0.0]


@pytest.mark.parametrize("score", [5.0, 6.0, 6.9])
def test_means_come_back_in_the_units_of_the_metric(score):
    stars = float(SCALE.to_stars(score))
    assert SCALE.mean(Interval(stars, stars - 1, stars + 1)) == pytest.approx((score, score - 0.5, score + 0.5))
    assert SCALE.difference(Interval(1.0, -2.0, 4.0)) == (0.5, -1.0, 2.0)


def test_evidence_in_units_has_the_same_values_and_pairs():
    rows = [(f"r{number}", number % 6, {"model": "m", "sampler": s, "cfg_scale": 7.0}, stars)
            for s, stars in (("DDIM", 4), ("Euler", 2)) for number in range(12)]  # fmt: skip
    plain = build_evidence(build_evidence_table(build_images(rows)), "sampler")
    units = in_units(plain, SCALE)
    assert [one.value for one in units.values] == [one.value for one in plain.values]
    assert [one.raw_mean for one in units.values] == pytest.approx([6.75, 5.75])
    before, after = plain.comparisons[0].difference, units.comparisons[0].difference
    assert after.interval.estimate == pytest.approx(before.interval.estimate / 2)
    assert (after.confidence, after.place_count) == (before.confidence, before.place_count)
