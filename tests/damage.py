"""Files as a bad disk or a bad mind would leave them."""

from random import Random


def damaged(content: bytes, head: int, tail: int, seed: int) -> bytes:
    """A copy with one to eight bytes changed, among the first `head` or the last `tail`."""
    random = Random(seed)
    changed = bytearray(content)
    for _ in range(random.choice([1, 2, 8])):
        at = random.choice([random.randrange(head), len(content) - 1 - random.randrange(tail)])
        changed[at] = random.randrange(256)
    return bytes(changed)
