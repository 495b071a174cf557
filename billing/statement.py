"""The ledger as people read it: a page of rows with the balance after each, and the whole of it as CSV."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from django.db import connection

from billing.models import LedgerEntry
from billing.querysets import INTERNAL_KINDS
from core.channels import Channel
from workspaces.models import Workspace

PAGE = 50

# Positions between two rows of a page share a bucket: one index-only scan over what is newer than the page's end.
BALANCES = """
    SELECT width_bucket(id, %(ids)s::bigint[]) AS bucket,
           SUM(amount * ((target IN ('available', 'held'))::int - (source IN ('available', 'held'))::int)),
           (SELECT available + held FROM billing_creditaccount WHERE workspace_id = %(workspace)s)
      FROM billing_ledgerentry
     WHERE workspace_id = %(workspace)s AND id >= %(oldest)s
     GROUP BY bucket
     ORDER BY bucket DESC
"""

# A cell that starts with one of these is run as a formula by spreadsheet programs.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")

CSV_HEAD = ["Time", "Entry", "Amount", "Balance", "Channel", "Provider", "Lead", "Note", "By", "Number"]


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Rows newest first, each with ``balance``; ``newer`` and ``older`` are the cursors of the neighbouring pages."""

    rows: list[LedgerEntry]
    newer: int | None
    older: int | None


def ledger_page(
    *,
    workspace: Workspace,
    kind: str = "",
    with_holds: bool = False,
    before: int | None = None,
    after: int | None = None,
    size: int = PAGE,
) -> LedgerPage:
    """The rows ``before`` an entry's id, or the ones next ``after`` it, or the newest."""
    visible = LedgerEntry.objects.of(workspace).visible(kind=kind, with_holds=with_holds).with_details()
    if after is not None:
        found = list(visible.filter(pk__gt=after).order_by("pk")[: size + 1])
        rows, more_newer, more_older = found[:size][::-1], len(found) > size, True
    else:
        older = visible if before is None else visible.filter(pk__lt=before)
        found = list(older.order_by("-pk")[: size + 1])
        rows, more_newer, more_older = found[:size], before is not None, len(found) > size
    _add_balances(workspace, rows)
    return LedgerPage(
        rows,
        newer=rows[0].pk if rows and more_newer else None,
        older=rows[-1].pk if rows and more_older else None,
    )


def _add_balances(workspace: Workspace, rows: list[LedgerEntry]) -> None:
    """Set each row's ``balance``: available and held credits together, right after the entry."""
    if not rows:
        return
    ids = [row.pk for row in reversed(rows)]
    with connection.cursor() as cursor:
        cursor.execute(BALANCES, {"ids": ids, "workspace": workspace.pk, "oldest": ids[0]})
        found = cursor.fetchall()
    balance = found[0][2]
    moved = {bucket: int(amount) for bucket, amount, _ in found}
    for row, bucket in zip(rows, range(len(ids), 0, -1), strict=True):
        # The bucket of a row begins with the row itself and holds everything up to the next newer one.
        row.balance = balance - (moved.get(bucket, 0) - row.effect)
        balance = row.balance - row.effect


def csv_lines(*, workspace: Workspace, kind: str, with_holds: bool, zone: tzinfo) -> Iterator[str]:
    """The ledger as CSV lines, oldest first, never more than a few thousand rows in memory."""
    writer = csv.writer(_Echo())
    yield writer.writerow(CSV_HEAD)
    balance = 0
    entries = LedgerEntry.objects.of(workspace).select_related("hold", "actor").order_by("pk")
    for entry in entries.iterator(chunk_size=2000):
        balance += entry.effect
        if entry.kind == kind if kind else with_holds or entry.kind not in INTERNAL_KINDS:
            yield writer.writerow(_csv_row(entry, balance, zone))


def _csv_row(entry: LedgerEntry, balance: int, zone: tzinfo) -> list[str | int]:
    hold = entry.hold
    return [
        entry.created_at.astimezone(zone).isoformat(timespec="seconds"),
        entry.get_kind_display(),
        entry.effect if entry.kind not in INTERNAL_KINDS else entry.amount,
        balance,
        Channel(entry.channel).label if entry.channel else "",
        plain_cell(entry.provider_name) if entry.provider else "",
        plain_cell(hold.subject_label) if hold else "",
        plain_cell(entry.note),
        plain_cell(entry.actor.display_name) if entry.actor else "",
        entry.pk,
    ]


def plain_cell(text: str) -> str:
    """``text`` as a cell no spreadsheet runs as a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line
