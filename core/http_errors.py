"""The ways an outbound call can fail, in words that hold no key, header or query string."""

from core.exceptions import DomainError


class HttpError(DomainError):
    """The call did not end in a whole answer; ``str(error)`` is fit for a person and holds no secret."""


class BadUrl(HttpError):
    """The address cannot be used for a call."""

    default_message = "This is not a usable web address."


class BadHeader(HttpError):
    """A header, most likely a pasted key, holds characters that cannot be sent."""

    default_message = "The key holds characters that cannot be sent."


class AddressRefused(HttpError):
    """The address leads into a private network."""

    default_message = "This address leads to a private or reserved network and is not called."


class Unreachable(HttpError):
    """No connection was made, so nothing was asked."""

    default_message = "The server could not be reached."


class NoAnswer(HttpError):
    """A connection was made but no whole answer came back in time; it may have been asked."""

    default_message = "The server gave no whole answer in time."


class Redirected(HttpError):
    """The server pointed somewhere else; that is never followed."""

    default_message = "The server redirected the call elsewhere."


class UnsafeConnection(HttpError):
    """TLS could not be set up or the certificate is not trusted."""

    default_message = "A safe connection could not be made: the certificate is not trusted."


class TooLarge(HttpError):
    """The answer is larger than is read, or encoded in a way that is not read."""

    default_message = "The answer is too large."


class BadBody(HttpError):
    """The answer is not the JSON (or not the HTTP) that was expected."""

    default_message = "The answer is not valid JSON."
