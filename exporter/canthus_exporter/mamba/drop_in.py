"""canthus's functions in the place of `mamba_ssm`'s, installed or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from canthus_exporter.mamba.absent import standing_in
from canthus_exporter.mamba.places import Also, take_places


@contextmanager
def drop_in(also: Also = ()) -> Iterator[None]:
    """While this lasts, whoever calls `mamba_ssm` or `causal_conv1d` calls what can be exported.

    Where they are installed, calls of their functions come here, wherever a network keeps them. Where they aren't,
    `import mamba_ssm` works, and gives what networks of Mamba need: so import your network's code in here. The scans of
    `transformers` and `mambapy` are known, too.

    Args:
        also: scans of your own, as "package.module.function" or "package.module.Class.method". A sequence of names:
            they are called as `selective_scan_fn` is; each argument is understood by the name that your function has
            for it. A mapping: what to call instead, with the same arguments (a method's object, too, is the first).

    Raises:
        ExportError: there is no such function.
    """
    with ExitStack() as stack:
        take_places(stack, stack.enter_context(standing_in()), also)
        yield
