"""A process whose standard error is a pseudo-terminal, and what that terminal shows."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading

import pyte


class Terminal:
    def __init__(self, command, columns, lines, **options):
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self._master, slave = pty.openpty()
        self._resize_tty(columns, lines)
        environment = {**os.environ, "TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=slave,
            env=environment,
            text=True,
            **options,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the process closed its end
                return
            with self._lock:
                self._stream.feed(data)

    def _resize_tty(self, columns, lines):
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def resize(self, columns, lines):
        with self._lock:
            self._resize_tty(columns, lines)
            self.screen.resize(lines, columns)

    def lines(self):
        """What is on the screen, without empty lines at the end."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    def wait(self, timeout_seconds=60):
        """Wait for the process; its standard output."""
        out, _ = self.process.communicate(timeout=timeout_seconds)
        self._reader.join(timeout_seconds)
        os.close(self._master)
        return out
