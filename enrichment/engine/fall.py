"""One lead falling through its waterfalls: the pure rules of who is asked next and what an answer means."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Verdict(Protocol):
    """What judging one candidate said."""

    usable: bool
    normalized: str
    reason_code: str
    message: str


class Candidate(Protocol):
    """One value a vendor offers for a channel."""

    channel: str


Judge = Callable[[Candidate], Verdict]


@dataclass(frozen=True)
class Step:
    """One provider's turn in a channel's order; ``skip`` says why it is not asked, "" when it is."""

    provider: int
    name: str
    skip: str = ""
    skip_code: str = ""


class Result(StrEnum):
    """What one provider meant for one channel; the values are ``Lookup.Result``'s."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    UNUSABLE = "unusable"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One provider's result for one channel; ``depth`` counts the providers asked before it."""

    channel: str
    provider: int
    depth: int
    result: Result
    reason: str = ""
    message: str = ""
    verdict: Any = None


@dataclass
class _Channel:
    steps: list[Step]
    at: int = 0
    asked: int = 0
    errors: int = 0
    found: bool = False

    @property
    def pending(self) -> bool:
        return not self.found and self.at < len(self.steps)


@dataclass
class _Provider:
    """Where a provider stands for this lead: fresh, being asked, waiting until a time, answered or failed."""

    asking: bool = False
    retry_at: float | None = None
    candidates: Sequence[Candidate] | None = None
    failure: tuple[str, str] | None = None

    @property
    def ended(self) -> bool:
        return self.candidates is not None or self.failure is not None


@dataclass
class Fall:
    """All missing channels of one lead, falling at the same time.

    A provider is asked once for the lead, for every channel that may still reach it; an answer for a
    channel that is not there yet is kept until its turn. Nothing here knows a database or a clock:
    times are the caller's numbers.
    """

    channels: dict[str, _Channel]
    judge: Judge
    _providers: dict[int, _Provider] = field(default_factory=dict)

    @classmethod
    def start(cls, orders: dict[str, Sequence[Step]], judge: Judge) -> "Fall":
        """Start with each channel's remaining order, top first."""
        return cls({channel: _Channel(list(steps)) for channel, steps in orders.items()}, judge)

    def resume(self, channel: str, *, asked: int, errors: int) -> None:
        """Tell how many providers an earlier owner already asked for ``channel``, and how many failed."""
        self.channels[channel].asked, self.channels[channel].errors = asked, errors

    @property
    def done(self) -> bool:
        """No channel is waiting for anybody."""
        return not any(channel.pending for channel in self.channels.values())

    def wanted(self, provider: int) -> list[str]:
        """The channels one call to ``provider`` should serve: all that stand at it or may still reach it."""
        return [
            name
            for name, channel in self.channels.items()
            if channel.pending
            and any(step.provider == provider and not step.skip for step in channel.steps[channel.at :])
        ]

    def due(self, now: float) -> list[int]:
        """Providers that some channel stands at and that may be asked now, each once."""
        ready: list[int] = []
        for provider in self._standing_at():
            state = self._state(provider)
            if not (state.asking or state.ended) and (state.retry_at is None or state.retry_at <= now):
                ready.append(provider)
        return ready

    def next_retry(self) -> float | None:
        """The earliest time a waiting provider may be asked; None while a call is under way or nobody waits."""
        states = [self._state(provider) for provider in self._standing_at()]
        if any(state.asking for state in states):
            return None
        return min((s.retry_at for s in states if s.retry_at is not None and not s.ended), default=None)

    def asking(self, provider: int) -> None:
        """A call to ``provider`` is under way."""
        self._state(provider).asking, self._state(provider).retry_at = True, None

    def wait(self, provider: int, until: float) -> None:
        """``provider`` is asked (again) at ``until``, and holds up the channels that stand at it."""
        self._state(provider).asking, self._state(provider).retry_at = False, until

    def answered(self, provider: int, candidates: Iterable[Candidate]) -> list[Finding]:
        """Take in an answer; returns what it settled, at this step and at any later one already answered."""
        state = self._state(provider)
        state.asking, state.candidates = False, tuple(candidates)
        return self.advance()

    def failed(self, provider: int, code: str, message: str) -> list[Finding]:
        """``provider`` could not answer for this lead, finally; the fall goes on below it."""
        state = self._state(provider)
        state.asking, state.failure = False, (code, message)
        return self.advance()

    def advance(self) -> list[Finding]:
        """Let every channel fall as far as the known answers carry it."""
        findings: list[Finding] = []
        for name, channel in self.channels.items():
            while channel.pending:
                finding = self._finding(name, channel)
                if finding is None:
                    break
                channel.at += 1
                channel.found = finding.result is Result.FOUND
                channel.asked += finding.result is not Result.SKIPPED
                channel.errors += finding.result is Result.ERROR
                findings.append(finding)
        return findings

    def outcome(self, channel: str) -> str:
        """ "found", "not_found", or "failed" when everybody asked failed; "pending" while it falls."""
        state = self.channels[channel]
        if state.pending:
            return "pending"
        if state.found:
            return "found"
        return "failed" if state.errors and state.errors == state.asked else "not_found"

    def _finding(self, name: str, channel: _Channel) -> Finding | None:
        step = channel.steps[channel.at]
        if step.skip:
            return Finding(name, step.provider, channel.asked, Result.SKIPPED, step.skip_code, step.skip)
        state = self._state(step.provider)
        if state.failure is not None:
            code, message = state.failure
            return Finding(name, step.provider, channel.asked, Result.ERROR, code, message)
        if state.candidates is None:
            return None
        return self._judged(name, step.provider, channel.asked, state.candidates)

    def _judged(self, name: str, provider: int, depth: int, candidates: Sequence[Candidate]) -> Finding:
        verdicts = [self.judge(candidate) for candidate in candidates if candidate.channel == name]
        if not verdicts:
            return Finding(name, provider, depth, Result.NOT_FOUND)
        for verdict in verdicts:
            if verdict.usable:
                return Finding(name, provider, depth, Result.FOUND, verdict=verdict)
        worst = verdicts[0]
        return Finding(name, provider, depth, Result.UNUSABLE, worst.reason_code, worst.message, worst)

    def _standing_at(self) -> list[int]:
        current = (c.steps[c.at] for c in self.channels.values() if c.pending)
        return list(dict.fromkeys(step.provider for step in current if not step.skip))

    def _state(self, provider: int) -> _Provider:
        return self._providers.setdefault(provider, _Provider())
