"""Matches the columns of a file to what we know of a lead, by their names."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from leads.imports.reading import UnreadableFile
from leads.normalize import clean_text
from leads.text import fold

# Field -> names it goes by, best first: of two columns for one field the better name's cell is used where it is filled.
_NAMES: dict[str, tuple[str, ...]] = {
    "first_name": ("First Name", "Given Name", "Forename", "First", "Vorname", "Prénom", "Nombre"),
    "last_name": ("Last Name", "Surname", "Family Name", "Last", "Nachname", "Nom", "Apellido", "Apellidos"),
    "full_name": ("Full Name", "Name", "Contact Name", "Lead Name", "Person Name", "Lead", "Contact", "Person"),
    "title": ("Title", "Job Title", "Position", "Current Title", "Role", "Jobtitle"),
    "seniority": ("Seniority", "Seniority Level"),
    "job_function": ("Job Function", "Function", "Department", "Departments"),
    "company_name": (
        "Company", "Company Name", "Organization", "Organisation", "Organization Name", "Account", "Account Name",
        "Current Company", "Employer", "Firma",
    ),
    "company_domain": (
        "Company Domain", "Domain", "Company Domain Name", "Company Website", "Website", "Company URL", "Website URL",
        "Organization Website", "Corporate Website",
    ),
    "industry": ("Industry", "Company Industry", "Sector"),
    "company_size": (
        "Employees", "# Employees", "Number of Employees", "Employee Count", "Company Size", "Headcount",
        "Company Headcount", "No of Employees",
    ),
    "city": ("City", "Person City", "Town"),
    "region": ("Region", "State", "State/Region", "Province", "Person State"),
    "country": ("Country", "Country/Region", "Person Country", "Land"),
    "linkedin_url": (
        "LinkedIn URL", "LinkedIn", "LinkedIn Profile", "LinkedIn Profile URL", "Person LinkedIn URL", "LinkedIn Link",
        "Profile URL", "URL",
    ),
    "icp_score": ("ICP Score", "ICP", "Fit Score", "Lead Score", "Score"),
    "work_email": ("Work Email", "Business Email", "Company Email", "Professional Email", "Corporate Email"),
    "personal_email": ("Personal Email", "Private Email", "Home Email"),
    "email": ("Email", "Email Address", "Mail", "Primary Email", "Email 1"),
    "phone": (
        "Mobile", "Mobile Phone", "Mobile Number", "Cell", "Cell Phone", "Direct Phone", "Direct Dial",
        "Work Direct Phone", "Phone", "Phone Number", "Telephone", "Tel", "Work Phone", "Home Phone", "Phone 1",
    ),
}  # fmt: skip
NAME_FIELDS = {"first_name", "last_name", "full_name"}


def _key(name: str) -> str:
    """ "E-Mail_address" and "email address" are one name."""
    return "".join(char for char in fold(name[:200]) if char.isalnum() or char == "#")


_FIELD_OF = {
    _key(name): (field_name, rank) for field_name, names in _NAMES.items() for rank, name in enumerate(names)
}


@dataclass(slots=True)
class Columns:
    """Where each field stands: positions by field, best name first; ``ignored`` are the names of the rest."""

    positions: dict[str, list[int]]
    ignored: list[str] = field(default_factory=list)

    def read(self, cells: list[str]) -> dict[str, str]:
        """The fields of one row; a field's first filled cell counts."""
        values = {}
        for name, positions in self.positions.items():
            filled = (cells[at].strip() for at in positions if at < len(cells) and cells[at].strip())
            values[name] = next(filled, "")
        return values


def count_known(header: list[str]) -> int:
    """How many fields a row would name if it were the header."""
    return len({_FIELD_OF[key][0] for name in header if (key := _key(name)) in _FIELD_OF})


def match_columns(header: list[str], line: int) -> Columns:
    """Match by name. UnreadableFile when no column holds names or one name stands over two columns."""
    names = [clean_text(name, 80) for name in header]
    _refuse_duplicates(names, line)
    found: dict[str, list[tuple[int, int]]] = {}
    ignored = []
    for position, name in enumerate(names):
        if match := _FIELD_OF.get(_key(name)):
            found.setdefault(match[0], []).append((match[1], position))
        elif name:
            ignored.append(name)
    if not NAME_FIELDS & set(found):
        raise UnreadableFile(
            f"No column with names was found in line {line} ({_listed(names)}). "
            "Name the columns First Name and Last Name, or Full Name."
        )
    return Columns({name: [at for _, at in sorted(places)] for name, places in found.items()}, ignored)


def _refuse_duplicates(names: list[str], line: int) -> None:
    counts = Counter(_key(name) for name in names if _key(name) in _FIELD_OF)
    for key, count in counts.items():
        if count > 1:
            places = [str(at) for at, name in enumerate(names, start=1) if _key(name) == key]
            name = next(name for name in names if _key(name) == key)
            raise UnreadableFile(
                f"Line {line} names {name} {count} times (columns {', '.join(places)}). Remove one."
            )


def _listed(names: Iterable[str]) -> str:
    shown = [name for name in names if name][:4]
    return ", ".join(f"“{name[:30]}”" for name in shown) + (" …" if len(shown) == 4 else "")
