"""Which vendor knows what of whom: different by region and company size, and not always right."""

from dataclasses import dataclass, replace

from enrichment.sandbox.people import Chance, Person

# In no vendor's data at all.
HIDDEN = 0.09
# A channel that is nowhere to be found, whoever looks.
_NOWHERE = {"work_email": 0.05, "personal_email": 0.30, "phone": 0.26, "linkedin_url": 0.06}

# How likely a vendor knows a person, by region and then by company size.
_REACH = {
    "hunter": {"US": 0.60, "GB": 0.60, "EU": 0.62, "else": 0.45},
    "apollo": {"US": 0.76, "GB": 0.66, "EU": 0.48, "else": 0.48},
    "peopledatalabs": {"US": 0.74, "GB": 0.60, "EU": 0.50, "else": 0.52},
    "prospeo": {"US": 0.58, "GB": 0.64, "EU": 0.66, "else": 0.42},
}
_SIZE = {
    "hunter": {"small": 0.75, "medium": 1.10, "large": 1.05},
    "apollo": {"small": 0.85, "medium": 1.10, "large": 1.00},
    "peopledatalabs": {"small": 0.85, "medium": 0.95, "large": 1.15},
    "prospeo": {"small": 1.05, "medium": 1.10, "large": 0.90},
}
# How likely a person the vendor knows has the channel there.
_FILLED = {
    "hunter": {"work_email": 1.00},
    "apollo": {"work_email": 0.84, "personal_email": 0.55, "linkedin_url": 0.94},
    "peopledatalabs": {"work_email": 0.60, "personal_email": 0.78, "phone": 0.66, "linkedin_url": 0.94},
    "prospeo": {"work_email": 0.84, "phone": 0.58, "linkedin_url": 0.96},
}
# What goes wrong with a value that is there; catch-all is the company's mail server, the same for every vendor.
_CATCH_ALL = 0.13
_WRONG_PERSON = 0.03
_ROLE_ADDRESS = 0.03
_INVALID = 0.05
_LANDLINE = 0.18
_ROLES = ("info", "sales", "contact", "office", "hello")


@dataclass(frozen=True)
class Record:
    """What one vendor has of one person; "" is not there. ``email_state`` is valid, catch_all, invalid or unsure."""

    first_name: str
    last_name: str
    title: str
    company: str
    domain: str
    country: str
    work_email: str = ""
    email_state: str = "valid"
    score: int = 95
    personal_email: str = ""
    mobile: str = ""
    landline: str = ""
    linkedin_url: str = ""

    @property
    def full_name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def channels(self) -> list[str]:
        """The channels that are there."""
        values = {
            "work_email": self.work_email,
            "personal_email": self.personal_email,
            "phone": self.mobile or self.landline,
            "linkedin_url": self.linkedin_url,
        }
        return [channel for channel, value in values.items() if value]


def complete_record(person: Person) -> Record:
    """Return everything there is of a person, all of it right."""
    return Record(
        person.first_name,
        person.last_name,
        person.title,
        person.company,
        person.domain,
        person.country,
        work_email=person.work_email,
        personal_email=person.personal_email,
        mobile=person.mobile,
        linkedin_url=person.linkedin_url,
    )


def vendor_record(chance: Chance, vendor: str, person: Person) -> Record | None:
    """Return what ``vendor`` has of a person; None when it does not know them."""
    key = person.key
    if chance.share(key, "hidden") < HIDDEN:
        return None
    # Some people are found by everybody and some by hardly anybody.
    visible = 0.65 + 0.7 * chance.share(key, "visible")
    reach = _REACH[vendor][_area(person)] * _SIZE[vendor][_size(person)] * visible
    if chance.share(key, vendor, "reach") >= reach:
        return None
    has = {channel: _has(chance, vendor, person, channel) for channel in _NOWHERE}
    landline = has["phone"] and person.landline and chance.share(key, vendor, "landline") < _LANDLINE
    record = replace(
        complete_record(person),
        score=80 + chance.number(key, vendor, "score") % 20,
        work_email=person.work_email if has["work_email"] else "",
        email_state=_email_state(chance, vendor, person),
        personal_email=person.personal_email if has["personal_email"] else "",
        mobile=person.mobile if has["phone"] and not landline else "",
        landline=person.landline if landline else "",
        linkedin_url=person.linkedin_url if has["linkedin_url"] else "",
    )
    return _mistaken(chance, vendor, person, record)


def somebody_else(record: Record) -> Record:
    """Return the record of another person of the same company."""
    first, last = ("Robin", "Ashcombe") if record.first_name != "Robin" else ("Casey", "Wetherby")
    local = f"{first}.{last}".lower()
    return replace(
        record,
        first_name=first,
        last_name=last,
        work_email=record.work_email and f"{local}@{record.domain}",
        personal_email=record.personal_email and f"{local}@mailbox.example",
        linkedin_url=record.linkedin_url and f"https://www.linkedin.com/in/{local.replace('.', '-')}-0a1b2c",
    )


def _mistaken(chance: Chance, vendor: str, person: Person, record: Record) -> Record:
    draw = chance.share(person.key, vendor, "mistake")
    if draw < _WRONG_PERSON:
        return somebody_else(record)
    if draw < _WRONG_PERSON + _ROLE_ADDRESS and record.work_email:
        role = _ROLES[chance.number(person.key, vendor, "role") % len(_ROLES)]
        return replace(record, work_email=f"{role}@{record.domain}")
    return record


def _has(chance: Chance, vendor: str, person: Person, channel: str) -> bool:
    nowhere = 0.0 if channel == "linkedin_url" and person.linkedin_known else _NOWHERE[channel]
    if chance.share(person.key, channel, "nowhere") < nowhere:
        return False
    return chance.share(person.key, vendor, channel) < _FILLED[vendor].get(channel, 0.0)


def _email_state(chance: Chance, vendor: str, person: Person) -> str:
    if chance.share(person.key, vendor, "invalid") < _INVALID:
        return "invalid"
    if chance.share(person.domain, "catch_all") < _CATCH_ALL:
        return "catch_all"
    return "unsure" if chance.share(person.key, vendor, "unsure") < _INVALID else "valid"


def _area(person: Person) -> str:
    if person.region in ("US", "GB"):
        return person.region
    return "else" if person.region in ("BR", "IN", "TR") else "EU"


def _size(person: Person) -> str:
    if person.employees < 50:
        return "small"
    return "medium" if person.employees < 1000 else "large"
