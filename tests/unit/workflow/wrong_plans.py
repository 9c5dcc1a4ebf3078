"""The table of wrong plans: each is one edit of a plan that is right."""

from __future__ import annotations

from dataclasses import dataclass

_SCHEMA = """\
      type: object
      properties: {services: {type: array, items: {type: string}}, note: {type: string}}
"""

PLAN = """\
schema_version: 1
id: add_pet_insurance
title: Add the pet insurance product
requirement: Add pet insurance product to all services
inputs:
  product: {type: string, default: pet insurance}
  regions: {type: array, default: [de, fr]}
schedule: {cron: "0 6 * * 1", timezone: Europe/Berlin}
owner: insurance
tags: [onboarding]
limits: {budget_usd: 5.0, max_parallel: 8, per_task: {max_calls: 9}}
tasks:
  - id: discover
    name: Find the services
    instruction: List the services that sell {product}.
    output_schema:
      type: object
      properties: {services: {type: array, items: {type: string}}, note: {type: string}}
  - id: build
    name: Build
    instruction: Add {product} to {item}.
    for_each: {output_of: discover, path: services}
    depends_on: [discover]
    retries: 2
  - id: verify
    name: Verify
    instruction: Verify {product} in {item}.
    for_each: {same_as: build}
    depends_on: [build]
  - id: translate
    name: Translate
    instruction: Translate it for {item}.
    for_each: {input: regions}
  - id: deploy
    name: Deploy
    instruction: Deploy it to service {item}.
    for_each: {items: [pricing, claims]}
    depends_on: [verify, translate]
  - id: report
    name: Report
    instruction: Report on {product}.
    depends_on: [deploy]
"""
SERVICES = ("pricing", "claims", "contracts")
AGENTS = ("task-executor", "reviewer")


@dataclass(frozen=True)
class Case:
    """``old`` in the plan becomes ``new``; then there is a fault with this code, place and words."""

    old: str
    new: str
    code: str
    where: str
    words: str

    def __str__(self) -> str:
        return f"{self.code}: {self.new[:40]}"

    @property
    def text(self) -> str:
        assert PLAN.count(self.old) == 1, f"{self.old!r} must be in the plan once"
        return PLAN.replace(self.old, self.new)


