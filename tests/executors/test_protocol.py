import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.executors.protocol import (
    Channel,
    DamagedFrameError,
    Decoder,
    HangUpError,
    encode,
    tail,
)


@given(st.lists(st.binary(max_size=300)), st.integers(1, 50))
def test_messages_are_put_together_from_pieces_of_any_size(
    messages: list[bytes], size: int
) -> None:
    stream = b"".join(encode(message) for message in messages)
    decoder = Decoder()
    pieces = [stream[first : first + size] for first in range(0, len(stream), size)]
    assert [message for piece in pieces for message in decoder.feed(piece)] == messages


def test_half_a_message_is_no_message() -> None:
    frame = encode("all or nothing")
    decoder = Decoder()
    assert decoder.feed(frame[:-1]) == []
    assert decoder.feed(frame[-1:]) == ["all or nothing"]


@pytest.mark.parametrize(
    "damage",
    [b"a line of text\n", b"\0\0\0\3abc", b"\0\0\0\0"],
    ids=["text", "no pickle", "empty"],
)
def test_bytes_that_are_no_frame_are_refused(damage: bytes) -> None:
    with pytest.raises(DamagedFrameError):
        Decoder().feed(damage)


def test_frames_of_two_threads_do_not_mix() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender, receiver = Channel(theirs), Channel(ours)
        threads = [
            threading.Thread(
                target=lambda word=word: [sender.send(word * 9_999) for _ in range(20)]
            )
            for word in ("a", "b")
        ]
        for thread in threads:
            thread.start()
        words = [receiver.receive() for _ in range(40)]
        for thread in threads:
            thread.join()
    assert sorted(str(word)[0] for word in words) == ["a"] * 20 + ["b"] * 20
    assert {len(set(str(word))) for word in words} == {1}


def test_a_channel_tells_that_the_other_end_hung_up() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(theirs)
        ours.sendall(encode("last words"))
        ours.close()
        assert channel.receive() == "last words"
        with pytest.raises(HangUpError):
            channel.receive()
        with pytest.raises(HangUpError):
            channel.send("anybody there?")


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    assert tail(log) == ""
    log.write_bytes(b"\xff broken bytes\rand a progress bar\n")
    assert tail(log) == "\ufffd broken bytes\nand a progress bar"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert tail(log).splitlines() == [f"line {number}" for number in range(99_900, 100_000)]
