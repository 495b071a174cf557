"""The environment of a test run, set before Django's settings are read (loaded by pytest's -p)."""

import os

os.environ.setdefault("TESTING", "1")
os.environ.setdefault("ALLOW_PRIVATE_HOSTS", "1")
os.environ.setdefault("SECRET_KEY", "tests-only-secret-key-of-no-value-anywhere-else")
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "dGVzdHMtb25seS1maWVsZC1lbmNyeXB0aW9uLWtleS4=")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
