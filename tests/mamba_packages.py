"""Packages like `mamba_ssm`, `causal_conv1d` and `transformers`, written down as files where a test wants them."""

import sys
from contextlib import contextmanager

NEEDS_A_GPU = "raise RuntimeError('needs a GPU')"

SCAN_INTERFACE = f"""
try:
    from causal_conv1d import causal_conv1d_fn
except ImportError:
    causal_conv1d_fn = None

def selective_scan_fn(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
                      return_last_state=False):
    {NEEDS_A_GPU}

def mamba_inner_fn_no_out_proj(xz, conv1d_weight, conv1d_bias, x_proj_weight, delta_proj_weight, A, B=None, C=None,
                               D=None, delta_bias=None, B_proj_bias=None, C_proj_bias=None, delta_softplus=True):
    {NEEDS_A_GPU}
"""

MAMBA_SSM = {
    "mamba_ssm/__init__.py": "from mamba_ssm.modules.mamba_simple import Mamba",
    "mamba_ssm/ops/__init__.py": "",
    "mamba_ssm/ops/selective_scan_interface.py": SCAN_INTERFACE,
    "mamba_ssm/modules/__init__.py": "",
    "mamba_ssm/modules/mamba_simple.py": """
from torch import nn
from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
try:
    from causal_conv1d import causal_conv1d_fn, causal_conv1d_update
except ImportError:
    causal_conv1d_fn, causal_conv1d_update = None, None

class Mamba(nn.Module):
    kind = "the package's own"
""",
}

CAUSAL_CONV1D = {
    "causal_conv1d/__init__.py": f"""
def causal_conv1d_fn(x, weight, bias=None, seq_idx=None, activation=None):
    {NEEDS_A_GPU}

def causal_conv1d_update(x, conv_state, weight, bias=None, activation=None):
    {NEEDS_A_GPU}
"""
}


@contextmanager
def importable(folder, monkeypatch, *packages):
    """While this lasts, the packages can be imported; afterwards nothing of them is loaded."""
    files = {name: text for package in packages for name, text in package.items()}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    tops = {name.partition("/")[0].removesuffix(".py") for name in files}
    with monkeypatch.context() as patch:
        patch.syspath_prepend(folder)
        try:
            yield
        finally:
            for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
                del sys.modules[name]