STRUCTURE = [
    Case("title: Add the pet insurance product\n", "", "missing", "the plan", "title is missing"),
    Case("    name: Verify\n", "", "missing", "task 'verify'", "name is missing"),
    Case("  - id: verify\n    name", "  - name", "missing", "tasks[2]", "id is missing"),
    Case("owner:", "ownr:", "unknown_key", "the plan", "'ownr' is not a valid key; did you mean 'owner'?"),
    Case(
        "retries: 2",
        "retrys: 2",
        "unknown_key",
        "task 'build'",
        "'retrys' is not a valid key; did you mean 'retries'?",
    ),
    Case(
        "{same_as: build}",
        "{sameas: build}",
        "unknown_key",
        "task 'verify'",
        "of for_each; did you mean 'same_as'?",
    ),
    Case("timezone:", "time_zone:", "unknown_key", "schedule", "did you mean 'timezone'?"),
    Case("default: pet", "defualt: pet", "unknown_key", "input 'product'", "did you mean 'default'?"),
    Case(
        "name: Verify",
        "name: 7",
        "wrong_type",
        "task 'verify'",
        'name must be text, not the number 7; write it in quotes: "7"',
    ),
    Case("id: verify", "id: 7", "wrong_type", "tasks[2]", "id must be text"),
    Case(
        "retries: 2",
        "retries: two",
        "wrong_type",
        "task 'build'",
        "retries must be a whole number, not the text 'two'",
    ),
    Case("retries: 2", "retries: 2.5", "wrong_type", "task 'build'", "retries must be a whole number"),
    Case(
        "budget_usd: 5.0",
        "budget_usd: $5",
        "wrong_type",
        "limits",
        "budget_usd must be a number, not the text '$5'",
    ),
    Case(
        "Europe/Berlin}",
        "UTC, catchup: yes}",
        "wrong_type",
        "schedule",
        "catchup must be true or false, not the text 'yes'",
    ),
    Case(
        "[deploy]",
        "deploy",
        "wrong_type",
        "task 'report'",
        "depends_on must be a list, not the text 'deploy'; write [deploy]",
    ),
    Case(
        "{items: [pricing, claims]}",
        "[pricing]",
        "wrong_type",
        "task 'deploy'",
        "write it like {items: [a, b]}",
    ),
    Case(
        '{cron: "0 6 * * 1", timezone: Europe/Berlin}', "daily", "wrong_type", "schedule", "must be a mapping"
    ),
    Case(
        "{type: string, default: pet insurance}", "pet", "wrong_type", "input 'product'", "must be a mapping"
    ),
    Case(
        "[pricing, claims]", "[pricing, 404]", "wrong_type", "task 'deploy'", "for_each.items[1] must be text"
    ),
    Case("schema_version: 1", "schema_version: true", "wrong_type", "schema_version", "must be 1"),
    Case(
        "schema_version: 1",
        "schema_version: 2",
        "not_allowed",
        "schema_version",
        "must be 1, not the number 2",
    ),
    Case("{type: string,", "{type: strng,", "not_allowed", "input 'product'", "did you mean 'string'?"),
    Case('cron: "0 6 * * 1"', 'preset: "@dayly"', "not_allowed", "schedule", "did you mean '@daily'?"),
    Case(
        "[pricing, claims]",
        "[1.10]",
        "wrong_type",
        "task 'deploy'",
        'not the number 1.10; write it in quotes: "1.10"',
    ),
    Case("[pricing, claims]", "[12e4567]", "bad_number", "task 'deploy'", 'a text goes in quotes: "12e4567"'),
    Case(
        "[pricing, claims]",
        "[yes, true]",
        "wrong_type",
        "task 'deploy'",
        "write it in quotes if it is a text",
    ),
    Case("default: pet insurance}", "default: 1.10}", "bad_default", "input 'product'", 'quotes: "1.10"'),
    Case("[de, fr]", "[2.0, fr]", "bad_default", "input 'regions'", 'quotes: "2.0"'),
    Case(
        "[pricing, claims]",
        '["caf\\xe9", "cafe\\u0301"]',
        "bad_items",
        "task 'deploy'",
        "'caf\xe9' is there 2 times",
    ),
    Case("name: Report", "name: ' '", "blank", "task 'report'", "name must not be blank"),
    Case("title: Add the pet insurance product", "title: ''", "blank", "title", "must not be blank"),
    Case("name: Report", 'name: "a\\nb"', "not_one_line", "task 'report'", "name must be one line"),
    Case(
        "name: Report",
        f"name: {'x' * 201}",
        "too_long",
        "task 'report'",
        "name has 201 characters, and at most 200",
    ),
    Case("Add pet insurance product to", "x" * 100_001, "too_long", "requirement", "at most 100,000"),
    Case(
        "type: object\n",
        f"type: object\n      title: {'x' * 20_000}\n",
        "too_long",
        "task 'discover'",
        "output_schema has",
    ),
    Case(
        "[onboarding]",
        str([f"t{n}" for n in range(51)]),
        "too_many",
        "tags",
        "has 51 entries, and at most 50",
    ),
    Case("retries: 2", "retries: 21", "out_of_range", "task 'build'", "retries must be at most 20, not 21"),
    Case("retries: 2", "retries: -1", "out_of_range", "task 'build'", "retries must be at least 0, not -1"),
    Case("budget_usd: 5.0", "budget_usd: 0", "out_of_range", "limits", "budget_usd must be more than 0"),
    Case("max_calls: 9", "max_calls: 0", "out_of_range", "limits.per_task", "max_calls must be more than 0"),
    Case("max_calls: 9", "max_call: 9", "unknown_key", "limits.per_task", "did you mean 'max_calls'?"),
    Case("retries: 2", "retries: 99999999999999999", "bad_number", "task 'build'", "between -2^53 and 2^53"),
    Case("budget_usd: 5.0", "budget_usd: 1e999", "bad_number", "limits", "not 1e999"),
    Case(
        "owner: insurance",
        "provenance: {planner_model: m, agents: {}, planned_at: today, planner_run: r}",
        "bad_time",
        "provenance",
        "planned_at must be a time such as 2026-03-01",
    ),
]

