"""Pages in Airflow's own UI: plans to approve, the board of a run, and what Claude did."""
