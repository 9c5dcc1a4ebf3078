"""What the calls of a run cost: an append-only ledger, its limits, and the answers that were paid for."""
