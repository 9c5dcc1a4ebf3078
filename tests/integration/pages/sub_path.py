"""Asks Airflow's own API server app for the board below a sub-path; prints what its addresses lead to, as JSON."""

from __future__ import annotations

import html
import json
import os
import re
import sys
from pathlib import Path

from benchmarks.board import RUN, WORKFLOW, prepare, signed_in, write_run

SUB_PATH = "/airflow-sub"

prepare(Path(sys.argv[1]))
os.environ["AIRFLOW__API__BASE_URL"] = f"http://testserver{SUB_PATH}"
write_run(5)
client = signed_in()
page = client.get(f"{SUB_PATH}/chassis/dags/{WORKFLOW}/runs/{RUN}")
found = sorted(
    {html.unescape(each) for each in re.findall(r'(?:href|src|data-changes)="([^"#]+)', page.text)}
)
print(json.dumps({address: client.get(address).status_code for address in found}))
