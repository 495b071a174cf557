"""Connects vendors' accounts, tests their keys, switches them on and off, and builds the adapters that ask them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from core.http import HttpClient
from enrichment.adapters import ADAPTERS, Adapter, AdapterError, build_adapter
from enrichment.engine import limits
from enrichment.exceptions import ProviderRefused
from enrichment.models import Provider
from enrichment.services.waterfalls import add_provider_to_waterfalls
from workspaces.models import User, Workspace
from workspaces.services import record_audit

logger = logging.getLogger(__name__)

# Why the engine stops asking a provider by itself, in the words of a state tag.
BLOCK_LABELS = {"key_rejected": "Key rejected", "out_of_credit": "Out of credit"}
# A person waits for a test: it may not take as long as a look-up.
TEST_TIMEOUT_SECONDS = 10
MESSAGE_LENGTH = Provider._meta.get_field("last_test_message").max_length or 300


@dataclass(frozen=True)
class CheckResult:
    """What a provider said to a test of its key."""

    ok: bool
    message: str
    code: str = ""


@lru_cache(maxsize=1)
def shared_http_client() -> HttpClient:
    """The process's one guarded client: its pooled connections serve every provider."""
    return HttpClient(allow_private=settings.ALLOW_PRIVATE_HOSTS)


def build_provider_adapter(provider: Provider) -> Adapter:
    """The adapter that asks ``provider``; ProviderRefused when this version knows no such vendor."""
    return _adapter(
        vendor=provider.vendor,
        credentials=provider.credentials or {},
        base_url=provider.base_url,
        timeout=provider.timeout_seconds,
    )


def check_credentials(
    *, vendor: str, credentials: Mapping[str, str], base_url: str, timeout: int = TEST_TIMEOUT_SECONDS
) -> CheckResult:
    """Ask the vendor whether the key works; every refusal is a result, with nothing secret in its message."""
    try:
        adapter = _adapter(vendor=vendor, credentials=credentials, base_url=base_url, timeout=timeout)
        status = adapter.check()
    except ProviderRefused as error:
        return CheckResult(ok=False, message=error.message, code="misconfigured")
    except AdapterError as error:
        return CheckResult(ok=False, message=_cleaned(error.message, credentials), code=error.code)
    return CheckResult(ok=True, message=_cleaned(_status_text(status), credentials))


@transaction.atomic
def connect_provider(
    *,
    workspace: Workspace,
    user: User | None,
    vendor: str,
    credentials: Mapping[str, str],
    base_url: str = "",
    name: str = "",
    timeout_seconds: int = 15,
    recheck_days: int = 30,
    tested: CheckResult | None = None,
) -> Provider:
    """Connect a vendor's account and put it last in the waterfalls of its channels.

    Switched on only with a passed test (``tested``, from ``check_credentials``); without one it is kept
    switched off. ProviderRefused when this version knows no such vendor.
    """
    adapter = ADAPTERS.get(vendor)
    if adapter is None:
        raise ProviderRefused("This vendor is not known.")
    # The workspace's row is the lock that keeps two accounts of one vendor from taking the same slug.
    Workspace.objects.select_for_update().get(pk=workspace.pk)
    slug, default_name = _free_slug(workspace, vendor, adapter.name)
    provider = Provider.objects.create(
        workspace=workspace,
        vendor=vendor,
        slug=slug,
        name=name or default_name,
        credentials=dict(credentials),
        base_url=base_url,
        timeout_seconds=timeout_seconds,
        recheck_days=recheck_days,
        enabled=bool(tested and tested.ok),
        **_test_fields(tested),
    )
    add_provider_to_waterfalls(provider, user)
    _audit(provider, user, "provider.connected", vendor=vendor)
    return provider


@transaction.atomic
def update_provider(
    *,
    provider: Provider,
    user: User | None,
    name: str | None = None,
    base_url: str | None = None,
    timeout_seconds: int | None = None,
    recheck_days: int | None = None,
) -> Provider:
    """Change a provider's settings; what is None stays.

    A new address makes the last test worthless. On another host the stored key is dropped and the
    provider switched off: a key is sent only where it was entered for.
    """
    locked = _locked(provider)
    host_before = _host(locked)
    wanted = {
        "name": name,
        "base_url": base_url,
        "timeout_seconds": timeout_seconds,
        "recheck_days": recheck_days,
    }
    changed = {
        field: value
        for field, value in wanted.items()
        if value is not None and value != getattr(locked, field)
    }
    if not changed:
        return locked
    for field, value in changed.items():
        setattr(locked, field, value)
    if "base_url" in changed:
        changed |= {"last_tested_at": None, "last_test_ok": None, "last_test_message": ""}
        locked.last_tested_at, locked.last_test_ok, locked.last_test_message = None, None, ""
    if _host(locked) != host_before:
        locked.credentials, locked.enabled = {}, False
        changed |= {"credentials": None, "enabled": None}
    locked.save(update_fields=list(changed))
    _audit(locked, user, "provider.changed", fields=sorted(set(changed) & set(wanted)))
    return locked


