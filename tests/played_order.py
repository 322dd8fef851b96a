"""Which work on a GPU comes after which: what merely happens to come first, on another stream, is an error."""

from collections import defaultdict

HOST = "host"


class Order:
    """Work is done as late as it may be: when the host waits for it, and none that isn't waited for.

    Whoever works (a stream, the host) has a set of the work that is done before its next, by number. It may read what
    was written, and write what was written or read, by work in that set alone.
    """

    def __init__(self):
        self.begun = {}  # by number: its name, and the numbers of all that is done before it
        self.undone = {}  # by number: what it does, and the addresses that it uses
        self._before = defaultdict(set)
        self._written = {}  # by address: the number of the work that did last
        self._read = defaultdict(set)
        self._count = 0

    def work(self, where, name, reads, writes, do):
        before = self._before[where]
        before |= self._before[HOST]
        for address in reads:
            assert self._written.get(address) in before, f"{name} reads what may not be written yet"
        for address in writes:
            assert self._written.get(address) in {None, *before}, f"{name} writes what may be written after it"
            assert self._read[address] <= before, f"{name} writes what may be read after it"
        self._count += 1
        self.begun[self._count] = name, frozenset(before)
        for address in reads:
            self._read[address].add(self._count)
        for address in writes:
            self._written[address], self._read[address] = self._count, set()
        before.add(self._count)
        self.undone[self._count] = do, {*reads, *writes}

    def point(self, where):
        """All that is done when `where` is done with what it has by now."""
        return frozenset(self._before[where] | self._before[HOST])

    def wait(self, where, point):
        self._before[where] |= point

    def synchronise(self, where):
        for number in sorted(self._before[where] & self.undone.keys()):
            self.undone.pop(number)[0]()
        self._before[HOST] |= self._before[where]

    def free(self, address):
        """Its next owner doesn't care what was there."""
        assert not any(address in used for _, used in self.undone.values()), "freed while it is used"
        self._written.pop(address, None)
        self._read.pop(address, None)
