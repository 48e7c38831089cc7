"""One connection between two workers: whole messages both ways, and a sign of life a second.

A message is one byte for its kind, eight for its length, and its content. A sign of life is the
byte BEAT alone. Whatever arrives counts as a sign of life too.
"""

import socket
import struct
import threading

BEAT = b"."
EVERY_S = 1.0  # a beat
SILENCE_S = 20  # without a sign of life: the worker is frozen, or the network is cut
HEAD = struct.Struct(">Q")
MOST_BYTES = 1 << 34  # of a message between workers that have met: a state of 16 GiB
PIECE = 1 << 20


class Gone(Exception):
    """The other side closed the connection, froze, or sent what is no message."""


class Link:
    def __init__(self, connection: socket.socket):
        self._socket = connection
        self._sending = threading.Lock()
        connection.settimeout(EVERY_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, kind: bytes, content: bytes = b"") -> None:
        """Returns too where the other side is gone: `receive` says so."""
        with self._sending:
            for part in (kind + HEAD.pack(len(content)), content):
                self._send(memoryview(part))

    def _send(self, left: memoryview) -> None:
        while left:
            try:
                left = left[self._socket.send(left[:PIECE]) :]
            except TimeoutError:
                continue
            except OSError:
                return

    def beat(self) -> None:
        """A sign of life, unless a message is on its way, which is one."""
        if self._sending.acquire(blocking=False):
            try:
                self._socket.send(BEAT)
            except OSError:
                pass  # `receive` finds out why
            finally:
                self._sending.release()

    def receive(
        self, most_bytes: int = MOST_BYTES, silence_s: int | None = None
    ) -> tuple[bytes, bytes]:
        """The next message: (kind, content). silence_s: SILENCE_S by default. Raises Gone."""
        silence_s = silence_s or SILENCE_S
        while (kind := self._read(1, silence_s)) == BEAT:
            pass
        (length,) = HEAD.unpack(self._read(HEAD.size, silence_s))
        if length > most_bytes:
            raise Gone("sent what is no message of this program")
        return bytes(kind), self._read(length, silence_s)

    def _read(self, length: int, silence_s: int) -> bytes:
        found, silent = bytearray(), 0
        while len(found) < length:
            try:
                part = self._socket.recv(min(length - len(found), PIECE))
            except TimeoutError:  # a second in which this process ran: it counts none while frozen
                silent += 1
                if silent * EVERY_S >= silence_s:
                    raise Gone(f"gave no sign of life for {silence_s} s") from None
                continue
            except OSError:
                part = b""
            if not part:
                raise Gone("ended without a word")
            found += part
            silent = 0
        return bytes(found)

    def close(self) -> None:
        self._socket.close()
