"""What is kept of a run beside its ledger: transcripts, results, amendments, decisions on plans."""
