"""One vendor of the sandbox: its paths, its keys, its way to say yes, no, and everything else."""

import hashlib
import math
import random
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from enrichment.sandbox.coverage import Record
from enrichment.sandbox.people import Search


def stable_id(text: str, digits: int) -> str:
    """Return the hexadecimal id a vendor has for something, the same in every process."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()[:digits]


@dataclass(frozen=True)
class Ask:
    """A request as the vendor sees it; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None


@dataclass(frozen=True)
class Said:
    """An answer: ``body`` goes out as JSON, or as plain text when it is a string."""

    status: int
    body: Any
    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Account:
    """What a vendor remembers of one key."""

    used: int = 0
    people: set[str] = field(default_factory=set)
    windows: dict[int, tuple[int, int]] = field(default_factory=lambda: defaultdict(lambda: (0, 0)))

    def over_limit(self, limits: Mapping[int, int]) -> int:
        """Count a request; return the seconds until the first full window ends, 0 while none is full."""
        now = time.time()
        for seconds, most in limits.items():
            window, count = self.windows[seconds]
            current = int(now // seconds)
            count = count + 1 if window == current else 1
            self.windows[seconds] = (current, count)
            if count > most:
                return max(1, math.ceil((current + 1) * seconds - now))
        return 0


class Vendor(ABC):
    """What the sandbox needs to know to stand in for a vendor."""

    slug: ClassVar[str]
    # What stands before the vendor's documented paths.
    prefix: ClassVar[str]
    find_path: ClassVar[tuple[str, str]]
    account_path: ClassVar[tuple[str, str]]
    median_ms: ClassVar[float]
    spread: ClassVar[float] = 0.35
    # {seconds of a window: calls allowed in it}
    limits: ClassVar[Mapping[int, int]] = {}
    credits: ClassVar[int] = 100_000

    def latency(self) -> float:
        """Return how long this call takes, in seconds: most are near the median, a few take much longer."""
        return random.lognormvariate(math.log(self.median_ms), self.spread) / 1000

    @abstractmethod
    def key(self, ask: Ask) -> str:
        """Return the key the request carries, "" for none."""

    @abstractmethod
    def search(self, ask: Ask) -> Search | None:
        """Return whom the request is about; None when the documented minimum is missing."""

    @abstractmethod
    def found(self, ask: Ask, record: Record, account: Account) -> Said:
        """Answer with what the record holds; also decides that it is a miss after all."""

    @abstractmethod
    def missed(self, ask: Ask) -> Said:
        """Answer that nobody was found."""

    @abstractmethod
    def account(self, ask: Ask, account: Account, *, empty: bool) -> Said:
        """Answer the account call."""

    @abstractmethod
    def error(self, status: int, message: str, *, kind: str) -> Said:
        """Answer with an error in the vendor's own form."""

    @abstractmethod
    def incomplete(self) -> Said:
        """Answer that the request lacks something."""

    @abstractmethod
    def key_rejected(self) -> Said:
        """Answer that the key is not known."""

    @abstractmethod
    def out_of_credit(self) -> Said:
        """Answer that the account is empty."""

    @abstractmethod
    def rate_limited(self, seconds: int = 0) -> Said:
        """Answer that there were too many calls; the window ends in ``seconds``."""

    def specials(self) -> dict[str, Said]:
        """Documented answers that only this vendor has, by fault name."""
        return {}
