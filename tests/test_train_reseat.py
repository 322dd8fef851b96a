"""Clips varied as if the camera sat differently: all images of a clip alike, and every clip differently."""

import pytest
import torch

from canthus_model.train import reseat as reseating
from canthus_model.train.reseat import NO_EVENT, reseat


@pytest.fixture
def images():
    """Three clips; the event images are the frames, so that both can be compared."""
    frame = torch.full((3, 2, 60, 80), NO_EVENT)
    frame[:, :, 20:40, 30:50] = 250
    return frame


def test_all_images_of_a_clip_move_alike_and_clips_do_not(images):
    torch.manual_seed(0)
    frame, event = reseat(images, images)
    torch.testing.assert_close(frame, event)
    torch.testing.assert_close(frame[:, 0], frame[:, 1])
    assert (frame[0] - images[0]).abs().max() > 50 < (frame[0] - frame[1]).abs().max()
    torch.manual_seed(0)
    assert torch.equal(reseat(images, images)[0], frame)


def test_a_square_stays_a_square(images, monkeypatch):
    monkeypatch.setattr(reseating, "TURN", 0.7)
    torch.manual_seed(1)
    frame, _ = reseat(images, images)
    for clip in frame[:, 0]:
        rows, columns = torch.nonzero(clip > 190, as_tuple=True)
        inertia = torch.cov(torch.stack((rows, columns)).double())
        assert torch.linalg.eigvalsh(inertia)[0] / torch.linalg.eigvalsh(inertia)[1] > 0.9


def test_nothing_changes_without_change(images, monkeypatch):
    for change in ("SCALE", "TURN", "SHIFT"):
        monkeypatch.setattr(reseating, change, 0.0)
    noisy = images + torch.rand(images.shape)
    for moved in reseat(noisy, noisy):
        torch.testing.assert_close(moved, noisy, atol=1e-2, rtol=0)


def test_what_comes_in_has_no_events_and_continues_the_frame(images, monkeypatch):
    monkeypatch.setattr(reseating, "SHIFT", 1.0)
    torch.manual_seed(2)
    bright = torch.full_like(images, 255).to(torch.uint8)
    frame, event = reseat(bright, bright)
    assert (frame > 254.9).all()
    assert (event.flatten(1).min(1).values == NO_EVENT).all() and event.max() > 254.9
