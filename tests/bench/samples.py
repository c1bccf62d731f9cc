"""What a finback holds, second by second, and whether that is flat."""

import dataclasses
import http.client
import json
import os
import socket
import statistics

KEYS = ("rss_bytes", "descriptors", "pipes", "sessions")
WARM_UP = 10       # seconds, or a quarter of the samples where that is less
PARTS = 5          # the first and the last part are compared
# How much more the last part may have: a share of the first one, and so much.
SLACK = {"rss_bytes": (0.02, 512 << 10), "descriptors": (0.05, 128), "pipes": (0.05, 64),
         "sessions": (0.05, 64)}


class UnixConnection(http.client.HTTPConnection):
    """HTTP over finback's control socket."""

    def __init__(self, path):
        super().__init__("finback", timeout=30)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Sampler:
    """Looks at a running finback from outside; sessions are what it says itself."""

    def __init__(self, relay, control):
        self.relay = relay
        self.samples = []
        self._control = control

    def take(self, at):
        self.samples.append(self.look(at))

    def look(self, at):
        links = self._descriptors()
        return {"at": round(at, 1), "rss_bytes": self.relay.resident_bytes(),
                "descriptors": len(links),
                "pipes": sum(link.startswith("pipe:") for link in links) // 2,
                "sessions": self._sessions()}

    def _descriptors(self):
        directory = f"/proc/{self.relay.process.pid}/fd"
        links = []
        for name in os.listdir(directory):
            try:
                links.append(os.readlink(os.path.join(directory, name)))
            except FileNotFoundError:
                pass  # closed meanwhile
        return links

    def _sessions(self):
        connection = UnixConnection(self._control)
        try:
            connection.request("GET", "/api/v1/status")
            return json.loads(connection.getresponse().read())["sessions"]
        finally:
            connection.close()


@dataclasses.dataclass
class Summary:
    """Of one key over all samples."""

    key: str
    first: float
    last: float
    most: float
    end: float

    @property
    def is_flat(self):
        share, more = SLACK[self.key]
        return self.last <= self.first * (1 + share) + more


def summary(key, samples, after):
    values = [sample[key] for sample in samples]
    values = values[min(WARM_UP, len(values) // 4):]
    part = max(1, len(values) // PARTS)
    return Summary(key, statistics.median(values[:part]), statistics.median(values[-part:]),
                   max(values), after[key])
