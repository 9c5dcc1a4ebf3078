"""An append-only store of plan revisions, and the versioned DAG bundle over it."""
