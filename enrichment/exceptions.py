"""What enrichment refuses to do, in words for a person."""

from core.exceptions import DomainError


class NothingToEnrich(DomainError):
    """Every required channel is there."""

    default_message = "All required channels are already found."


class NobodyToAsk(DomainError):
    """No provider can be asked for what is missing."""

    default_message = "No connected provider can be asked for what is missing."


class LeadSuppressed(DomainError):
    """The person asked not to be contacted."""

    default_message = "This person is suppressed and is never looked up."


class PriceChanged(DomainError):
    """The most it can cost went up after the page was shown."""

    def __init__(self, worst_case: int) -> None:
        super().__init__(
            f"Prices changed: this can now cost up to {worst_case} credits. Check and start again."
        )
        self.worst_case = worst_case


class KeyReused(DomainError):
    """One form was sent for two different leads."""

    default_message = "This form was already used for another lead. Reload the page."


class WaterfallConflict(DomainError):
    """Somebody else saved this waterfall in the meantime."""

    default_message = "Somebody saved this waterfall in the meantime."


class ProviderRefused(DomainError):
    """The provider's answer to a test connection, in plain words."""

    default_message = "The provider refused the connection."