NAMES = [
    Case(
        "id: add_pet_insurance", "id: Add-Pet", "bad_id", "id", "'Add-Pet' must be a lower-case letter, then"
    ),
    Case(
        "id: add_pet_insurance",
        "id: plan_workflow",
        "bad_id",
        "id",
        "is the id of a DAG that ships with Chassis",
    ),
    Case("id: translate", "id: 2nd_task", "bad_id", "tasks[3]", "id '2nd_task' must be a lower-case letter"),
    Case("id: translate", "id: trans__late", "bad_id", "tasks[3]", "must not have __"),
    Case("  product: {type", "  Product: {type", "bad_id", "inputs", "the name 'Product' must be"),
    Case("  regions: {type", "  item: {type", "bad_id", "inputs", "the name 'item' is taken"),
    Case(
        "  regions: {type",
        "  carry_over_from: {type",
        "bad_id",
        "inputs",
        "the name 'carry_over_from' is taken",
    ),
    Case("id: translate", "id: verify", "duplicate_id", "tasks[3]", "id 'verify' is the id of tasks[2], too"),
    Case(
        "[onboarding]",
        "['plan:0e24a65c2996']",
        "reserved_tag",
        "tags[0]",
        "is a tag that Chassis sets itself",
    ),
    Case("[onboarding]", "[a, a]", "duplicate_tag", "tags[1]", "'a' is there twice"),
    Case(
        "    name: Report",
        "    name: Report\n    agent: revewer",
        "unknown_agent",
        "task 'report'",
        "'revewer'; did you mean 'reviewer'?",
    ),
    Case(
        "[pricing, claims]",
        "[pricing, clams]",
        "unknown_service",
        "task 'deploy'",
        "calls 'clams' a service, which is not in the catalogue; did you mean 'claims'?",
    ),
    Case(
        "[pricing, claims]",
        "[other]",
        "unknown_service",
        "task 'deploy'",
        "calls 'other' a service, which is not in the catalogue; there are claims, contracts, pricing",
    ),
]

DEPENDENCIES = [
    Case(
        "depends_on: [build]",
        "depends_on: [biuld]",
        "unknown_dependency",
        "task 'verify'",
        "depends on 'biuld', which does not exist; did you mean 'build'?",
    ),
    Case(
        "depends_on: [deploy]",
        "depends_on: [report]",
        "self_dependency",
        "task 'report'",
        "depends on itself",
    ),
    Case(
        "depends_on: [deploy]",
        "depends_on: [deploy, deploy]",
        "duplicate_dependency",
        "task 'report'",
        "depends on 'deploy' twice",
    ),
    Case(
        "    output_schema:",
        "    depends_on: [report]\n    output_schema:",
        "cycle",
        "task 'discover'",
        "discover -> build -> verify -> deploy -> report -> discover",
    ),
]

FAN_OUT = [
    Case(
        "{items: [pricing, claims]}",
        "{items: [a], input: regions}",
        "for_each_source",
        "task 'deploy'",
        "for_each must have exactly one of items, input, output_of, same_as; it has items and input",
    ),
    Case("{items: [pricing, claims]}", "{}", "for_each_source", "task 'deploy'", "it has none of them"),
    Case(
        "{items: [pricing, claims]}",
        "{items: []}",
        "no_items",
        "task 'deploy'",
        "for_each.items must have at least one item",
    ),
    Case("[pricing, claims]", "[a, b, a]", "bad_items", "task 'deploy'", "'a' is there 2 times"),
    Case("[pricing, claims]", "[a, ' ']", "bad_items", "task 'deploy'", "[1] must not be blank"),
    Case("[pricing, claims]", f"[{'x' * 201}]", "bad_items", "task 'deploy'", "[0] has 201 characters"),
    Case(
        "[pricing, claims]",
        '["a\\u0007"]',
        "bad_items",
        "task 'deploy'",
        "must be one line without control characters",
    ),
    Case(
        "[pricing, claims]",
        str([f"i{n}" for n in range(1001)]),
        "too_many",
        "task 'deploy'",
        "for_each.items has 1,001 entries",
    ),
    Case("default: [de, fr]", "default: [de, de]", "bad_items", "input 'regions'", "'de' is there 2 times"),
    Case(
        "{input: regions}",
        "{input: region}",
        "unknown_input",
        "task 'translate'",
        "'region', which does not exist; did you mean 'regions'?",
    ),
    Case(
        "{input: regions}",
        "{input: product}",
        "input_not_array",
        "task 'translate'",
        "not an array but of type string",
    ),
    Case("{same_as: build}", "{same_as: biuld}", "unknown_task", "task 'verify'", "did you mean 'build'?"),
    Case(
        "{output_of: discover, path",
        "{output_of: dicsover, path",
        "unknown_task",
        "task 'build'",
        "did you mean 'discover'?",
    ),
    Case(
        "{same_as: build}", "{same_as: verify}", "same_as_itself", "task 'verify'", "which is the task itself"
    ),
    Case(
        "{same_as: build}",
        "{same_as: discover}",
        "same_as_unmapped",
        "task 'verify'",
        "which has no for_each",
    ),
    Case(
        "{items: [pricing, claims]}",
        "{same_as: verify}",
        "same_as_chain",
        "task 'deploy'",
        "write same_as: build",
    ),
    Case(
        "depends_on: [discover]",
        "depends_on: []",
        "items_not_upstream",
        "task 'build'",
        "add discover to depends_on",
    ),
    Case(
        "{items: [pricing, claims]}",
        "{output_of: verify}",
        "nested_for_each",
        "task 'deploy'",
        "a fan-out inside a fan-out",
    ),
    Case(
        "{items: [pricing, claims]}",
        "{output_of: build}",
        "nested_for_each",
        "task 'deploy'",
        "'build', which is mapped itself",
    ),
    Case(
        f"    output_schema:\n{_SCHEMA}",
        "",
        "items_without_schema",
        "task 'build'",
        "'discover', which has no output_schema",
    ),
    Case(
        "path: services",
        "path: servces",
        "items_no_list",
        "task 'build'",
        "has no 'servces'; did you mean 'services'?",
    ),
    Case(
        "path: services",
        "path: note",
        "items_no_list",
        "task 'build'",
        "is of type string at 'note', not array",
    ),
    Case(
        "{output_of: discover, path: services}",
        "{output_of: discover}",
        "items_no_list",
        "task 'build'",
        "is of type object, not array; add a path",
    ),
    Case("path: services", "path: a..b", "bad_path", "task 'build'", "'a..b' must be names with single dots"),
    Case(
        "{input: regions}",
        "{input: regions, path: a}",
        "path_without_output_of",
        "task 'translate'",
        "only goes with output_of",
    ),
    Case(
        "    depends_on: [verify, translate]",
        "    depends_on: [verify, translate]\n"
        "  - id: again\n    name: Again\n    instruction: Again.\n"
        "    for_each: {same_as: build}\n    depends_on: [report]",
        "waits_for_own_group",
        "task 'again'",
        "'again' waits for 'report'",
    ),
]

