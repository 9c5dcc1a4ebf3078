"""Pages in Airflow's UI: plans to approve, the board of a run, and what Claude did."""
