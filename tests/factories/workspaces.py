"""People, workspaces and roles."""

import factory
from factory.django import DjangoModelFactory

from workspaces.models import Membership, User, Workspace

PASSWORD = "headwater-demo"


class UserFactory(DjangoModelFactory):
    """A person who can sign in with PASSWORD; ``password=None`` makes one who has none yet."""

    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    name = factory.Sequence(lambda n: f"Person {n}")
    password = PASSWORD

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        active = kwargs.pop("is_active", True)
        user = model_class.objects.create_user(*args, **kwargs)
        if not active:
            user.is_active = False
            user.save(update_fields=["is_active"])
        return user


class WorkspaceFactory(DjangoModelFactory):
    """A workspace without members; its leads need work e-mail and LinkedIn URL unless told otherwise."""

    class Meta:
        model = Workspace

    name = factory.Sequence(lambda n: f"Workspace {n}")


class MembershipFactory(DjangoModelFactory):
    """A new person in a new workspace, a rep; traits ``admin``, ``rep``, ``viewer`` set the role."""

    class Meta:
        model = Membership

    class Params:
        admin = factory.Trait(role=Membership.Role.ADMIN)
        rep = factory.Trait(role=Membership.Role.REP)
        viewer = factory.Trait(role=Membership.Role.VIEWER)

    workspace = factory.SubFactory(WorkspaceFactory)
    user = factory.SubFactory(UserFactory)
    role = Membership.Role.REP
