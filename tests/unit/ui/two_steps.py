"""A plan in which each of two items goes through two steps, as the board and the reader of a run are tried with."""

from __future__ import annotations

PLAN = """
schema_version: 1
id: two_steps
title: Two steps
requirement: Do it for both.
tasks:
  - {id: prepare, name: Prepare, instruction: Prepare., agent: task-executor}
  - {id: do, name: Do it, instruction: "Do {item}.", agent: task-executor, depends_on: [prepare],
     for_each: {items: [one, two]}}
  - {id: verify, name: Verify, instruction: "Verify {item}.", agent: task-executor, depends_on: [do],
     for_each: {same_as: do}}
  - {id: join, name: Join, instruction: Join., agent: task-executor, depends_on: [verify]}
"""
