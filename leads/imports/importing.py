"""One import from the bytes of a file to its report: all good rows in one transaction, or none."""

import hashlib
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db import transaction

from core.exceptions import DomainError
from leads.imports.columns import Columns, count_known, match_columns
from leads.imports.reading import UnreadableFile, read_table
from leads.imports.rows import ParsedRow, RowRefused, parse_row
from leads.imports.storing import BATCH, Storing
from leads.models import LeadImport
from leads.normalize import clean_text
from workspaces.models import User, Workspace
from workspaces.services import lock_workspace, record_audit

KEPT_LINES = 1_000
KEPT_CELLS = 60
KEPT_LENGTH = 200


class ImportKeyReused(DomainError):
    """One form was sent with two different files."""

    default_message = "This form was already used for another file. Choose the file again."


def run_import(
    *, workspace: Workspace, data: bytes, file_name: str, idempotency_key: uuid.UUID, actor: User | None
) -> LeadImport:
    """Import ``data``; see ``leads.services.import_leads``."""
    fingerprint = hashlib.sha256(data).hexdigest()
    if done := _already(workspace, idempotency_key, fingerprint):
        return done
    lead_import = LeadImport(
        workspace=workspace,
        file_name=clean_text(file_name, 200) or "leads.csv",
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        imported_by=actor,
    )
    columns = _checked_columns(data, lead_import)
    with transaction.atomic():
        locked = lock_workspace(workspace=workspace)
        if done := _already(workspace, idempotency_key, fingerprint):
            return done
        lead_import.save()
        _store_all(locked, _rows(data, columns, lead_import), lead_import, actor)
    return lead_import


def _already(workspace: Workspace, key: uuid.UUID, fingerprint: str) -> LeadImport | None:
    done = LeadImport.objects.filter(workspace=workspace, idempotency_key=key).first()
    if done is not None and done.fingerprint != fingerprint:
        raise ImportKeyReused
    return done


def _checked_columns(data: bytes, lead_import: LeadImport) -> Columns:
    """Match the columns and read the file to its end, before anything is locked."""
    table = read_table(data, count_known)
    columns = match_columns(table.header, table.header_line)
    lead_import.columns = [clean_text(name, 80) for name in table.header]
    lead_import.ignored_columns = columns.ignored
    if not sum(1 for _ in table.records):
        raise UnreadableFile("The file has a header and no rows.")
    return columns


def _rows(data: bytes, columns: Columns, lead_import: LeadImport) -> Iterator[ParsedRow]:
    """The rows that can be stored, one at a time; the others are refused on the way."""
    for record in read_table(data, count_known).records:
        try:
            if record.problem:
                raise RowRefused(record.problem)
            row = parse_row(columns.read(record.cells), record.line)
        except RowRefused as refusal:
            _refuse(lead_import, record.line, refusal.message, record.cells)
        else:
            row.cells = record.cells
            yield row


def _store_all(
    workspace: Workspace, rows: Iterator[ParsedRow], lead_import: LeadImport, actor: User | None
) -> None:
    counts = {"created": 0, "updated": 0, "unchanged": 0}
    while batch := list(islice(rows, BATCH)):
        storing = Storing(workspace, lead_import)
        storing.load(batch)
        for row in batch:
            try:
                counts[storing.take(row)] += 1
            except RowRefused as refusal:
                # Nothing of a suppressed person is kept, not even here.
                kept = [] if row.line in storing.suppressed else row.cells
                _refuse(lead_import, row.line, refusal.message, kept)
            _warn(lead_import, row)
        storing.write(actor.pk if actor else None)
    lead_import.created_count = counts["created"]
    lead_import.updated_count = counts["updated"]
    lead_import.unchanged_count = counts["unchanged"]
    lead_import.refused_rows.sort(key=lambda kept: kept["line"])
    lead_import.save()
    record_audit(
        workspace=lead_import.workspace,
        actor=actor,
        action="leads.imported",
        object_label=lead_import.file_name,
        lead_import=lead_import.pk,
        refused=lead_import.refused_count,
        **counts,
    )


def _refuse(lead_import: LeadImport, line: int, reason: str, cells: list[str]) -> None:
    lead_import.refused_count += 1
    if len(lead_import.refused_rows) < KEPT_LINES:
        kept: dict[str, Any] = {"line": line, "reason": reason, "row": _kept(cells)}
        lead_import.refused_rows.append(kept)


def _warn(lead_import: LeadImport, row: ParsedRow) -> None:
    for reason in row.warnings:
        lead_import.warning_count += 1
        if len(lead_import.warnings) < KEPT_LINES:
            lead_import.warnings.append({"line": row.line, "reason": reason})


def _kept(cells: list[str]) -> list[str]:
    return [clean_text(cell, KEPT_LENGTH) for cell in cells[:KEPT_CELLS]]
