"""Audiences: sets of leads and the channels they require."""
