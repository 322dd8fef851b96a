"""Expressions in an asyncio app: one task feeds the stream, another reads it.

python examples/asyncio_app.py eye.canthus recording.aedat4
"""

import asyncio
import sys
import threading

import canthus
from canthus.live.feed import feed


async def read(live: canthus.LiveStream) -> None:
    last = None
    async for expression in live:
        if expression.steady != last:
            print(f"{expression.time_us / 1e6:.3f} s  {expression.steady}")
        last = expression.steady


async def main(bundle: str, recording: str) -> None:
    engine = canthus.load(bundle)
    stop = threading.Event()
    with canthus.open(recording) as camera, canthus.LiveStream(engine, camera.sensor) as live:
        reader = asyncio.create_task(read(live))
        try:
            await asyncio.to_thread(feed, camera, live, stop)
            await asyncio.to_thread(live.drain, 1.0)
        finally:
            stop.set()
            live.close()
        await reader


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
