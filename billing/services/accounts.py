"""Credits that come in and go out by a person's decision: grants, adjustments, expiries, and the freeze."""

from django.db import connection, transaction
from django.db.models import QuerySet

from billing.exceptions import InsufficientCredits
from billing.models import CreditAccount, LedgerEntry
from billing.services.moves import (
    Move,
    check_key,
    entry_with_key,
    fingerprint_of,
    insert_entries,
    move_account,
)
from workspaces.models import User, Workspace
from workspaces.services import record_audit

Kind, Bucket = LedgerEntry.Kind, LedgerEntry.Bucket

MAX_AMOUNT = 10_000_000


def open_account(workspace: Workspace) -> CreditAccount:
    """The workspace's account, made empty where there is none yet. Repeats do nothing."""
    ensure_account(workspace.pk)
    return CreditAccount.objects.get(workspace=workspace)


def ensure_account(workspace_id: int) -> None:
    """Make sure the account's row is there."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO billing_creditaccount
                (workspace_id, available, held, spent, expired, issued, frozen_reason)
            SELECT %s, 0, 0, 0, 0, 0, ''
             WHERE NOT EXISTS (SELECT 1 FROM billing_creditaccount WHERE workspace_id = %s)
            ON CONFLICT DO NOTHING
            """,
            [workspace_id, workspace_id],
        )


@transaction.atomic
def grant_credits(
    *, workspace: Workspace, amount: int, actor: User | None, key: str, note: str = ""
) -> LedgerEntry:
    """Add ``amount`` (1 to 10,000,000) credits. The same key and inputs again return the same entry.

    KeyConflict where the key was used for other inputs.
    """
    if not 1 <= amount <= MAX_AMOUNT:
        raise ValueError(f"a grant is 1 to {MAX_AMOUNT:,} credits")
    entry, created = _move_once(
        workspace, Kind.GRANT, Bucket.ISSUER, Bucket.AVAILABLE, amount, key, note, actor
    )
    if created:
        move_account(workspace.pk, available=amount, issued=amount)
        _audit(entry, actor, "credits.granted")
    return entry


@transaction.atomic
def adjust_credits(
    *, workspace: Workspace, amount: int, actor: User | None, key: str, note: str = ""
) -> LedgerEntry:
    """Correct the balance by ``amount`` credits, up or down. InsufficientCredits where less is available.

    Idempotent by ``key`` as ``grant_credits`` is.
    """
    if not 1 <= abs(amount) <= MAX_AMOUNT:
        raise ValueError(f"an adjustment is 1 to {MAX_AMOUNT:,} credits, up or down")
    source, target = (Bucket.ISSUER, Bucket.AVAILABLE) if amount > 0 else (Bucket.AVAILABLE, Bucket.ISSUER)
    entry, created = _move_once(workspace, Kind.ADJUST, source, target, abs(amount), key, note, actor)
    if created:
        if not move_account(workspace.pk, available=amount, issued=amount):
            raise InsufficientCredits(-amount - _available(workspace))
        _audit(entry, actor, "credits.adjusted")
    return entry


@transaction.atomic
def expire_credits(
    *, workspace: Workspace, amount: int, key: str, actor: User | None = None, note: str = ""
) -> LedgerEntry:
    """Let ``amount`` unused credits lapse. InsufficientCredits where less is available; idempotent by ``key``."""
    if not 1 <= amount <= MAX_AMOUNT:
        raise ValueError(f"an expiry is 1 to {MAX_AMOUNT:,} credits")
    entry, created = _move_once(
        workspace, Kind.EXPIRE, Bucket.AVAILABLE, Bucket.EXPIRED, amount, key, note, actor
    )
    if created:
        if not move_account(workspace.pk, available=-amount, expired=amount):
            raise InsufficientCredits(amount - _available(workspace))
        _audit(entry, actor, "credits.expired")
    return entry


def freeze_account(*, workspace_id: int, reason: str, actor: User | None = None) -> bool:
    """Refuse new holds until an admin has looked; captures and closes go on. True where it was not frozen."""
    ensure_account(workspace_id)
    account = CreditAccount.objects.filter(workspace_id=workspace_id, frozen_reason="")
    return _set_frozen(account, workspace_id, reason[:300] or "Frozen", "account.frozen", actor)


def unfreeze_account(*, workspace_id: int, reason: str, actor: User | None = None) -> bool:
    """Allow new holds again; ``reason`` says what was found. True where it was frozen."""
    account = CreditAccount.objects.filter(workspace_id=workspace_id).exclude(frozen_reason="")
    return _set_frozen(account, workspace_id, "", "account.unfrozen", actor, reason)


@transaction.atomic
def _set_frozen(
    account: QuerySet, workspace_id: int, frozen_reason: str, action: str, actor: User | None, note: str = ""
) -> bool:
    changed = bool(account.update(frozen_reason=frozen_reason))
    if changed:
        workspace = Workspace.objects.get(pk=workspace_id)
        record_audit(workspace=workspace, actor=actor, action=action, reason=note or frozen_reason)
    return changed


def _move_once(
    workspace: Workspace,
    kind: Kind,
    source: Bucket,
    target: Bucket,
    amount: int,
    key: str,
    note: str,
    actor: User | None,
) -> tuple[LedgerEntry, bool]:
    """The entry for ``key`` and whether it was written now; the account is there afterwards."""
    actor_id = actor.pk if actor else None
    stored_key = f"{kind.value}:{check_key(key)}"
    fingerprint = fingerprint_of(
        kind=kind.value, source=source.value, amount=amount, note=note, actor=actor_id
    )
    move = Move(
        workspace_id=workspace.pk,
        kind=kind.value,
        source=source.value,
        target=target.value,
        amount=amount,
        key=stored_key,
        fingerprint=fingerprint,
        note=note[:200],
        actor_id=actor_id,
    )
    ensure_account(workspace.pk)
    if entries := insert_entries([move]):
        return entries[0], True
    return entry_with_key(workspace, stored_key, fingerprint), False


def _available(workspace: Workspace) -> int:
    return CreditAccount.objects.values_list("available", flat=True).get(workspace=workspace)


def _audit(entry: LedgerEntry, actor: User | None, action: str) -> None:
    record_audit(
        workspace=Workspace(pk=entry.workspace_id),
        actor=actor,
        action=action,
        object_label=f"{entry.amount:,} credits",
        entry=entry.pk,
        note=entry.note,
    )
