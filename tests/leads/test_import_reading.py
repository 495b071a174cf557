"""Reading what people upload: encodings, delimiters, quotes and files that are no tables."""

import codecs
import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.imports import reading
from leads.imports.columns import count_known, match_columns
from leads.imports.reading import UnreadableFile, read_table

HEADER = "First Name,Last Name,Title,Company\n"


def read(data, encoding="utf-8"):
    raw = data if isinstance(data, bytes) else data.encode(encoding)
    table = read_table(raw, count_known)
    return table.header, [(record.line, record.cells, record.problem) for record in table.records]


def rows(data, encoding="utf-8"):
    return [cells for _, cells, _ in read(data, encoding)[1]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiter_and_line_ends_are_recognised(delimiter, newline):
    lines = [
        ["First Name", "Last Name", "Title"],
        ["Ines", "Moreau", f'"VP{delimiter} Sales"'],
        ["Jon", "Smith", ""],
    ]
    text = newline.join(delimiter.join(cells) for cells in lines) + newline
    header, records = read(text)
    assert header == lines[0]
    assert records == [(2, ["Ines", "Moreau", f"VP{delimiter} Sales"], ""), (3, ["Jon", "Smith", ""], "")]


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE),
     ("utf-16-le", b""), ("utf-16-be", b""), ("utf-32-le", codecs.BOM_UTF32_LE)],
)  # fmt: skip
def test_unicode_files_are_read_with_and_without_a_mark(encoding, bom):
    text = HEADER + "Łukasz,Żółć,CTO,Straße AG\n"
    assert rows(bom + text.encode(encoding)) == [["Łukasz", "Żółć", "CTO", "Straße AG"]]


@pytest.mark.parametrize(
    ("encoding", "people"),
    [
        ("cp1252", [("Jürgen", "Müller"), ("François", "Lefèvre"), ("José", "Ñandú"), ("Søren", "Kjær")]),
        (
            "cp1250",
            [
                ("Łukasz", "Żółciński"),
                ("Grażyna", "Wiśniewska"),
                ("Zdeněk", "Dvořák"),
                ("Małgorzata", "Dąbrowska"),
            ],
        ),
        ("cp1251", [("Дмитрий", "Иванов"), ("Екатерина", "Смирнова"), ("Александр", "Кузнецов")]),
    ],
)
def test_older_encodings_are_recognised(encoding, people):
    text = HEADER + "".join(f"{first},{last},,\n" for first, last in people)
    assert [tuple(cells[:2]) for cells in rows(text, encoding)] == people


def test_a_few_broken_bytes_spoil_their_rows_only():
    good = "".join(f"Łukasz,Żółć {n},CTO,Straße\n" for n in range(5)).encode()
    _, records = read(HEADER.encode() + good + b"J\xfcrgen,M,CTO,X\n" + good)
    assert [line for line, _, problem in records if problem] == [7]
    assert records[5][2] == "The row holds characters that cannot be read in the file's encoding."


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends():
    _, records = read(HEADER + '"Ines","Moreau","VP, ""Sales""","Halden\r\nRobotics"\nJon,Smith,,\n')
    assert records == [
        (2, ["Ines", "Moreau", 'VP, "Sales"', "Halden\r\nRobotics"], ""),
        (4, ["Jon", "Smith", "", ""], ""),
    ]


def test_titles_notes_and_blank_lines_before_the_header_are_passed_over():
    text = 'Notes:\n"When exporting, ""some"" addresses are missing."\n\nFirst Name,Last Name,URL\nInes,Moreau,\n'
    header, records = read(text)
    assert header == ["First Name", "Last Name", "URL"]
    assert [line for line, _, _ in records] == [5]


def test_the_separator_line_of_excel_is_not_the_header():
    header, records = read("sep=;\nFirst Name;Last Name\nInes;Moreau\n")
    assert header == ["First Name", "Last Name"]
    assert records[0][0] == 3


def test_short_rows_are_complete_and_long_ones_are_refused_unless_the_rest_is_blank():
    _, records = read(HEADER + "Ines\nJon,Smith,,,,\nAnna,Meyer,CTO, Acme, Inc,x\n")
    assert [problem for _, _, problem in records] == ["", "", "The row has 6 cells, the header 4."]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The file is empty."),
        (b" \n\r\n\t", "The file is empty."),
        (codecs.BOM_UTF8, "The file is empty."),
        (b"PK\x03\x04rest", "This is an Excel or ZIP file. Save it as CSV and upload that."),
        (b"\xd0\xcf\x11\xe0rest", "This is an Excel file. Save it as CSV and upload that."),
        (b"%PDF-1.7", "This is a PDF, not a CSV file."),
        (b"\x1f\x8b\x08", "This is a compressed file. Unpack it and upload the CSV."),
        (bytes(range(256)) * 40, "This is not a text file. Save the table as CSV and upload that."),
        (
            HEADER.encode() + b'Ines,"Moreau,CTO,Acme\nJon,Smith,,\n',
            "Line 2: a quote is opened and never closed.",
        ),
        (
            HEADER.encode() + b'Ines,"Moreau,CTO,Acme\n' + b"Jon,Smith,,\n" * 300,
            "Line 2: a quote is opened and not closed for 100 lines.",
        ),
        (
            HEADER.encode() + b'Ines,"Moreau,CTO,Acme\nJon,"Smith",,\n',
            "Lines 2 to 3: the quotes do not match.",
        ),
        ((HEADER[:-1] + ",x" * 300 + "\n").encode(), "Line 1: 304 columns; at most 200 are read."),
        (",".join(f"c{n}" for n in range(10_000)).encode(), "Line 1: 10,000 columns; at most 200 are read."),
        (HEADER.encode() + b"," * 100_000, "Line 2: 100,001 columns; at most 200 are read."),
        (
            b"First Name,Last\0 Name\nInes,Moreau\n",
            "Line 1 holds NUL characters. This is not a plain text file.",
        ),
        (b"x" * (reading.MAX_BYTES + 1), "The file has more than 10 MB. Split it."),
    ],
    ids=range(16),
)
def test_what_is_no_table_says_so_in_its_line(data, message):
    with pytest.raises(UnreadableFile) as refused:
        read(data)
    assert refused.value.message == message


