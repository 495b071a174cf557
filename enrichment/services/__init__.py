"""What the pages and jobs of enrichment do: providers, waterfalls and runs."""
