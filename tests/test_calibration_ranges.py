"""Ranges of activations: what each estimator takes, and how the lightings are reconciled."""

import numpy as np
import pytest

from canthus_calibration.ranges import BINS, ESTIMATORS, Histogram, reconcile


def histogram(*lightings):
    values = [np.asarray(v, np.float32) for v in lightings]
    result = Histogram.over(min(map(np.min, values)), max(map(np.max, values)), len(values))
    for place, some in enumerate(values):
        result.add(place, some)
    return result


def test_histogram_counts_each_lighting():
    found = histogram([0.0, 1.0, 1.0], [2.0])
    assert found.counts.sum(1).tolist() == [3, 1]
    assert found.counts[1, -1] == 1
    assert found.counts[0, 0] == 1


def test_min_max_takes_everything():
    low, high = ESTIMATORS["minmax"](histogram([-3.0, 0.0, 5.0]).counts[0], np.linspace(-3, 5, BINS + 1))
    assert (low, high) == (-3.0, 5.0)


def test_percentile_leaves_out_the_rarest():
    random = np.random.default_rng(0)
    values = np.concatenate([random.uniform(0, 1, 100_000), [50.0]])
    found = histogram(values)
    low, high = ESTIMATORS["percentile"](found.counts[0], found.edges)
    assert low == pytest.approx(0, abs=1e-3)
    assert 0.9 < high < 1.2


def test_percentile_leaves_out_half_at_each_end():
    random = np.random.default_rng(0)
    found = histogram(np.concatenate([random.uniform(-1, 1, 100_000), [-40.0, 50.0]]))
    low, high = ESTIMATORS["percentile"](found.counts[0], found.edges)
    assert -1.2 < low < -0.9
    assert 0.9 < high < 1.2


def test_entropy_cuts_a_long_thin_tail():
    random = np.random.default_rng(0)
    values = np.concatenate([np.zeros(200_000), random.exponential(1, 100_000), random.uniform(10, 80, 30)])
    found = histogram(values)
    low, high = ESTIMATORS["entropy"](found.counts[0], found.edges)
    assert low == 0
    assert 6 < high < 40


def test_zeros_have_no_say_in_the_entropy():
    values = np.random.default_rng(0).exponential(1, 100_000)
    few, many = (histogram(np.concatenate([np.zeros(zeros), values])) for zeros in (1, 500_000))
    assert ESTIMATORS["entropy"](few.counts[0], few.edges) == ESTIMATORS["entropy"](many.counts[0], many.edges)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_error_is_what_rounding_does(estimator):
    """The error told by the histogram is that of 8 bits on the values themselves."""
    values = np.random.default_rng(0).gamma(2, 1, 200_000).astype(np.float32)
    found = reconcile(histogram(values), estimator)
    step = (found.high - found.low) / 255
    held = np.clip(np.rint(values / step), 0, 255) * step
    measured = ((values - held) ** 2).sum() / (values**2).sum()
    assert found.error[0] == pytest.approx(measured, rel=0.1)


def test_reconciling_protects_the_worst_lighting():
    """Most clips say a wide range; it would leave the dark a handful of levels."""
    random = np.random.default_rng(0)
    bright = np.concatenate([random.uniform(0, 4, 100_000), [400.0] * 3])
    dark = random.uniform(0, 1, 100_000)
    found = reconcile(histogram(bright, bright, bright, dark), "minmax")
    assert found.by_lighting[0][1] == 400
    assert found.high < 400 or max(found.error) == found.error[0]
    proposals = {high for _, high in found.by_lighting}
    assert found.high in proposals

    def worst(high):
        step = high / 255
        return max(((v - np.clip(np.rint(v / step), 0, 255) * step) ** 2).sum() / (v**2).sum() for v in (bright, dark))

    assert worst(found.high) == min(map(worst, proposals))


def test_a_lighting_without_values_has_no_say():
    found = reconcile(histogram(np.linspace(0, 1, 1000), [0.0, 0.0]), "percentile")
    assert found.by_lighting[1] is None
    assert found.high > 0.9


def test_symmetric_ranges_err_as_symmetric_codes_do():
    values = np.random.default_rng(0).uniform(0, 1, 100_000)
    one, other = (reconcile(histogram(values), "minmax", symmetric=s) for s in (False, True))
    assert other.error[0] == pytest.approx(4 * one.error[0], rel=0.1)
