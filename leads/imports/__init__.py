"""Brings leads in from a CSV file: read the bytes, match the columns, check each row, store what is new."""
