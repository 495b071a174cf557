"""The vendors the sandbox stands in for, by slug."""

from enrichment.sandbox.vendors.apollo import Apollo
from enrichment.sandbox.vendors.base import Account, Ask, Said, Vendor
from enrichment.sandbox.vendors.hunter import Hunter
from enrichment.sandbox.vendors.peopledatalabs import PeopleDataLabs
from enrichment.sandbox.vendors.prospeo import Prospeo

__all__ = ["VENDORS", "Account", "Ask", "Said", "Vendor"]

VENDORS: dict[str, Vendor] = {
    vendor.slug: vendor for vendor in (Hunter(), Apollo(), PeopleDataLabs(), Prospeo())
}
