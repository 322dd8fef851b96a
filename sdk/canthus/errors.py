"""Every error that canthus raises on purpose; each message names the thing and the remedy."""


class Error(Exception):
    """Base of all canthus errors; catch this one to catch them all."""


class BundleError(Error):
    """A bundle is damaged, was made by a newer canthus, or is not a bundle."""


class CheckpointError(Error):
    """A checkpoint can't be read safely, or doesn't hold an MCO-E Net."""


class EngineError(Error):
    """No runtime here can run the bundle, or it was called with the wrong images."""


class EventError(Error):
    """Events are out of order, outside the sensor or of the wrong type."""


class FrameError(Error):
    """A frame has the wrong size or type, or an earlier time than the one before."""


class ViewError(Error):
    """How a camera is mounted was told in a way that makes no sense, or in a file that can't be read or written."""


class LiveError(Error):
    """A live stream can't be set up as asked."""


class MonitorError(Error):
    """The page of `canthus monitor` can't be served as asked."""


class ExportError(Error):
    """A network could not be exported, or what was exported doesn't compute the same."""


class SourceError(Error):
    """A recording or sequence folder can't be read."""


class RecordingError(Error):
    """A recording or its preview can't be written as asked."""


class DataSetError(Error):
    """A data set, or published results on one, is missing, incomplete, damaged or of another layout."""


class TrainingError(Error):
    """Training can't start or go on as asked."""


class EvaluationError(Error):
    """A model can't be evaluated as asked, or its results can't be written."""


class BenchError(Error):
    """A measurement can't be made, compared or written as asked."""


class CalibrationError(Error):
    """INT8 can't be calibrated on what was given."""
