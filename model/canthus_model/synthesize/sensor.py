"""The two outputs of a DAVIS346, modelled over one stream of linear luminance: frames and events."""

import dataclasses

import numpy as np

EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])  # t in microseconds


@dataclasses.dataclass(frozen=True)
class FrameCamera:
    """The intensity half of the sensor: global shutter, shot and read noise, 8 bits."""

    exposure: int = 8_000  # microseconds
    saturation: float = 6_000.0  # electrons that give 255
    white: float = 0.75  # luminance that saturates a pixel
    read_noise: float = 40.0  # electrons, standard deviation

    def expose(self, luminance: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The uint8 frame of mean `luminance` over the exposure, both (260, 346).

        Shot noise is taken as normal, which Poisson's is within a fraction of the read noise.
        """
        electrons = luminance * np.float32(self.saturation / self.white)
        noise = np.sqrt(electrons + np.float32(self.read_noise**2))
        electrons += noise * random.standard_normal(luminance.shape, np.float32)
        return np.clip(np.rint(electrons * (255 / self.saturation)), 0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class EventCamera:
    """How the event half of the sensor responds; thresholds are changes of the natural logarithm."""

    on_threshold: float = 0.20
    off_threshold: float = 0.20
    mismatch: float = 0.03  # standard deviation of each pixel's thresholds
    refractory: int = 500  # microseconds a pixel is blind after an event
    noise_rate: float = 0.15  # background events per pixel and second
    hot_pixels: int = 6
    hot_rate: float = 120.0  # ON events per hot pixel and second
    memory: float = 1.0  # how far, of its thresholds, a pixel may be from what it last reported when it is first seen
    dark_luminance: float = 0.002  # what a pixel adds to the light: its response flattens below


class EventPixels:
    """Every event pixel of a sensor: remembers the log luminance that it last reported.

    A pixel fires once for each threshold that its log luminance has moved away from the remembered
    level, at the moment of crossing, linearly interpolated inside a step (ESIM: Rebecq et al., "ESIM: an
    Open Event Camera Simulator", CoRL 2018). Threshold mismatch, refractory time, background noise and
    hot pixels are after v2e (Hu, Liu and Delbruck, arXiv 2006.07722). As in ESIM, a crossing during the
    refractory time is lost and still moves the remembered level. Not modelled: the photoreceptor's
    finite bandwidth and leak.
    """

    def __init__(self, camera: EventCamera, luminance: np.ndarray, random: np.random.Generator) -> None:
        """Pixels that have seen `luminance`, (height, width) float32, for a while.

        They reported some level within their thresholds of it: not all of them would report a small change, but
        of a large area as many do as the change is large.
        """
        self._camera, self._random = camera, random
        self.noise_rate = camera.noise_rate
        """Background events per pixel and second, from now on."""
        self._width, pixels = luminance.shape[1], luminance.size
        mismatch = random.normal(0, camera.mismatch, (2, pixels))
        thresholds = np.array([[camera.on_threshold], [camera.off_threshold]]) + mismatch
        self._on, self._off = np.maximum(thresholds, 0.05).astype(np.float32)
        self._level = self._logarithm(luminance)
        since = random.uniform(-camera.memory, camera.memory, pixels).astype(np.float32)
        self._reported = self._level - np.where(since > 0, since * self._on, since * self._off)
        self._last_event = np.full(pixels, np.iinfo(np.int64).min // 2)
        self._hot = random.choice(pixels, camera.hot_pixels, replace=False)

    def step(self, luminance: np.ndarray, start: int, end: int) -> np.ndarray:
        """EVENT array, sorted by time, of what happens from `start` to before `end` (microseconds).

        `luminance` is that at `end`; at `start` it was that of the step before.
        """
        level = self._logarithm(luminance)
        events = self._crossings(level, start, end)
        self._level = level
        events.append(self._noise(start, end))
        joined = np.concatenate(events)
        return joined[np.argsort(joined["t"], kind="stable")]

    def _logarithm(self, luminance: np.ndarray) -> np.ndarray:
        return np.log(luminance.ravel() + np.float32(self._camera.dark_luminance))

    def _crossings(self, level: np.ndarray, start: int, end: int) -> list[np.ndarray]:
        change = level - self._reported
        pixel = np.flatnonzero((change >= self._on) | (change <= -self._off))
        rises = change[pixel] > 0
        threshold = np.where(rises, self._on[pixel], -self._off[pixel])
        count = (change[pixel] / threshold).astype(np.int64)
        reported, before = self._reported[pixel], self._level[pixel]
        self._reported[pixel] += count * threshold
        events = []
        for number in range(1, int(count.max(initial=0)) + 1):
            more = count >= number
            pixel, rises, threshold, count = pixel[more], rises[more], threshold[more], count[more]
            reported, before = reported[more], before[more]
            moved = level[pixel] - before
            part = np.divide(reported + number * threshold - before, moved, out=np.ones_like(moved), where=moved != 0)
            time = start + (part * (end - start)).astype(np.int64)
            events.append(self._emit(pixel, np.clip(time, start, end - 1), rises))
        return events

    def _noise(self, start: int, end: int) -> np.ndarray:
        """Events that no light caused: at most one per pixel and step, and half of them ON."""
        camera, random, seconds = self._camera, self._random, (end - start) * 1e-6
        pixels = self._level.size
        count = random.poisson(self.noise_rate * pixels * seconds)
        background = random.integers(pixels, size=count)
        hot = self._hot[random.random(self._hot.size) < -np.expm1(-camera.hot_rate * seconds)]
        pixel, drawn = np.unique(np.concatenate([hot, background]), return_index=True)
        polarity = (random.random(pixel.size) < 0.5) | (drawn < hot.size)
        return self._emit(pixel, random.integers(start, end, pixel.size), polarity)

    def _emit(self, pixel: np.ndarray, time: np.ndarray, polarity: np.ndarray) -> np.ndarray:
        """Events of pixels that are past their refractory time; each pixel may be given once."""
        ready = time - self._last_event[pixel] >= self._camera.refractory
        pixel, time = pixel[ready], time[ready]
        self._last_event[pixel] = time
        events = np.empty(pixel.size, EVENT)
        events["t"], events["p"] = time, polarity[ready]
        events["y"], events["x"] = np.divmod(pixel, self._width)
        return events
