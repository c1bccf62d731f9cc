"""Sessions at a steady rate: each sends, half-closes, waits for the answer and goes. Some are
reset by one of the two sides, so that there are endings of several kinds."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time

from lib.peers import parse_address

RESET = struct.pack("ii", 1, 0)  # SO_LINGER
ANSWER_WITHIN = 0.2


class Churn:
    """For the listener at `address`; `backend` is a Backend whose socket it takes over."""

    def __init__(self, address, backend, rate=200):
        self._name = parse_address(address)[1]
        self._backend = backend
        self._interval = 1 / rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._choice = random.Random(1)
        self.sessions = 0
        self.seconds = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stopping.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), "sessions did not end"

    @property
    def rate(self):
        return self.sessions / self.seconds

    async def _run(self):
        server = await asyncio.start_server(self._serve, sock=self._backend.sock.dup())
        begin = time.monotonic()
        clients = set()
        while not self._stopping.is_set():
            client = asyncio.create_task(self._play())
            clients.add(client)
            client.add_done_callback(clients.discard)
            self.sessions += 1
            due = begin + self.sessions * self._interval
            await asyncio.sleep(max(0, due - time.monotonic()))
        self.seconds = time.monotonic() - begin
        await asyncio.gather(*clients)
        server.close()
        await server.wait_closed()

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            data = await reader.read(-1)
            await asyncio.sleep(self._choice.random() * ANSWER_WITHIN)
            if self._choice.random() < 0.1:
                self._reset_at_close(writer)
            else:
                writer.write(data * 3)
                await writer.drain()
        await self._close(writer)

    async def _play(self):
        reader, writer = await asyncio.open_connection(*self._name)
        with contextlib.suppress(ConnectionError):
            writer.write(b"x" * 100)
            if self._choice.random() < 0.1:
                await asyncio.sleep(self._choice.random() * ANSWER_WITHIN)
                self._reset_at_close(writer)
            else:
                writer.write_eof()
                await reader.read(-1)
        await self._close(writer)

    @staticmethod
    def _reset_at_close(writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    @staticmethod
    async def _close(writer):
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
