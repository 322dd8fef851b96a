"""Several threads that do the same at once."""

import threading


def at_once(count, function):
    """Calls it with 0, 1, … in a thread each; fails if one doesn't end."""
    threads = [threading.Thread(target=function, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
