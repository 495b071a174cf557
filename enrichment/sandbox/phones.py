"""Phone numbers that ring at nobody: from ranges kept free for fiction, or else formally valid samples."""

from collections.abc import Callable

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

# North America: 555-0100 to 555-0199 of every area code is kept for fiction.
_AREA_CODES = (
    202,
    206,
    212,
    213,
    214,
    215,
    303,
    305,
    312,
    313,
    404,
    415,
    503,
    512,
    602,
    612,
    617,
    702,
    704,
    713,
)
_US_NUMBERS = len(_AREA_CODES) * 100


def _us(index: int) -> str:
    area, line = divmod(index % _US_NUMBERS, 100)
    return f"+1{_AREA_CODES[area]}55501{line:02d}"


def _from(start: int, count: int) -> Callable[[int], str]:
    return lambda index: f"+{start + index % count}"


# Ranges that the countries' regulators keep for fiction and that number databases call valid. Those of the
# UK (07700 900) and France (06 39 98) for mobiles are not valid by form; these two get samples, like the rest.
_MOBILES: dict[str, Callable[[int], str]] = {
    "US": _us,
    "DE": _from(4917604069000, 100),
    "SE": _from(46701740605, 95),
}
_LANDLINES: dict[str, Callable[[int], str]] = {
    "GB": _from(442079460000, 1000),
    "DE": _from(493023125000, 1000),
    "FR": _from(33199000000, 10_000),
}


def mobile_number(region: str, index: int) -> str:
    """Return a valid mobile number of an ISO country in E.164, the same for the same index."""
    return _number(region, index, _MOBILES, PhoneNumberType.MOBILE)


def landline_number(region: str, index: int) -> str:
    """Return a valid landline of an ISO country, "" where the number does not tell the kind (North America)."""
    return "" if region == "US" else _number(region, index, _LANDLINES, PhoneNumberType.FIXED_LINE)


def _number(region: str, index: int, reserved: dict[str, Callable[[int], str]], kind: int) -> str:
    for step in range(1000):
        e164 = reserved[region](index + step) if region in reserved else _sample(region, index + step, kind)
        if phonenumbers.is_valid_number(phonenumbers.parse(e164)):
            return e164
    raise ValueError(f"no valid number in {region}")


def _sample(region: str, index: int, kind: int) -> str:
    """The documentation's example number of a country, with its last three digits varied."""
    example = phonenumbers.example_number_for_type(region, kind)
    return f"{phonenumbers.format_number(example, PhoneNumberFormat.E164)[:-3]}{index % 1000:03d}"