def test_more_rows_than_allowed_are_refused_as_a_whole(monkeypatch):
    monkeypatch.setattr(reading, "MAX_ROWS", 3)
    assert len(rows(HEADER + "a,b,,\n" * 3)) == 3
    with pytest.raises(UnreadableFile, match="more than 3 rows"):
        rows(HEADER + "a,b,,\n" * 4)


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("x" * 200_000, "A cell has more than 131,072 characters."),
        ("Mo\0reau", "The row holds NUL characters."),
        ('"Mo"reau', "A quote is closed in the middle of a cell."),
    ],
)
def test_what_spoils_one_row_leaves_the_others(cell, problem):
    _, records = read(HEADER + f"Ines,{cell},,\nJon,Smith,,\n")
    assert [(line, found) for line, _, found in records] == [(2, problem), (3, "")]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (["Company", "Phone"], "No column with names was found in line 1 (“Company”, “Phone”)."),
        (["Ines", "Moreau", "CTO"], "No column with names was found in line 1 (“Ines”, “Moreau”, “CTO”)."),
        (["First Name", "Title", "title "], "Line 1 names Title 2 times (columns 2, 3). Remove one."),
        (
            ["first_name", "Last name", "First-Name"],
            "Line 1 names first_name 2 times (columns 1, 3). Remove one.",
        ),
    ],
)
def test_a_header_that_cannot_be_matched_says_why(header, message):
    with pytest.raises(UnreadableFile) as refused:
        match_columns(header, 1)
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize(
    ("name", "field"),
    [("FIRST_NAME", "first_name"), ("firstName", "first_name"), (" Last-Name ", "last_name"), ("Prénom", "first_name"),
     ("Person Linkedin Url", "linkedin_url"), ("E-mail Address", "email"), ("# Employees", "company_size"),
     ("Company Website", "company_domain"), ("ICP score", "icp_score"), ("Work E-Mail", "work_email")],
)  # fmt: skip
def test_columns_are_matched_by_name_whatever_its_spelling(name, field):
    columns = match_columns([name, "Full Name"] if field != "full_name" else [name], 1)
    assert columns.positions[field] == [0]


def test_of_two_columns_for_one_field_the_better_named_filled_one_counts():
    columns = match_columns(["Full Name", "Phone", "Mobile Phone", "Shoe Size", "", "Company Phone"], 1)
    assert columns.read(["Ines", "1", "2"])["phone"] == "2"
    assert columns.read(["Ines", "1", " "])["phone"] == "1"
    assert columns.ignored == ["Shoe Size", "Company Phone"]


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\x85\u2028\u2029", exclude_categories=["Cc", "Cs"]),
    max_size=20,
)


@given(
    table=st.lists(
        st.lists(CELL, min_size=4, max_size=4).filter(lambda row: "".join(row).strip()), max_size=8
    ),
    delimiter=st.sampled_from(",;\t|"),
)
def test_every_table_that_is_written_is_read_back(table, delimiter):
    def quoted(cell):
        return '"' + cell.replace('"', '""') + '"'

    lines = [["First Name", "Last Name", "Title", "Company"], *table]
    text = "\r\n".join(delimiter.join(map(quoted, cells)) for cells in lines)
    assert rows(text) == table


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else(data):
    try:
        rows(HEADER.encode() + data)
        rows(data)
    except UnreadableFile as refused:
        assert refused.message.endswith(".")


@pytest.mark.parametrize(
    "data",
    [b'"' * 2_000_000, b'",' * 1_000_000, b"\n" * 9_000_000, b"a" * 9_000_000, b"\xff\xfe" + b'"' * 4_000_000,
     HEADER.encode() + b"\xe4\xf6," * 2_000_000],
    ids=["quotes", "quoted commas", "blank lines", "one line", "utf-16 quotes", "old encoding"],
)  # fmt: skip
def test_hostile_megabytes_are_judged_in_a_moment(data):
    begin = time.perf_counter()
    with contextlib.suppress(UnreadableFile):
        rows(data)
    assert time.perf_counter() - begin < 10
