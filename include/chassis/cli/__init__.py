"""The command line ``chassis``, a client of Airflow's REST API, and the local stack that it can start."""
