"""For a laptop and for tests: an Airflow of its own, and a server that stands in for Bedrock. No part of production."""