TEXTS = [
    Case(
        "{type: string, default: pet insurance}",
        "{type: integer, default: true}",
        "bad_default",
        "input 'product'",
        "default must be a whole number, not true",
    ),
    Case(
        "Add {product} to {item}.",
        "Add {prodct} to {item}.",
        "unknown_placeholder",
        "task 'build'",
        "{prodct}, which is not a declared input; did you mean {product}?",
    ),
    Case(
        "Add {product} to {item}.",
        "GET /users/{user_id}",
        "unknown_placeholder",
        "task 'build'",
        "write <user_id> for plain text",
    ),
    Case(
        "Report on {product}.",
        "Report on {item}.",
        "item_without_for_each",
        "task 'report'",
        "the task has no for_each",
    ),
    Case(
        "default: pet insurance}",
        "default: 5}",
        "bad_default",
        "input 'product'",
        "default must be text, not the number 5",
    ),
    Case(
        "default: [de, fr]}",
        "default: [1]}",
        "bad_default",
        "input 'regions'",
        "default must be a list of texts",
    ),
    Case(
        "type: object\n",
        "type: objekt\n",
        "bad_output_schema",
        "task 'discover'",
        "output_schema is not a valid JSON schema: at type:",
    ),
    Case(
        "note: {type: string}",
        "note: {$ref: 'https://example.com/note'}",
        "bad_output_schema",
        "task 'discover'",
        "refers to 'https://example.com/note', which is not in it",
    ),
    Case(
        "note: {type: string}",
        "note: {$ref: '#/properties/note'}",
        "bad_output_schema",
        "task 'discover'",
        "refers to itself",
    ),
    Case(
        "note: {type: string}",
        "note: {type: string, pattern: '(a+)+$'}",
        "bad_output_schema",
        "task 'discover'",
        "uses 'pattern', which is not checked",
    ),
    Case(
        "note: {type: string}",
        "note: {type: string, unevaluatedProperties: false}",
        "bad_output_schema",
        "task 'discover'",
        "uses 'unevaluatedProperties', which takes twice as long to check with each level",
    ),
    Case(
        "note: {type: string}",
        "note: {$id: 'https://example.com/note'}",
        "bad_output_schema",
        "task 'discover'",
        "uses '$id', which changes what references mean",
    ),
    Case(
        "note: {type: string}",
        "note: {default: [{__type: airflow.sdk.Asset}]}",
        "bad_output_schema",
        "task 'discover'",
        "has the key '__type', by which Airflow knows its own objects",
    ),
]

