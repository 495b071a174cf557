"""Prepares a database of its own beside the product's, runs the measurements, prints them."""

import argparse
import base64
import os
import secrets
import sys
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

DATABASE = "headwater_bench"
REDIS_DB = "9"


def prepare() -> None:
    """Point the environment at an empty database and a Redis number that nothing else uses."""
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(50))
    os.environ.setdefault("FIELD_ENCRYPTION_KEYS", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    os.environ |= {
        "DEMO": "1",
        "ALLOW_PRIVATE_HOSTS": "1",
        "TESTING": "1",
        "LOG_LEVEL": "WARNING",
        "ALLOWED_HOSTS": "testserver",
    }
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(DATABASE)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    os.environ["DATABASE_URL"] = urlunsplit(urlsplit(url)._replace(path=f"/{DATABASE}"))
    # Both redis:// and unix:// take the number as a query.
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].partition("?")[0] + f"?db={REDIS_DB}"


def main() -> int:
    """Run the named measurements, or all."""
    prepare()
    import django

    django.setup()
    import django_rq
    from django.core.management import call_command

    from bench import click, pages, settle

    measurements = {"click": click.measure, "settle": settle.measure, "pages": pages.measure}
    parser = argparse.ArgumentParser(prog="make bench", description="Measure speed.")
    parser.add_argument("names", nargs="*", choices=[*measurements, []], help="all when none is named")
    chosen = parser.parse_args().names or list(measurements)
    django_rq.get_connection("enrichment").flushdb()
    call_command("migrate", verbosity=0)
    for name in chosen:
        for line in measurements[name]():
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
