"""Inputs of the head's operators for tests, in the order in which they take them, and what they give in float64."""

import math

import numpy as np

from scan_inputs import recurrence

NAMES = ("mco_mamba", "mcib", "routed_experts")


def _drawing(seed):
    random = np.random.default_rng(seed)

    def normal(*shape, scale=1.0):
        return (scale * random.standard_normal(shape)).astype(np.float32)

    return random, normal


def _matrix(random, outputs, inputs, int8):
    """Weights and scales whose product is about one over the square root of inputs."""
    size = 1 / math.sqrt(max(inputs, 1))
    if int8:
        scales = random.uniform(0.5, 1.5, outputs).astype(np.float32) * size / 64
        return random.integers(-127, 128, (outputs, inputs), np.int8), scales.astype(np.float32)
    return (size * random.standard_normal((outputs, inputs))).astype(np.float32), np.ones(outputs, np.float32)


def mco_mamba_inputs(batch=2, tokens=70, seed=0, scale=1.0):
    _, normal = _drawing(seed)
    return [
        normal(batch, tokens, 8, scale=scale),
        normal(8, 32, scale=0.4),
        normal(2, 4, 16, scale=0.5),
        normal(2, 16, scale=0.1),
        normal(2, 16, 80, scale=0.3),
        -np.exp(normal(2, 16, 16)),
        normal(2, 16),
        normal(2, 16) - 2,
        normal(16, 8, scale=0.3),
    ]


def mcib_inputs(batch=2, tokens=70, width=24, int8=False, seed=0, scale=1.0):
    random, normal = _drawing(seed)
    return [
        normal(batch, tokens, 8, scale=scale),
        normal(8, 32, scale=0.4),
        normal(32, scale=0.1),
        normal(4, 4, scale=0.5),
        normal(4, scale=0.1),
        *_matrix(random, width, 4 * tokens, int8),
        normal(width, scale=0.1),
    ]


def routed_experts_inputs(batch=5, width=40, labels=7, int8=False, seed=0, scale=1.0):
    random, normal = _drawing(seed)
    half, rows = width // 2, 4 * width + 3 * (width // 2) + 2 * labels
    return [
        normal(batch, width, scale=scale),
        *_matrix(random, rows, width, int8),
        normal(rows, scale=0.1),
        1 + normal(width, scale=0.1),
        normal(width, scale=0.1),
        *_matrix(random, half, width, int8),
        normal(half, scale=0.1),
        normal(8, half, scale=2 / math.sqrt(half)),
        normal(8, scale=0.1),
        normal(3, labels, width, scale=1 / math.sqrt(width)),
        normal(3, labels, scale=0.1),
        normal(3, labels, half, scale=1 / math.sqrt(half)),
        normal(3, labels, scale=0.1),
    ]


def mco_mamba(x, in_proj, conv_weight, conv_bias, projection, A, D, delta_bias, out_proj):
    x, in_proj, conv_weight, conv_bias, projection, A, D, delta_bias, out_proj = _float64(
        x, in_proj, conv_weight, conv_bias, projection, A, D, delta_bias, out_proj
    )
    both = 0
    for direction in (0, 1):
        tokens = x[:, ::-1] if direction else x
        channels, gate = np.split(tokens @ in_proj, 2, axis=2)
        before = np.pad(channels, ((0, 0), (3, 0), (0, 0)))
        length = x.shape[1]
        u = conv_bias[direction] + sum(conv_weight[direction, k] * before[:, k : k + length] for k in range(4))
        u *= _sigmoid(u)
        delta, B, C = np.split(u @ projection[direction], [16, 48], axis=2)
        turned = [a.swapaxes(1, 2) for a in (u, delta, gate)]
        groups = [a.swapaxes(1, 2).reshape(len(x), 2, 16, length) for a in (B, C)]
        y, _ = recurrence(
            turned[0], turned[1], A[direction], *groups, D[direction], turned[2], delta_bias[direction], True
        )
        both = both + (y[..., ::-1] if direction else y)
    return (both.swapaxes(1, 2) @ out_proj + x,)


def mcib(x, projection, projection_bias, out_weight, out_bias, weight, scale, bias):
    x, projection, projection_bias, out_weight, out_bias, weight, scale, bias = _float64(
        x, projection, projection_bias, out_weight, out_bias, weight, scale, bias
    )
    itself, query, key, value = np.split(x @ projection + projection_bias, 4, axis=2)
    heard = np.zeros_like(query)
    for head in range(4):
        own = np.s_[:, :, 2 * head : 2 * head + 2]
        scores = query[own] @ key[own].swapaxes(1, 2)
        weights = np.exp(scores - scores.max(-1, keepdims=True, initial=-np.inf))
        heard[own] = weights / weights.sum(-1, keepdims=True) @ value[own]
    of_event, of_frame = (half @ out_weight.T + out_bias for half in np.split(heard, 2, axis=2))
    frame, event = np.split(itself, 2, axis=2)
    gate = _sigmoid((frame * event).sum(-1, keepdims=True))
    fused = gate * of_event + (1 - gate) * of_frame + (frame + event) / 2
    return (_gelu(fused.reshape(len(x), 4 * x.shape[1]) @ (weight * scale[:, None]).T + bias),)


def routed_experts(x, *weights):
    x, linear, linear_scale, linear_bias, norm_scale, norm_shift, router, router_scale, router_bias, *last = _float64(
        x, *weights
    )
    choice, choice_bias, attention, attention_bias, focal, focal_bias = last
    width, labels = x.shape[1], attention.shape[1]
    rows = x @ (linear * linear_scale[:, None]).T + linear_bias
    edges = np.cumsum([width] * 4 + [width // 2] * 3 + [labels] * 2)[:-1]
    routed, *parts = np.split(rows, edges, axis=1)
    hidden = _gelu((_norm(routed) * norm_scale + norm_shift) @ (router * router_scale[:, None]).T + router_bias)
    scores = hidden @ choice.T + choice_bias
    chances = np.exp(scores - scores.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    answers = {}
    for number in range(3):
        answers[3 * number + 1] = _norm(parts[number]) @ attention[number].T + attention_bias[number]
        answers[3 * number] = _gelu(parts[3 + number]) @ focal[number].T + focal_bias[number]
    answers[2], answers[5] = parts[6], parts[7]
    chosen = np.argsort(-chances, axis=1, kind="stable")[:, :2]
    weights = np.zeros_like(chances)
    np.put_along_axis(weights, chosen, np.take_along_axis(chances, chosen, 1), 1)
    mixed = sum(weights[:, [expert]] * answers[expert] for expert in range(8))
    return mixed / (weights.sum(1, keepdims=True) + 1e-8), weights


def _float64(*arrays):
    return [np.asarray(array, np.float64) for array in arrays]


def _sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


def _gelu(x):
    return x * 0.5 * np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2))


def _norm(x):
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
