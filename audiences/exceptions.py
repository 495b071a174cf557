"""What can be refused about an audience, in words for a person."""

from core.exceptions import DomainError


class AudienceError(DomainError):
    """A change to an audience that cannot be made; nothing was changed."""
