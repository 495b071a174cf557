"""Proves the ledger's promises on the live database."""

import sys

from django.core.management.base import BaseCommand

from enrichment.engine.verify import find_faults


class Command(BaseCommand):
    help = "Check every rule of the ledger and of the runs; exit 1 with the rows that break one."

    def handle(self, *args: object, **options: object) -> None:
        faults = find_faults()
        for fault in faults:
            self.stdout.write(f"workspace {fault.workspace_id}: {fault.rule}: {fault.row}: {fault.text}")
        if faults:
            self.stderr.write(f"{len(faults)} rows break a rule.")
            sys.exit(1)
        self.stdout.write("The ledger is clean.")
