"""What passes between an executor and a worker process besides events: frames on a socket.

A frame is the length of its payload, four bytes in network order, then the payload: one pickled
message. Only a parent and the process it started itself speak this; nothing else can connect.
"""

import pickle
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweep.data import DataRef

_HEADER = struct.Struct("!I")
_LARGEST_BYTES = 1 << 28
_CHUNK_BYTES = 1 << 16
_TAIL_BYTES = 1 << 16
_TAIL_LINES = 100


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message to a worker: what it is.

    Attributes:
        worker: Its name.
        device: Label of its device.
        factory: `module:function` that makes the engine.
        engine: Name of the engine.
        data: What to train on.
        log: File that receives its standard output and error.
        heartbeat_seconds: Time between two heartbeats.
        parent: Process id of the executor's process.
        dies_with_parent: Whether the kernel shall kill the worker when the thread that started
            it ends; true only if that is the main thread.
    """

    worker: str
    device: str
    factory: str
    engine: str
    data: DataRef
    log: Path
    heartbeat_seconds: float
    parent: int
    dies_with_parent: bool


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life.

    Attributes:
        stalled_seconds: How long the worker has been at work without progress; 0 if it waits.
    """

    stalled_seconds: float


class DamagedFrameError(Exception):
    """Bytes came that are no frame; the stream cannot be read any further."""


def encode(message: object) -> bytes:
    """The frame of a message."""
    payload = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(payload)) + payload


class HangUpError(Exception):
    """The parent closed the connection or is gone."""


class Decoder:
    """Puts messages together from the pieces in which they arrive."""

    def __init__(self) -> None:
        """Start with nothing received."""
        self._buffer = bytearray()

    @property
    def is_empty(self) -> bool:
        """Whether no message has come in part."""
        return not self._buffer

    def feed(self, data: bytes) -> list[object]:
        """Take more bytes.

        Returns:
            The messages completed by them, in order.

        Raises:
            DamagedFrameError: The bytes are no frames.
        """
        self._buffer += data
        messages: list[object] = []
        while len(self._buffer) >= _HEADER.size:
            (size,) = _HEADER.unpack_from(self._buffer)
            if size > _LARGEST_BYTES:
                raise DamagedFrameError(f"a frame of {size} bytes")
            end = _HEADER.size + size
            if len(self._buffer) < end:
                break
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            try:
                messages.append(pickle.loads(payload))
            except Exception as error:
                raise DamagedFrameError(str(error)) from error
        return messages


class Channel:
    """A worker's end of the socket: blocking, and safe to send on from several threads."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connected socket."""
        self._connection = connection
        self._sending = threading.Lock()
        self._decoder = Decoder()
        self._received: deque[object] = deque()

    def fileno(self) -> int:
        """The socket's file descriptor, for polling."""
        return self._connection.fileno()

    def send(self, message: object) -> None:
        """Send one message.

        Raises:
            HangUpError: Nobody is there to receive it.
        """
        frame = encode(message)
        try:
            with self._sending:
                self._connection.sendall(frame)
        except ConnectionError as error:
            raise HangUpError from error

    def receive(self) -> object:
        """Wait for the next message.

        Raises:
            HangUpError: There will be none.
        """
        while not self._received:
            try:
                chunk = self._connection.recv(_CHUNK_BYTES)
            except ConnectionError as error:
                raise HangUpError from error
            if not chunk:
                raise HangUpError
            self._received.extend(self._decoder.feed(chunk))
        return self._received.popleft()

    @contextmanager
    def quiet(self) -> Iterator[bool]:
        """Let no thread send meanwhile; yields whether all that was received is taken out."""
        with self._sending:
            yield not self._received and self._decoder.is_empty


def tail(log: Path) -> str:
    """The last lines of a worker's log, at most 100; empty if there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-_TAIL_LINES:])
