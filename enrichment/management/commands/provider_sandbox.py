"""Serves the vendors' documented APIs on this machine, about people who do not exist."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from aiohttp import web
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from enrichment.sandbox import DEFAULT_PORT, sandbox_base_url
from enrichment.sandbox.server import Sandbox, make_app
from enrichment.sandbox.vendors import VENDORS


class Command(BaseCommand):
    help = "Serve Hunter's, Apollo's, People Data Labs' and Prospeo's documented APIs with made-up people."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        demo_people = Path(settings.BASE_DIR) / "demo" / "leads-demo.csv"
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=int(os.environ.get("SANDBOX_PORT") or DEFAULT_PORT))
        parser.add_argument("--seed", type=int, default=1, help="another seed knows other things of whom")
        parser.add_argument("--latency-scale", type=float, default=1.0, help="0 answers at once")
        parser.add_argument(
            "--people",
            type=Path,
            default=demo_people if demo_people.exists() else None,
            help="a CSV of people with their country, company size and known contacts",
        )
        parser.add_argument(
            "--no-rate-limits", action="store_true", help="do not keep the vendors' documented rate limits"
        )

    def handle(self, **options: Any) -> None:
        if options["people"] and not options["people"].exists():
            raise CommandError(f"There is no file {options['people']}.")
        sandbox = Sandbox(
            seed=options["seed"],
            latency_scale=options["latency_scale"],
            people=options["people"],
            rate_limits=not options["no_rate_limits"],
        )
        host, port = options["host"], options["port"]
        self.stdout.write(f"The provider sandbox knows {len(sandbox.people.directory)} people; base URLs:")
        for vendor in VENDORS:
            self.stdout.write(f"  {vendor:<16} {sandbox_base_url(vendor, host=host, port=port)}")
        self.stdout.write('Any key that begins with "demo-" works; "demo-empty-…" is out of credit.')
        self.stdout.flush()
        try:
            web.run_app(
                make_app(sandbox), host=host, port=port, print=None, access_log=None, shutdown_timeout=0.5
            )
        except OSError as error:
            raise CommandError(f"The sandbox cannot listen on {host}:{port}: {error.strerror}.") from error
