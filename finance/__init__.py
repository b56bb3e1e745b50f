"""What becomes of the money at the provider: settlements and payouts, posted to the ledger once each."""
