"""JAX: several processes that train together, and what they tell each other.

Only `engine.distribution` uses this, and only on JAX.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

CHUNK_BYTES = 64 * 2**20  # of a broadcast: bounds the memory on the devices
SMALLEST_MESSAGE = 256  # bytes; messages are padded to powers of two, so that few are compiled
CONNECTING = 120  # seconds for all processes to arrive
HEARTBEAT = 25  # seconds without a sign of life until a process counts as dead: busy nodes are slow
LEAVING = 30  # seconds a process that is done waits for the others


def join(address: str, count: int, index: int, one_device_each: bool = False) -> None:
    """Connect this process with the others; before anything is computed.

    Args:
        address: `host:port` where process 0 listens.
        count: Number of processes.
        index: Number of this process, from 0.
        one_device_each: Whether the processes of a node share its devices, one for each.

    Raises:
        RuntimeError: The others did not come, or the port is taken.
    """
    # JAX's own catcher of SIGTERM would swallow the signal.
    jax.config.update("jax_enable_preemption_service", False)
    host = address.rpartition(":")[0]
    local = host == "localhost" or host.startswith("127.")
    jax.distributed.initialize(
        address,
        count,
        index,
        local_device_ids=int(os.environ["SLURM_LOCALID"]) if one_device_each else None,
        cluster_detection_method="deactivate",
        initialization_timeout=CONNECTING,
        heartbeat_timeout_seconds=HEARTBEAT,
        shutdown_timeout_seconds=LEAVING,
        # The coordinator asks nobody for a password: on one machine it stays on it.
        coordinator_bind_address=address if local else None,
    )
    with _stdout_to_stderr():  # the first exchange prints how it connects
        gather(b"")


def device_names() -> list[str]:
    """The devices of all processes, in the order of the processes."""
    devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    return [f"{device.platform}:{device.id}" for device in devices]


def local_device_count() -> int:
    """Devices of this process."""
    return jax.local_device_count()


def gather(message: bytes) -> list[bytes]:
    """The message of every process, in their order. Every process has to call it."""
    lengths = multihost_utils.process_allgather(np.int32(len(message)))
    size = SMALLEST_MESSAGE
    while size < lengths.max():
        size *= 2
    padded = np.zeros(size, np.uint8)
    padded[: len(message)] = np.frombuffer(message, np.uint8)
    rows = multihost_utils.process_allgather(padded)
    return [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]


def broadcast(data: bytes) -> bytes:
    """What the first process gives, in every process. Every process has to call it."""
    size = int(gather(str(len(data)).encode())[0])
    given = np.frombuffer(data, np.uint8) if jax.process_index() == 0 else None
    received = np.empty(size, np.uint8)
    for start in range(0, size, CHUNK_BYTES):
        chunk = slice(start, min(start + CHUNK_BYTES, size))
        sent = np.zeros(chunk.stop - start, np.uint8) if given is None else given[chunk]
        received[chunk] = multihost_utils.broadcast_one_to_all(sent)
    return received.tobytes()


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Send what C++ code prints to stderr."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
