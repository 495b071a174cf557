"""The base of every error whose message is meant for a person."""


class DomainError(Exception):
    """A rule of the product said no; ``str(error)`` is a sentence a rep understands."""

    default_message = "That did not work."

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.default_message)

    @property
    def message(self) -> str:
        """The sentence to show."""
        return str(self)
