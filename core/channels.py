"""The four contact channels and the small bit masks that sets of them are stored as."""

from collections.abc import Iterable

from django.db import models


class Channel(models.TextChoices):
    """A way to reach a lead. The order here is the order of every list of channels."""

    WORK_EMAIL = "work_email", "Work email"
    PERSONAL_EMAIL = "personal_email", "Personal email"
    PHONE = "phone", "Phone"
    LINKEDIN_URL = "linkedin_url", "LinkedIn URL"

    @property
    def bit(self) -> int:
        """The channel's bit in a mask: 1, 2, 4 or 8."""
        return _BITS[self.value]


_BITS = {channel.value: 1 << index for index, channel in enumerate(Channel)}
ALL_CHANNELS = sum(_BITS.values())


def mask_of(channels: Iterable[str]) -> int:
    """Return the mask of the named channels; an unknown name is a ValueError."""
    mask = 0
    for channel in channels:
        mask |= Channel(channel).bit
    return mask


def channels_in(mask: int) -> list[Channel]:
    """Return the channels whose bits are set in ``mask``, in display order."""
    return [channel for channel in Channel if mask & channel.bit]
