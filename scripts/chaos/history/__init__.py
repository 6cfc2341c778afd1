"""What every player sent and heard, moment by moment, and judges of what must not have happened."""
