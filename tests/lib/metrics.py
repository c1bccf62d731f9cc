"""Prometheus's text format 0.0.4, read strictly: whatever a scraper might stumble over fails."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HEAD = re.compile(rf"# (HELP|TYPE) ({NAME}) (.*)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL.pattern}(?:,{LABEL.pattern})*)\}})? (\S+)")
TYPES = ("counter", "gauge", "histogram")
PARTS = ("_bucket", "_sum", "_count")
STATES = ("connecting", "open", "half_closed_client", "half_closed_server", "closing")
ENDINGS = (
    "complete", "client_reset", "server_reset", "client_dead", "server_dead", "idle_timeout",
    "half_closed_timeout", "first_byte_timeout", "stall_timeout", "session_timeout",
    "connect_timeout", "connect_refused", "connect_failed", "no_server", "undelivered", "denied",
    "limited", "bad_proxy_header", "evicted", "killed", "drained", "fault",
)


def unescape(value):
    return re.sub(r'\\(["\\n])', lambda match: "\n" if match[1] == "n" else match[1], value)


class Metrics:
    """One answer of /metrics: `types` and `helps` by family, `samples` by name and labels."""

    def __init__(self, text):
        self.types, self.helps, self.samples = {}, {}, {}
        self._family = None
        assert text.endswith("\n")
        for line in text.split("\n")[:-1]:
            if line.startswith("#"):
                self._read_head(line)
            else:
                self._read_sample(line)
        assert self.types.keys() == self.helps.keys()
        for name in (name for name, kind in self.types.items() if kind == "histogram"):
            self._check_histogram(name)

    @classmethod
    def of(cls, control):
        """What a client of the control interface gets."""
        answer = control.get("/metrics")
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return cls(answer.text)

    def _read_head(self, line):
        match = HEAD.fullmatch(line)
        assert match, line
        kind, name, words = match.groups()
        known = self.helps if kind == "HELP" else self.types
        assert name not in known, f"{line}: a second one"
        if kind == "TYPE":
            assert self._family == name, f"{line}: not behind its help"
            assert words in TYPES, line
        known[name] = words
        self._family = name

    def _read_sample(self, line):
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, number = match[1], match.groups()[-1]
        family = self._family
        names = [family + part for part in PARTS] if self.types[family] == "histogram" else [family]
        assert name in names, f"{line}: not of its family {family}"
        pairs = LABEL.findall(match[2] or "")
        labels = {key: unescape(value) for key, value in pairs}
        assert len(labels) == len(pairs), f"{line}: a label twice"
        samples = self.samples.setdefault(name, {})
        key = frozenset(labels.items())
        assert key not in samples, f"{line}: a second one"
        samples[key] = int(number) if number.isdecimal() else float(number)
        assert samples[key] >= 0, line

    def _check_histogram(self, name):
        """Cumulative, in the order of the bounds, and +Inf is the count."""
        series = {}
        for key, value in self.samples[name + "_bucket"].items():
            labels = dict(key)
            bound = float(labels.pop("le"))
            series.setdefault(frozenset(labels.items()), []).append((bound, value))
        for labels, buckets in series.items():
            bounds, counts = zip(*buckets)
            assert list(bounds) == sorted(set(bounds)), name
            assert list(counts) == sorted(counts), name
            assert bounds[-1] == float("inf"), name
            assert self.samples[name + "_count"][labels] == counts[-1], name
            assert labels in self.samples[name + "_sum"], name
        assert series.keys() == self.samples[name + "_count"].keys()

    def value(self, name, **labels):
        """The one sample with exactly these labels."""
        return self.samples[name][frozenset(labels.items())]

    def total(self, name, **labels):
        """The sum of all samples with these labels, and perhaps more."""
        return sum(value for key, value in self.samples[name].items() if labels.items() <= key)

    def values_of(self, name, label):
        """All values that a label has, in the order of the text."""
        return list(dict.fromkeys(dict(key)[label] for key in self.samples[name]))

    def balance(self, listener):
        """accepted, and active + sum of endings: the same, always."""
        return (self.value("finback_sessions_accepted_total", listener=listener),
                self.total("finback_sessions_active", listener=listener) +
                self.total("finback_sessions_ended_total", listener=listener))

    def counters(self):
        """Everything that must never fall, by (name, labels)."""
        found = {}
        for family, kind in self.types.items():
            names = {"counter": [family], "histogram": [family + part for part in PARTS],
                     "gauge": []}[kind]
            for name in names:
                found.update(((name, key), value) for key, value in self.samples[name].items())
        return found

    def assert_not_before(self, earlier, may_go=()):
        """No counter is less than it was, and none has gone but those of the names `may_go`."""
        now = self.counters()
        for key, value in earlier.counters().items():
            assert key in now or key[0] in may_go, f"{key} has gone"
            assert now.get(key, value) >= value, f"{key} fell from {value} to {now[key]}"
