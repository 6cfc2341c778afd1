"""Sessions come back: cold load, restore, reconcile, and the audit that compares."""
