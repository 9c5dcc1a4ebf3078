"""The calls of a run: an append-only ledger of their cost, its limits, and the answers that were paid for."""
