"""Factories for test rows; import them from here: ``from tests.factories import LeadFactory``."""

from tests.factories.audiences import AudienceFactory
from tests.factories.leads import ContactPointFactory, LeadFactory
from tests.factories.workspaces import PASSWORD, MembershipFactory, UserFactory, WorkspaceFactory

__all__ = [
    "PASSWORD",
    "AudienceFactory",
    "ContactPointFactory",
    "LeadFactory",
    "MembershipFactory",
    "UserFactory",
    "WorkspaceFactory",
]
