"""The catalogue of services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from chassis.catalogue import Catalogue, Service, load_catalogue
from chassis.errors import DefinitionError
from chassis.settings import shipped

if TYPE_CHECKING:
    from pathlib import Path

SEVEN = ("availability", "contracts", "recommendation", "pricing", "claims", "notifications", "documents")


def load(folder: Path, text: str) -> Catalogue:
    path = folder / "services.yaml"
    path.write_text(text)
    return load_catalogue(path)


def test_the_shipped_catalogue_is_an_insurance_platform_of_seven_services() -> None:
    catalogue = load_catalogue(shipped("services.yaml"))
    assert catalogue.names == SEVEN
    assert all(service.description.endswith(".") for service in catalogue.services)


def test_a_service_is_found_by_its_name() -> None:
    catalogue = load_catalogue(shipped("services.yaml"))
    assert catalogue.find("claims") == catalogue.services[4]
    assert catalogue.find("Claims") is None


def test_the_catalogue_is_written_as_it_is_read(tmp_path: Path) -> None:
    catalogue = load(
        tmp_path,
        "services:\n- {name: pricing, description: Premiums., repository: git@example.com:pricing.git}\n"
        "- {name: 'no', description: 'a: b'}\n",
    )
    assert load(tmp_path, catalogue.to_yaml()) == catalogue
    assert yaml.safe_load(catalogue.to_yaml())["services"][1] == {"name": "no", "description": "a: b"}
    assert catalogue.services[0].to_yaml().startswith("name: pricing\ndescription: Premiums.\nrepository:")


def test_a_platform_may_have_no_services(tmp_path: Path) -> None:
    assert load(tmp_path, "services: []").names == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file: must be a mapping with services, not nothing (null)"),
        ("service: []", "'service' is not a valid key; did you mean 'services'?"),
        ("services: pricing", "services: must be a list of entries, not the text 'pricing'"),
        ("services: [", "line 2, column 1: is not YAML"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused_with_all_faults(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(DefinitionError) as refused:
        load(tmp_path, text)
    assert words in refused.value.message
    assert str(tmp_path / "services.yaml") in refused.value.message


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{name: a}", "services[1]: description is missing"),
        (
            "{name: a, description: b, repo: c}",
            "services[1]: 'repo' is not a valid key; there are description, name, repository",
        ),
        (
            '{name: a, description: "b", repository: 3}',
            "services[1]: repository must be text, not the number 3",
        ),
    ],
)
def test_a_wrong_detail_is_named_and_left_out(tmp_path: Path, entry: str, said: str) -> None:
    catalogue = load(tmp_path, f"services:\n- {{name: z, description: Z.}}\n- {entry}\n")
    assert catalogue.names == ("z", "a")
    assert [str(each).split("; write")[0] for each in catalogue.faults] == [said]
    assert load_catalogue(tmp_path / "services.yaml", complete=True) == catalogue


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("pricing", "services[1]: must be a mapping with name and description, not the text 'pricing'"),
        ("{name: 1.10, description: b}", "services[1]: name must be text, not the number 1.1"),
        ("{name: ' ', description: b}", "services[1]: name must not be blank"),
        ("{description: b}", "services[1]: name is missing"),
        (
            "{name: z, description: b}",
            "services[1]: 'z' is the name of an entry before it, too; keep one of them",
        ),
    ],
)
def test_an_entry_without_a_name_of_its_own_is_left_out_of_a_run_and_keeps_from_planning(
    tmp_path: Path, entry: str, said: str
) -> None:
    catalogue = load(tmp_path, f"services:\n- {{name: z, description: Z.}}\n- {entry}\n")
    assert catalogue.names == ("z",)
    assert str(catalogue.lost[0]).startswith(said)
    with pytest.raises(DefinitionError, match="is wrong"):
        load_catalogue(tmp_path / "services.yaml", complete=True)


def test_a_description_over_several_lines_is_one_line(tmp_path: Path) -> None:
    catalogue = load(tmp_path, "services:\n- name: a\n  description: >\n    One\n    two.\n\n")
    assert catalogue.services[0].description == "One two."


def test_a_catalogue_that_is_not_there_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"No such file or directory.*\[chassis\] services_file"):
        load_catalogue(tmp_path / "nowhere.yaml")


def test_a_service_is_frozen() -> None:
    service = Service(name="a", description="b")
    with pytest.raises(ValueError, match="frozen"):
        service.name = "c"  # type: ignore[misc]
