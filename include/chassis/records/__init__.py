"""The records of a run beside its ledger: transcripts, results, amendments, decisions on plans."""
