"""The engine: plans, claims, asks vendors, judges, settles and recovers; called by jobs, never by views."""
