"""The stand-in for CUDA fails what would fail, or be left to chance, on a GPU."""

import ctypes

import pytest

from played_gpu import Cuda, Error

SIZE = 4


@pytest.fixture
def cuda():
    cuda = Cuda()
    cuda.cudaSetDevice(0)
    return cuda


def streams(cuda):
    """Two, and an event for each."""
    return [[cuda.cudaStreamCreateWithFlags(1)[1], cuda.cudaEventCreateWithFlags(2)[1]] for _ in range(2)]


def memory(cuda):
    """Here, on the GPU, and here again."""
    return cuda.cudaHostAlloc(SIZE, 0)[1], cuda.cudaMalloc(SIZE)[1], cuda.cudaHostAlloc(SIZE, 0)[1]


def through_the_gpu(cuda, places, there, back):
    """To the GPU on one stream, and back on another."""
    here, on_gpu, again = places
    assert cuda.cudaMemcpyAsync(on_gpu, here, SIZE, "there", there) == (Error.cudaSuccess,)
    yield
    assert cuda.cudaMemcpyAsync(again, on_gpu, SIZE, "here", back) == (Error.cudaSuccess,)


def wait(cuda, waits, on, event):
    cuda.cudaEventRecord(event, on)
    return cuda.cudaStreamWaitEvent(waits, event, 0)[0]


def test_what_is_read_was_waited_for(cuda):
    (a, of_a), (b, _) = streams(cuda)
    places = memory(cuda)
    steps = through_the_gpu(cuda, places, a, b)
    next(steps)
    with pytest.raises(AssertionError, match="copy here reads what may not be written yet"):
        next(steps, None)
    steps = through_the_gpu(cuda, places, a, b)
    next(steps)
    assert wait(cuda, b, a, of_a) is Error.cudaSuccess
    assert next(steps, None) is None


def test_what_is_overwritten_was_read_before(cuda):
    (a, of_a), (b, _) = streams(cuda)
    places = memory(cuda)
    steps = through_the_gpu(cuda, places, a, b)
    next(steps)
    wait(cuda, b, a, of_a)
    next(steps, None)
    with pytest.raises(AssertionError, match="copy there writes what may be read after it"):
        next(through_the_gpu(cuda, places, a, b))


def test_work_is_done_when_it_is_waited_for(cuda):
    (a, _), (b, _) = streams(cuda)
    here, on_gpu, again = memory(cuda)
    ctypes.memset(here, 7, SIZE)
    for _ in through_the_gpu(cuda, (here, on_gpu, again), a, a):
        cuda.cudaStreamSynchronize(b)
        assert ctypes.string_at(on_gpu, SIZE) == bytes(SIZE)
    assert ctypes.string_at(again, SIZE) == bytes(SIZE)
    cuda.cudaStreamSynchronize(a)
    assert ctypes.string_at(again, SIZE) == SIZE * b"\7"


def test_memory_is_left_alone_until_it_is_copied(cuda):
    (a, _), _ = streams(cuda)
    places = memory(cuda)
    next(through_the_gpu(cuda, places, a, a))
    ctypes.memset(places[0], 7, SIZE)
    with pytest.raises(AssertionError, match="changed while it may be copied"):
        cuda.cudaStreamSynchronize(a)
    with pytest.raises(AssertionError, match="freed while it is used"):
        next(through_the_gpu(cuda, places, a, a))
        cuda.cudaFree(places[1])


def captured(cuda, *, forks, waits_between, joins):
    """What ends a capture of two streams, of which one copies to the GPU and the other back."""
    (a, of_a), (b, of_b) = streams(cuda)
    steps = through_the_gpu(cuda, memory(cuda), a, b)
    cuda.cudaStreamBeginCapture(a, "this thread")
    if forks:
        assert wait(cuda, b, a, of_a) is Error.cudaSuccess and cuda.is_capturing(b)
    next(steps)
    if waits_between:
        wait(cuda, b, a, of_a)
    next(steps, None)
    if joins:
        assert wait(cuda, a, b, of_b) is Error.cudaSuccess
    ended = cuda.cudaStreamEndCapture(a)
    assert not cuda.is_capturing(a) and not cuda.is_capturing(b)
    return ended, a


def test_a_fork_is_joined_before_its_capture_ends(cuda):
    ended, _ = captured(cuda, forks=True, waits_between=True, joins=False)
    assert ended == (Error.cudaErrorStreamCaptureUnjoined, None)
    (error, graph), stream = captured(cuda, forks=True, waits_between=True, joins=True)
    assert error is Error.cudaSuccess
    for _ in range(2):
        cuda.cudaGraphLaunch(cuda.cudaGraphInstantiate(graph, 0)[1], stream)


def test_a_graphs_streams_wait_for_each_other_too(cuda):
    (_, graph), stream = captured(cuda, forks=True, waits_between=False, joins=True)
    with pytest.raises(AssertionError, match="copy here reads what may not be written yet"):
        cuda.cudaGraphLaunch(cuda.cudaGraphInstantiate(graph, 0)[1], stream)


def test_a_capture_waits_for_nothing_outside_it(cuda):
    (a, _), (b, of_b) = streams(cuda)
    cuda.cudaStreamBeginCapture(a, "this thread")
    assert wait(cuda, a, b, of_b) is Error.cudaErrorStreamCaptureIsolation
    assert cuda.cudaStreamEndCapture(a) == (Error.cudaErrorStreamCaptureInvalidated, None)


def test_nothing_outside_waits_for_what_was_captured(cuda):
    (a, of_a), (b, _) = streams(cuda)
    cuda.cudaStreamBeginCapture(a, "this thread")
    cuda.cudaEventRecord(of_a, a)
    cuda.cudaStreamEndCapture(a)
    assert cuda.cudaStreamWaitEvent(b, of_a, 0) == (Error.cudaErrorCapturedEvent,)
