"""Refuses every change to a ledger entry, by whatever path it comes: corrections are new entries."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION billing_refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is append-only: % of billing_ledgerentry is refused.', TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER ledger_entry_never_changes
    BEFORE UPDATE OR DELETE ON billing_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_ledger_change();
CREATE TRIGGER ledger_entry_never_truncated
    BEFORE TRUNCATE ON billing_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_ledger_change();
"""

BACKWARD = """
DROP TRIGGER ledger_entry_never_truncated ON billing_ledgerentry;
DROP TRIGGER ledger_entry_never_changes ON billing_ledgerentry;
DROP FUNCTION billing_refuse_ledger_change();
"""


class Migration(migrations.Migration):

    dependencies = [("billing", "0001_credits")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
