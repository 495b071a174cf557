"""Encrypts every stored secret again with the first of FIELD_ENCRYPTION_KEYS."""

from django.core.management.base import BaseCommand
from django.db import transaction

from enrichment.models import Provider
from leads.models import SuppressionKey

SEALED = ((Provider, "credentials"), (SuppressionKey, "key"))


class Command(BaseCommand):
    help = "After a new key was put in front of FIELD_ENCRYPTION_KEYS: encrypt all secrets with it. Repeats do no harm."

    def handle(self, *args: object, **options: object) -> None:
        for model, field in SEALED:
            ids = list(model.objects.order_by("pk").values_list("pk", flat=True))
            for pk in ids:
                with transaction.atomic():
                    row = model.objects.select_for_update().filter(pk=pk).first()
                    if row is not None:
                        row.save(update_fields=[field])
            self.stdout.write(f"{len(ids)} {model._meta.verbose_name_plural} encrypted with the first key.")
