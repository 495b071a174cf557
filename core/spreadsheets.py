"""Makes cells that a spreadsheet program cannot take for a formula."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(text: str) -> str:
    """``text`` so that no spreadsheet takes it for a formula; the import takes the apostrophe off phones again."""
    return f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) else text
