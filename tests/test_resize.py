"""Resizing against Pillow, bit for bit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from canthus._native import Resize

Image = pytest.importorskip("PIL.Image")
BILINEAR = Image.Resampling.BILINEAR


def pillow(image, box, width, height):
    return np.asarray(Image.fromarray(image).crop(box).resize((width, height), BILINEAR))


def make_image(width, height, seed=0, levels=256):
    steps = 255 // (levels - 1)
    return (np.random.default_rng(seed).integers(0, levels, (height, width)) * steps).astype(np.uint8)


@st.composite
def resizes(draw):
    width, height = draw(st.integers(1, 99)), draw(st.integers(1, 99))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    box = (left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))
    return width, height, box, draw(st.integers(1, 120)), draw(st.integers(1, 120))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=resizes(), seed=st.integers(0, 2**31), levels=st.sampled_from([2, 256]))
@example(case=(1, 1, (0, 0, 1, 1), 1, 1), seed=0, levels=256)
@example(case=(1, 90, (0, 0, 1, 90), 120, 1), seed=0, levels=2)
@example(case=(90, 1, (0, 0, 90, 1), 1, 120), seed=0, levels=2)
@example(case=(40, 30, (0, 0, 40, 30), 40, 30), seed=0, levels=256)
def test_any_box_to_any_size(case, seed, levels):
    width, height, box, new_width, new_height = case
    image = make_image(width, height, seed, levels)
    resized = Resize(width, height, box, new_width, new_height)(image)
    np.testing.assert_array_equal(resized, pillow(image, box, new_width, new_height))


@pytest.mark.parametrize(
    "size, box, new_size",
    [
        ((346, 260), (43, 0, 303, 260), (100, 100)),
        ((346, 260), (0, 0, 346, 260), (133, 100)),
        ((346, 260), (0, 0, 346, 260), (346, 260)),
        ((640, 480), (80, 0, 560, 480), (100, 100)),
        ((100, 100), (0, 0, 100, 100), (224, 224)),
        ((5000, 20), (0, 0, 5000, 20), (1, 7)),
    ],
)
def test_sensors_in_one_call_of_pillow(size, box, new_size):
    image = make_image(*size)
    expected = np.asarray(Image.fromarray(image).crop(box).resize(new_size, BILINEAR))
    np.testing.assert_array_equal(Resize(*size, box, *new_size)(image), expected)


def turned(image, mirrored, quarters):
    """As numpy does it: mirrored left to right, then turned clockwise by quarters."""
    return np.rot90(np.fliplr(image) if mirrored else image, -quarters)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=resizes(), mirrored=st.booleans(), quarters=st.integers(0, 3), levels=st.sampled_from([2, 256]))
@example(case=(1, 1, (0, 0, 1, 1), 1, 1), mirrored=True, quarters=1, levels=256)
@example(case=(1, 90, (0, 0, 1, 90), 120, 1), mirrored=False, quarters=3, levels=2)
@example(case=(90, 1, (0, 0, 90, 1), 1, 120), mirrored=True, quarters=3, levels=2)
@example(case=(99, 98, (0, 0, 99, 98), 10, 120), mirrored=False, quarters=1, levels=256)
def test_a_turned_box_is_what_pillow_makes_of_pixels_that_were_turned_before(case, mirrored, quarters, levels):
    width, height, box, new_width, new_height = case
    image = make_image(width, height, levels=levels)
    left, top, right, bottom = box
    pixels = np.ascontiguousarray(turned(image[top:bottom, left:right], mirrored, quarters))
    resized = Resize(width, height, box, new_width, new_height, mirrored, quarters)(image)
    np.testing.assert_array_equal(resized, pillow(pixels, (0, 0, *pixels.shape[::-1]), new_width, new_height))


@pytest.mark.parametrize("quarters", [-1, 4])
def test_other_turns_are_refused(quarters):
    with pytest.raises(ValueError, match="quarters"):
        Resize(60, 40, (0, 0, 60, 40), 10, 10, False, quarters)


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_a_flat_image_stays_flat(level):
    assert (Resize(346, 260, (3, 5, 300, 201), 97, 61)(np.full((260, 346), level, np.uint8)) == level).all()


def test_one_object_serves_many_images_and_a_buffer():
    resize, out = Resize(60, 40, (0, 0, 60, 40), 25, 31), np.empty((31, 25), np.uint8)
    for seed in range(5):
        image = make_image(60, 40, seed)
        assert resize(image, out) is out
        np.testing.assert_array_equal(out, pillow(image, (0, 0, 60, 40), 25, 31))


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 61, 5), (0, 0, 5, 41), (5, 0, 5, 5), (6, 6, 5, 9)])
def test_a_box_that_is_empty_or_outside_is_refused(box):
    with pytest.raises(ValueError, match="box"):
        Resize(60, 40, box, 10, 10)


def test_other_images_are_refused():
    resize = Resize(60, 40, (0, 0, 60, 40), 10, 10)
    with pytest.raises(ValueError, match="source_height"):
        resize(np.zeros((60, 40), np.uint8))
    with pytest.raises(ValueError, match="out"):
        resize(np.zeros((40, 60), np.uint8), np.zeros((10, 11), np.uint8))
    with pytest.raises(TypeError):
        resize(np.zeros((40, 60)))
    with pytest.raises(ValueError, match="columns and rows"):
        Resize(60, 40, (0, 0, 60, 40), 0, 10)
