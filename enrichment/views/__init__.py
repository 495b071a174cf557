"""The enrichment pages: the parts of the lead panel, waterfalls, providers."""
