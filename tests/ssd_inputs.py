"""Inputs for Mamba-2's scan, and its recurrence in float64."""

import numpy as np


def make_inputs(batch=2, tokens=40, heads=4, head_size=8, groups=2, states=16, seed=0, initial_state=True, longest=1.0):
    """Of random numbers; decays reach from nearly all to `longest` time constants a token."""
    random = np.random.default_rng(seed)

    def normal(*shape):
        return random.standard_normal(shape).astype(np.float32)

    inputs = {
        "x": normal(batch, tokens, heads, head_size),
        "dt": (longest * random.random((batch, tokens, heads)) ** 3).astype(np.float32),
        "A": -np.exp(normal(heads)),
        "B": normal(batch, tokens, groups, states),
        "C": normal(batch, tokens, groups, states),
    }
    if initial_state:
        inputs["initial_state"] = normal(batch, heads, head_size, states)
    return inputs


def recurrence(x, dt, A, B, C, initial_state=None):
    """y and the last state, float64, token by token."""
    x, dt, A, B, C = (array.astype(np.float64) for array in (x, dt, A, B, C))
    heads = x.shape[2] // max(B.shape[2], 1)
    B, C = (np.repeat(array, heads, axis=2) for array in (B, C))
    state = np.zeros((len(x), *x.shape[2:], B.shape[3]))
    if initial_state is not None:
        state += initial_state
    y = np.empty(x.shape)
    for t in range(x.shape[1]):
        state = np.exp(dt[:, t] * A)[..., None, None] * state
        state += (dt[:, t, :, None] * x[:, t])[..., None] * B[:, t, :, None]
        y[:, t] = (state * C[:, t, :, None]).sum(-1)
    return y, state
