"""Reads the bytes of a file somebody uploaded as a table of text, or says in which line it cannot be read.

What makes the whole table doubtful (no end to a quote, not text at all) is an ``UnreadableFile`` and nothing is
imported. What spoils one row only is that record's ``problem``.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from charset_normalizer import from_bytes

from core.exceptions import DomainError

MAX_BYTES = 10 * 1024 * 1024
MAX_ROWS = 50_000
MAX_COLUMNS = 200
MAX_CELLS_IN_LINE = 5_000
MAX_LINES_IN_ROW = 100
HEADER_WITHIN = 10
DELIMITERS = (",", ";", "\t", "|")

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (
    (b"PK\x03\x04", "This is an Excel or ZIP file. Save it as CSV and upload that."),
    (b"\xd0\xcf\x11\xe0", "This is an Excel file. Save it as CSV and upload that."),
    (b"%PDF", "This is a PDF, not a CSV file."),
    (b"\x1f\x8b", "This is a compressed file. Unpack it and upload the CSV."),
)
_CONTROL = bytes(set(range(32)) - set(b"\t\r\n\f\x1b"))
_LEGACY = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "mac_roman", "shift_jis", "gb18030", "big5", "euc_kr",
]  # fmt: skip
_GUESS_BYTES = 16 * 1024


class UnreadableFile(DomainError):
    """The file as a whole cannot be read; nothing of it was imported."""

    default_message = "This file cannot be read."


@dataclass(slots=True)
class Record:
    """One row, with the number of the line it begins in; with a ``problem`` it is not to be used."""

    line: int
    cells: list[str] = field(default_factory=list)
    problem: str = ""


@dataclass(slots=True)
class Table:
    """The header, and the rows that come after it, read as they are asked for."""

    header: list[str]
    header_line: int
    records: Iterator[Record]


def read_table(data: bytes, recognise: Callable[[list[str]], int]) -> Table:
    """Read ``data`` as CSV. UnreadableFile when it is not that.

    ``recognise`` says how many columns of a possible header are known. The delimiter and the header's
    place (exports begin with titles and notes) are those under which most are; no statistics, no guess.
    """
    if len(data) > MAX_BYTES:
        raise UnreadableFile(f"The file has more than {MAX_BYTES // 1024 // 1024} MB. Split it.")
    text = decode(data)
    if not text.strip():
        raise UnreadableFile("The file is empty.")
    candidates = [_find_header(text, delimiter, recognise) for delimiter in DELIMITERS]
    _, header, delimiter = max(
        candidates, key=lambda found: (found[0], bool(found[1].problem), len(found[1].cells))
    )
    if header.problem:
        raise UnreadableFile(f"Line {header.line}: {header.problem[:1].lower()}{header.problem[1:]}")
    if len(header.cells) > MAX_COLUMNS:
        raise UnreadableFile(
            f"Line {header.line}: {len(header.cells):,} columns; at most {MAX_COLUMNS} are read."
        )
    if any("\0" in cell for cell in header.cells):
        raise UnreadableFile(f"Line {header.line} holds NUL characters. This is not a plain text file.")
    records = (record for record in _records(text, delimiter) if record.line > header.line)
    return Table(header.cells, header.line, _counted(records, len(header.cells)))


def decode(data: bytes) -> str:
    """The text of ``data`` in whatever encoding it is; bytes that fit none stay behind as lone surrogates."""
    for magic, message in _MAGIC:
        if data.startswith(magic):
            raise UnreadableFile(message)
    encoding = next((encoding for bom, encoding in _BOMS if data.startswith(bom)), _utf16_without_bom(data))
    if encoding:
        return data.decode(
            encoding, "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        )
    sample = data[: 256 * 1024]
    if len(sample) - len(sample.translate(None, _CONTROL)) > max(len(sample) // 200, 8):
        raise UnreadableFile("This is not a text file. Save the table as CSV and upload that.")
    text = data.decode("utf-8", "surrogateescape")
    broken = sum(1 for char in text if "\udc80" <= char <= "\udcff")
    if not broken or sum(1 for char in text if char > "\x7f") >= 3 * broken:
        return text  # UTF-8, or UTF-8 with a few broken places
    return data.decode(_guess(data), "surrogateescape")


def _utf16_without_bom(data: bytes) -> str:
    sample = data[:4096]
    for encoding, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        if len(sample) >= 4 and sample[first::2].count(0) > len(sample) // 4 > 2 * sample[
            1 - first :: 2
        ].count(0):
            return encoding
    return ""


def _guess(data: bytes) -> str:
    """The likeliest old encoding, judged by the lines that tell encodings apart."""
    telling = b"\n".join(islice((line for line in data.splitlines() if not line.isascii()), 400))[
        :_GUESS_BYTES
    ]
    matches = from_bytes(telling, cp_isolation=_LEGACY)
    best = matches.best()
    if best is None or "cp1252" in best.could_be_from_charset:
        return "cp1252"
    return str(best.encoding)


def _find_header(text: str, delimiter: str, recognise: Callable[[list[str]], int]) -> tuple[int, Record, str]:
    """(columns recognised, the record, delimiter) of the likeliest header among the first rows."""
    best = (0, Record(1), delimiter)
    for record in islice(_records(text, delimiter, lenient=True), HEADER_WITHIN):
        known = 0 if record.problem else recognise(record.cells)
        if known > best[0] or not best[1].cells:
            best = (known, record, delimiter)
    return best


def _records(text: str, delimiter: str, *, lenient: bool = False) -> Iterator[Record]:
    """The non-blank rows. ``lenient`` is for trying delimiters out: it ends where the text makes no sense."""
    lines = _Lines(text, delimiter)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        begin = lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except UnreadableFile as error:
            if lenient:
                yield Record(begin, problem=error.message.partition(": ")[2])
                return
            raise
        except csv.Error as error:
            record = _broken(begin, lines.number, str(error))
            if record is None and not lenient:
                raise UnreadableFile(_quote_message(begin, lines.number, str(error))) from error
            yield record or Record(begin, problem="A quote is opened and never closed.")
            continue
        if any(cell.strip() for cell in cells) and not (begin == 1 and _is_separator_hint(cells)):
            yield Record(begin, cells)


class _Lines:
    """Hands out lines of ``text`` and counts them; refuses a row or line that is too long to be one."""

    def __init__(self, text: str, delimiter: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self._delimiter = delimiter
        self._begin = 1
        self.number = 0

    def begin_row(self) -> int:
        """Mark the start of a row; the number of its first line."""
        self._begin = self.number + 1
        return self._begin

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if self.number - self._begin >= MAX_LINES_IN_ROW:
            raise UnreadableFile(
                f"Line {self._begin}: a quote is opened and not closed for {MAX_LINES_IN_ROW} lines."
            )
        if line.count(self._delimiter) > MAX_CELLS_IN_LINE:
            columns = line.count(self._delimiter) + 1
            raise UnreadableFile(f"Line {self.number}: {columns:,} columns; at most {MAX_COLUMNS} are read.")
        return line


def _broken(begin: int, end: int, error: str) -> Record | None:
    """The record for an error inside one line; None when the error leaves the following rows in doubt."""
    if end > begin or "unexpected end" in error:
        return None
    if "field limit" in error:
        return Record(begin, problem=f"A cell has more than {csv.field_size_limit():,} characters.")
    return Record(begin, problem="A quote is closed in the middle of a cell.")


def _quote_message(begin: int, end: int, error: str) -> str:
    if "unexpected end" in error:
        return f"Line {begin}: a quote is opened and never closed."
    return f"Lines {begin} to {end}: the quotes do not match."


def _is_separator_hint(cells: list[str]) -> bool:
    return cells[0].strip().lower().startswith("sep=") and not any(cells[1:])


def _counted(records: Iterator[Record], columns: int) -> Iterator[Record]:
    """Check what can be wrong with the shape and the characters of each row."""
    for number, record in enumerate(records, start=1):
        if number > MAX_ROWS:
            raise UnreadableFile(f"The file has more than {MAX_ROWS:,} rows. Split it.")
        if not record.problem:
            record.problem = _shape_problem(record.cells, columns)
        yield record


def _shape_problem(cells: list[str], columns: int) -> str:
    if len(cells) > columns and any(cell.strip() for cell in cells[columns:]):
        return f"The row has {len(cells)} cells, the header {columns}."
    text = "".join(cells)
    if "\0" in text:
        return "The row holds NUL characters."
    if not text.isascii() and any("\udc80" <= char <= "\udcff" for char in text):
        return "The row holds characters that cannot be read in the file's encoding."
    return ""
