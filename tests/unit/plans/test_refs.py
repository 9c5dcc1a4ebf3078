"""Names of revisions, of versions, and the loader file of a workflow."""

from __future__ import annotations

import pytest

from chassis.errors import PlanError
from chassis.plans.refs import PlanRef, manifest_of, newest, shard_of, version_of
from tests.with_each import with_each

DIGEST = "0123456789ab"


@pytest.mark.parametrize("retired", [False, True])
def test_a_revisions_name_is_read_back_as_the_same_revision(retired: bool) -> None:
    ref = PlanRef("add_pet", 12, DIGEST, retired=retired)
    assert PlanRef.parse("add_pet", ref.name) == ref
    assert ref.path == f"add_pet/000012-{DIGEST}{'.retired' if retired else ''}.yaml"


@with_each(
    "workflow_id",
    [
        "",
        "..",
        "../etc",
        "a/b",
        "/etc",
        "a\x00b",
        "a\n",
        "A",
        "1a",
        "_a",
        ".versions",
        "a.b",
        "ä",
        "a" * 101,
        "%2e",
    ],
)
def test_no_path_trick_can_be_a_workflows_id(workflow_id: str) -> None:
    with pytest.raises(PlanError) as caught:
        PlanRef(workflow_id, 1, DIGEST)
    assert repr(workflow_id) in str(caught.value)
    assert PlanRef.parse(workflow_id, f"000001-{DIGEST}.yaml") is None


@pytest.mark.parametrize(
    ("revision", "digest12"),
    [
        (0, DIGEST),
        (-1, DIGEST),
        (1_000_000, DIGEST),
        (1, "../../../etc"),
        (1, DIGEST[:-1]),
        (1, DIGEST.upper()),
    ],
)
def test_no_path_trick_can_be_a_revision(revision: int, digest12: str) -> None:
    with pytest.raises(PlanError):
        PlanRef("add_pet", revision, digest12)


@pytest.mark.parametrize(
    "name",
    [
        f"000001-{DIGEST}.yaml~",
        f".000001-{DIGEST}.yaml.8f.tmp",
        f"000001-{DIGEST}.yaml\n",
        f"00001-{DIGEST}.yaml",
        f"000000-{DIGEST}.yaml",
        f"٠٠٠٠٠١-{DIGEST}.yaml",
        f"000001-{DIGEST}.json",
        "notes.txt",
    ],
)
def test_a_file_that_is_no_revision_is_passed_over(name: str) -> None:
    assert PlanRef.parse("add_pet", name) is None


def test_the_newest_revision_of_each_workflow_is_its_head_in_whatever_order_they_are_listed() -> None:
    refs = [
        PlanRef("b", 2, DIGEST),
        PlanRef("a", 10, DIGEST),
        PlanRef("b", 1, DIGEST),
        PlanRef("a", 9, DIGEST),
    ]
    expected = {"a": PlanRef("a", 10, DIGEST), "b": PlanRef("b", 2, DIGEST)}
    for listing in (refs, refs[::-1]):
        assert list(newest(listing).items()) == list(expected.items())


def test_the_same_heads_are_the_same_version_and_any_other_head_is_another() -> None:
    heads = {"a": PlanRef("a", 1, DIGEST), "b": PlanRef("b", 1, DIGEST)}
    others = [
        {},
        {"a": heads["a"]},
        heads | {"c": PlanRef("c", 1, DIGEST)},
        heads | {"b": PlanRef("b", 2, DIGEST)},
        heads | {"b": PlanRef("b", 1, "ba9876543210")},
        heads | {"b": PlanRef("b", 1, DIGEST, retired=True)},
    ]
    version = version_of(manifest_of(heads))
    assert version == version_of(manifest_of(dict(reversed(heads.items()))))
    assert len({version, *(version_of(manifest_of(other)) for other in others)}) == len(others) + 1


def test_a_workflow_belongs_to_the_same_loader_file_in_every_release() -> None:
    """Another file would make Airflow see its DAG leave one file and appear in another."""
    assert [shard_of(name, 16) for name in ("add_pet", "calculate_sum", "onboard")] == [7, 12, 2]


def test_workflows_spread_over_all_loader_files() -> None:
    sizes = [0] * 16
    for number in range(400):
        sizes[shard_of(f"workflow_{number}", 16)] += 1
    assert min(sizes) >= 10, sizes
    assert max(sizes) <= 50, sizes
