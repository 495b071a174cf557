"""What can be refused about members and their roles, in words for a person."""

from core.exceptions import DomainError


class MemberError(DomainError):
    """A change to a workspace's members that cannot be made; nothing was changed."""
