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
        ("", "must be a mapping, not nothing (null)"),
        ("service: []", "'service' is no key; did you mean 'services'?"),
        ("services: pricing", "services must be a list, not the text 'pricing'; write [pricing]"),
        ("services: [pricing]", "services[0] must be a mapping, not the text 'pricing'"),
        ("services: [{name: pricing}]", "services[0].description is missing"),
        ("services: [{name: a, description: b, repo: c}]", "'repo' is no key of services[0]"),
        ("services: [{name: 1, description: b}]", "services[0].name must be text, not the number 1"),
        ("services: [{name: a, description: b}, {name: a, description: c}]", "'a' is there 2 times"),
        ("services: [{name: ' ', description: b}]", "services[0].name must not be blank"),
        ("services: [", "line 2, column 1: is not YAML"),
    ],
)
def test_a_wrong_catalogue_is_refused_with_the_file_and_the_fault(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(DefinitionError) as refused:
        load(tmp_path, text)
    assert words in refused.value.message
    assert str(tmp_path / "services.yaml") in refused.value.message


def test_a_catalogue_that_is_not_there_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"No such file or directory.*\[chassis\] services_file"):
        load_catalogue(tmp_path / "nowhere.yaml")


def test_a_service_is_frozen() -> None:
    service = Service(name="a", description="b")
    with pytest.raises(ValueError, match="frozen"):
        service.name = "c"  # type: ignore[misc]