SCHEDULES = [
    Case(
        'cron: "0 6 * * 1"',
        'cron: "0 6 * *"',
        "bad_cron",
        "schedule",
        "must be minute, hour, day, month and weekday",
    ),
    Case(
        'cron: "0 6 * * 1"',
        'cron: "0 25 * * 1"',
        "bad_cron",
        "schedule",
        "has '25' for the hour, which Airflow can't run by",
    ),
    Case(
        'cron: "0 6 * * 1"',
        f'cron: "{"0," * 100}0 6 * * 1"',
        "bad_cron",
        "schedule",
        "must be minute, hour, day, month and weekday",
    ),
    Case('cron: "0 6 * * 1"', 'cron: "0 0 30 2 *"', "bad_cron", "schedule", "names a date that never comes"),
    Case(
        'cron: "0 6 * * 1"', 'cron: "@once"', "not_allowed", "schedule", "preset must be '@hourly', '@daily'"
    ),
    Case(
        'cron: "0 6 * * 1"', 'cron: "0 0 6 * * 1"', "bad_cron", "schedule", "has 6 fields; leave out seconds"
    ),
    Case(
        'cron: "0 6 * * 1"',
        'cron: "0 6 ? * 1"',
        "bad_cron",
        "schedule",
        "has a '?', which Airflow doesn't know",
    ),
    Case(
        'cron: "0 6 * * 1"',
        'cron: "0 6 * * 5L"',
        "bad_cron",
        "schedule",
        "which Airflow can't run by; write L5 for the last one",
    ),
    Case('cron: "0 6 * * 1"', 'cron: "0 0 31 2 *"', "bad_cron", "schedule", "names a date that never comes"),
    Case(
        'cron: "0 6 * * 1"',
        'cron: "R 6 * * 1"',
        "bad_cron",
        "schedule",
        "must be minute, hour, day, month and weekday",
    ),
    Case("Europe/Berlin", "Europe/Berln", "unknown_timezone", "schedule", "did you mean 'Europe/Berlin'?"),
    Case(
        '{cron: "0 6 * * 1", timezone: Europe/Berlin}',
        "{timezone: UTC}",
        "schedule_kind",
        "schedule",
        "exactly one of cron, preset, asset; it has none",
    ),
    Case(
        '{cron: "0 6 * * 1",',
        '{cron: "0 6 * * 1", asset: a,',
        "schedule_kind",
        "schedule",
        "it has cron and asset",
    ),
    Case('cron: "0 6 * * 1"', "asset: a", "schedule_kind", "schedule", "which don't go with asset"),
    Case(
        "{type: string, default: pet insurance}",
        "{type: string}",
        "input_without_default",
        "input 'product'",
        "nobody gives inputs to a scheduled run",
    ),
]

YAML = [
    Case("inputs:", "inputs: [", "not_yaml", "line 7, column 3", "is not YAML"),
    Case("title: Add the pet", "title: \x01", "not_yaml", "the text", "control characters"),
    Case(
        "owner: insurance",
        "title: Again",
        "duplicate_key",
        "line 9, column 1",
        "has the key 'title' a second time",
    ),
    Case("owner: insurance", "owner: !%ED%A0%80 me", "not_yaml", "the text", "escapes are not UTF-8"),
    Case("owner: insurance", "owner: &me insurance", "yaml_alias", "line 9, column 8", "has the anchor &me"),
    Case("owner: insurance", "owner: *me", "yaml_alias", "line 9, column 8", "has the alias *me"),
    Case(
        "owner: insurance",
        "owner: !!python/name:os.system x",
        "yaml_tag",
        "line 9, column 8",
        "only plain data is read",
    ),
    Case(
        "owner: insurance",
        "? [a]\n: b",
        "key_not_text",
        "line 9, column 3",
        "has a key that isn't a plain text",
    ),
    Case(
        "owner: insurance",
        f"owner: {'[' * 70}{']' * 70}",
        "too_deep",
        "line 9, column 71",
        "more than 64 levels",
    ),
    Case(
        "    depends_on: [deploy]\n",
        "    depends_on: [deploy]\n---\na: b\n",
        "several_documents",
        "line 44, column 1",
        "there must be one",
    ),
    Case("owner: insurance", f"owner: {'x' * 1_000_000}", "text_too_long", "the text", "at most 1,000,000"),
]

CASES = [*STRUCTURE, *NAMES, *DEPENDENCIES, *FAN_OUT, *TEXTS, *SCHEDULES, *YAML]
