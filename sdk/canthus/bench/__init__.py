"""How fast and how steadily a live stream answers on this device.

from canthus.bench import Settings, measure

result = measure("eye.canthus", Settings(frames_per_second=30, seconds=60))
"""

from canthus.bench.measure import measure
from canthus.bench.result import Result
from canthus.bench.settings import Settings

__all__ = ["Result", "Settings", "measure"]
