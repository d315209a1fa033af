"""A stream of any length in little memory: its beginning and its end."""

from __future__ import annotations

from collections import deque


class Capture:
    """Keeps the first half of ``kept`` bytes from the beginning and the other half from the end."""

    def __init__(self, kept: int) -> None:
        self.total = 0
        self._head = bytearray()
        self._head_room = kept - kept // 2
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._tail_room = kept // 2

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes."""
        self.total += len(chunk)
        room = self._head_room - len(self._head)
        self._head += chunk[:room]
        if rest := chunk[room:]:
            self._tail.append(rest)
            self._tail_size += len(rest)
            while self._tail and self._tail_size - len(self._tail[0]) >= self._tail_room:
                self._tail_size -= len(self._tail.popleft())

    @property
    def left_out(self) -> int:
        """How many bytes are not kept."""
        return max(0, self.total - self._head_room - self._tail_room)

    @property
    def text(self) -> str:
        """What is kept, as text, with a line where bytes were left out."""
        head = bytes(self._head)
        tail = b"".join(self._tail)
        if not self.left_out:
            return (head + tail).decode(errors="replace")
        tail = tail[len(tail) - self._tail_room :]
        between = f"\n[... {self.left_out:,} bytes left out ...]\n"
        return head.decode(errors="replace") + between + tail.decode(errors="replace")