@transaction.atomic
def replace_credentials(
    *,
    provider: Provider,
    user: User | None,
    credentials: Mapping[str, str],
    tested: CheckResult | None = None,
) -> Provider:
    """Store another key. A passed test clears what had blocked the provider."""
    locked = _locked(provider)
    locked.credentials = dict(credentials)
    _apply_test(locked, tested)
    locked.save(update_fields=["credentials", *_TESTED_FIELDS])
    _audit(locked, user, "provider.key_replaced")
    return locked


def test_provider(*, provider: Provider, user: User | None) -> CheckResult:
    """Ask the vendor whether the stored key works, and keep the answer; a passed test clears the block."""
    result = check_credentials(
        vendor=provider.vendor,
        credentials=provider.credentials or {},
        base_url=provider.base_url,
        timeout=min(provider.timeout_seconds, TEST_TIMEOUT_SECONDS),
    )
    with transaction.atomic():
        locked = _locked(provider)
        _apply_test(locked, result)
        locked.save(update_fields=_TESTED_FIELDS)
        _audit(locked, user, "provider.tested", passed=result.ok)
    return result


@transaction.atomic
def set_provider_enabled(*, provider: Provider, enabled: bool, user: User | None) -> Provider:
    """Switch a provider on or off for all waterfalls; items under way keep their frozen order."""
    locked = _locked(provider)
    if locked.enabled != enabled:
        locked.enabled = enabled
        locked.save(update_fields=["enabled"])
        _audit(locked, user, "provider.switched_on" if enabled else "provider.switched_off")
    return locked


@transaction.atomic
def block_provider(*, provider: Provider, code: str) -> bool:
    """Stop asking ``provider`` because its key was rejected or its account is empty.

    However many leads meet the refusal at once, one caller gets True and one notice and one audit
    event are written; the notice stands on the provider until a test passes.
    """
    first = Provider.objects.filter(pk=provider.pk, blocked_code="").update(
        blocked_code=code, blocked_at=timezone.now()
    )
    if not first:
        return False
    _audit(provider, None, "provider.blocked", code=code)
    logger.warning(
        "provider %s of workspace %s is no longer asked: %s", provider.pk, provider.workspace_id, code
    )
    return True


_TESTED_FIELDS = ["last_tested_at", "last_test_ok", "last_test_message", "blocked_code", "blocked_at"]


def _adapter(*, vendor: str, credentials: Mapping[str, str], base_url: str, timeout: int) -> Adapter:
    known = ADAPTERS.get(vendor)
    if known is None:
        raise ProviderRefused("This version of Headwater has no adapter for that vendor.")
    try:
        readable = dict(credentials)
    except ImproperlyConfigured as error:
        raise ProviderRefused("The stored key cannot be read any more. Replace it.") from error
    return build_adapter(
        vendor,
        credentials=readable,
        base_url=base_url or known.default_base_url,
        http=shared_http_client(),
        timeout=timeout,
    )


def _host(provider: Provider) -> tuple[str, str]:
    """Scheme and host (with its port) that the provider's calls go to."""
    adapter = ADAPTERS.get(provider.vendor)
    parts = urlsplit(provider.base_url or (adapter.default_base_url if adapter else ""))
    return parts.scheme.lower(), parts.netloc.lower()


def _locked(provider: Provider) -> Provider:
    return Provider.objects.select_for_update().get(pk=provider.pk, workspace_id=provider.workspace_id)


def _free_slug(workspace: Workspace, vendor: str, name: str) -> tuple[str, str]:
    taken = set(Provider.objects.in_workspace(workspace).values_list("slug", flat=True))
    if vendor not in taken:
        return vendor, name
    number = 2
    while f"{vendor}-{number}" in taken:
        number += 1
    return f"{vendor}-{number}", f"{name} {number}"


def _test_fields(tested: CheckResult | None) -> dict[str, Any]:
    if tested is None:
        return {}
    return {
        "last_tested_at": timezone.now(),
        "last_test_ok": tested.ok,
        "last_test_message": tested.message[:MESSAGE_LENGTH],
    }


def _apply_test(provider: Provider, tested: CheckResult | None) -> None:
    provider.last_tested_at = timezone.now() if tested else None
    provider.last_test_ok = tested.ok if tested else None
    provider.last_test_message = tested.message[:MESSAGE_LENGTH] if tested else ""
    if tested and tested.ok:
        provider.blocked_code, provider.blocked_at = "", None
        transaction.on_commit(partial(limits.reset_provider, provider.pk))


def _status_text(status: Any) -> str:
    left = status.credits_left
    return status.message if left is None else f"{status.message} {left:,} credits left."


def _cleaned(message: str, credentials: Mapping[str, str]) -> str:
    """``message`` without any credential in it, however a vendor may have echoed one."""
    for secret in credentials.values():
        if len(secret) >= 4:
            message = message.replace(secret, "••••")
    return message[:MESSAGE_LENGTH]


def _audit(provider: Provider, user: User | None, action: str, **details: Any) -> None:
    record_audit(
        workspace=provider.workspace, actor=user, action=action, object_label=provider.name, **details
    )
