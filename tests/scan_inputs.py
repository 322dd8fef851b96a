"""Inputs of the selective scan for tests, and its recurrence in float64."""

import numpy as np


def make_inputs(
    batch=2, channels=8, tokens=70, states=16, groups=2, B_rank=4, C_rank=4, optional=True, dtype=np.float32, seed=0
):
    """Keyword arguments of `canthus._native.selective_scan`, of magnitudes that Mamba networks have."""
    random = np.random.default_rng(seed)

    def normal(*shape, dtype=dtype):
        return random.standard_normal(shape).astype(np.float32).astype(dtype)

    def projection(rank):
        if rank == 2:
            return normal(channels, states, dtype=np.float32)
        return normal(*{3: (batch, states, tokens), 4: (batch, groups, states, tokens)}[rank])

    inputs = {
        "u": normal(batch, channels, tokens),
        "delta": normal(batch, channels, tokens),
        "A": -np.exp(normal(channels, states, dtype=np.float32)),
        "B": projection(B_rank),
        "C": projection(C_rank),
        "delta_softplus": optional,
    }
    if optional:
        inputs["D"] = normal(channels, dtype=np.float32)
        inputs["z"] = normal(batch, channels, tokens)
        inputs["delta_bias"] = normal(channels, dtype=np.float32)
    else:
        inputs["delta"] = abs(inputs["delta"])  # a negative one would make states grow without end
    return inputs


def any_inputs(random, seed, channels, tokens, states):
    """Inputs of shapes below these and sizes of values as they come, zeros, NaN and infinity among them; and the case
    of `make_inputs` that they are made from.
    """
    groups = int(random.integers(1, 4))
    case = {
        "batch": int(random.integers(1, 4)),
        "channels": groups * int(random.integers(1, channels)),
        "tokens": int(random.integers(1, tokens)),
        "states": int(random.integers(1, states)),
        "groups": groups,
        "B_rank": int(random.choice([2, 4])),
        "C_rank": int(random.choice([2, 4])),
        "optional": bool(random.integers(2)),
        "seed": seed,
    }
    inputs = make_inputs(**case)
    for name in ("u", "B", "C"):
        inputs[name] *= np.float32(10.0 ** random.uniform(-9, 9))
    inputs["A"] *= np.float32(10.0 ** random.uniform(-4, 2))
    inputs["delta"] *= np.float32(10.0 ** random.uniform(-3, 1))
    odd = random.random((2, *inputs["u"].shape)) < 0.01
    inputs["u"][odd[0]], inputs["delta"][odd[1]] = 0.0, 0.0
    if random.random() < 0.3:
        inputs["u"][tuple(random.integers(0, n) for n in inputs["u"].shape)] = random.choice([np.nan, np.inf, -np.inf])
    return inputs, case


def assert_near(found, wanted, case):
    """Finite where `wanted` is, and there within 1e-5 of its largest magnitude."""
    finite = np.isfinite(wanted)
    assert np.array_equal(np.isfinite(found), finite), case
    assert error(found[finite], wanted[finite]) <= 1e-5, case


def recurrence(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):
    """y and the last state, token by token in float64."""
    u, delta, A = (np.asarray(x, np.float64) for x in (u, delta, A))
    if delta_bias is not None:
        delta = delta + np.asarray(delta_bias, np.float64)[:, None]
    if delta_softplus:
        delta = np.logaddexp(0, delta)
    state, y = np.zeros((*u.shape[:2], A.shape[1])), np.zeros(u.shape)
    for t in range(u.shape[2]):
        step, rows_B, rows_C = delta[:, :, t, None], _rows(B, u.shape[1], t), _rows(C, u.shape[1], t)
        state = np.exp(step * A) * state + step * rows_B * u[:, :, t, None]
        y[:, :, t] = (rows_C * state).sum(-1)
    if D is not None:
        y += np.asarray(D, np.float64)[:, None] * u
    if z is not None:
        z = np.asarray(z, np.float64)
        y *= z / (1 + np.exp(-z))
    return y, state


def _rows(projection, channels, token):
    """B or C of one token, (batch or 1, channels, states)."""
    projection = np.asarray(projection, np.float64)
    if projection.ndim == 2:
        return projection[None]
    rows = projection[..., token]
    if projection.ndim == 3:
        return rows[:, None]
    return np.repeat(rows, channels // projection.shape[1], axis=1)


def error(actual, expected):
    """The largest difference, relative to the largest magnitude expected."""
    expected = np.asarray(expected, np.float64)
    return np.abs(np.asarray(actual, np.float64) - expected).max(initial=0) / max(
        np.abs(expected).max(initial=0), 1e-30
    )
