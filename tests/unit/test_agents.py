"""Agent definition files: what is read from them, and what is said of wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chassis.agents import AgentDefinition, load_agent, load_agents
from chassis.errors import DefinitionError
from chassis.settings import shipped

if TYPE_CHECKING:
    from pathlib import Path

FRONT = "name: reviewer\ndescription: Reviews work.\n"


def write(folder: Path, front: str, prompt: str = "You review work.", *, name: str = "a.md") -> Path:
    (folder / name).write_text(f"---\n{front}---\n\n{prompt}\n", encoding="utf-8")
    return folder


def fault(folder: Path) -> str:
    with pytest.raises(DefinitionError) as refused:
        load_agents(folder)
    return refused.value.message


def test_the_shipped_agents_are_a_planner_and_an_executor() -> None:
    agents = load_agents(shipped("agents"))
    assert list(agents) == ["planning-agent", "task-executor"]
    for agent in agents.values():
        assert agent.description.endswith(".")
        assert "<data-" in agent.prompt, "an agent must know what the fences around data mean"
        assert len(agent.digest) == 64


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            "planning-agent",
            ["depends_on", "for_each", "same_as", "output_of", "{item}", "output_schema", "faults"],
        ),
        ("task-executor", ["blocked", "completed", "summary", "output", "reason", "item"]),
    ],
)
def test_the_shipped_prompts_speak_of_what_the_answer_has(agent: str, words: list[str]) -> None:
    prompt = load_agent(shipped("agents"), agent).prompt
    assert [word for word in words if word not in prompt] == []


def test_front_matter_and_prompt_are_read(tmp_path: Path) -> None:
    front = (
        FRONT + "model: us.anthropic.claude-opus-4-6-v1\ntools: Read, Grep\nmax_turns: 5\nmax_tokens: 4000\n"
    )
    agent = load_agent(write(tmp_path, front, "One.\n\n---\n\nTwo."), "reviewer")
    assert agent == AgentDefinition(
        name="reviewer",
        description="Reviews work.",
        prompt="One.\n\n---\n\nTwo.",
        model="us.anthropic.claude-opus-4-6-v1",
        tools=("Read", "Grep"),
        max_turns=5,
        max_tokens=4000,
    )


def test_a_file_of_claude_code_or_of_windows_is_read_as_well(tmp_path: Path) -> None:
    front = "name: reviewer\r\ndescription: Reviews.\r\ntools: [Read]\r\nmodel: inherit\r\ncolor: blue"
    text = f"\ufeff---\r\n{front}\r\n---\r\nYou review.\r\n"
    (tmp_path / "x.md").write_bytes(text.encode())
    agent = load_agent(tmp_path, "reviewer")
    assert (agent.prompt, agent.tools, agent.model) == ("You review.", ("Read",), None)


DIFFERENT = {
    "name": FRONT.replace("reviewer", "other"),
    "description": FRONT.replace("work", "plans"),
    "model": FRONT + "model: m\n",
    "tools": FRONT + "tools: Read\n",
    "max_turns": FRONT + "max_turns: 2\n",
    "max_tokens": FRONT + "max_tokens: 500\n",
}


@pytest.mark.parametrize(
    "field", [name for name in AgentDefinition.model_fields if name not in ("prompt", "color")]
)
def test_the_digest_changes_with_every_field(tmp_path: Path, field: str) -> None:
    (agent,) = load_agents(write(tmp_path, FRONT)).values()
    (other,) = load_agents(write(tmp_path, DIFFERENT[field])).values()
    assert other.digest != agent.digest


def test_the_digest_changes_with_the_prompt_and_not_with_the_colour(tmp_path: Path) -> None:
    (agent,) = load_agents(write(tmp_path, FRONT)).values()
    (coloured,) = load_agents(write(tmp_path, FRONT + "color: red\n")).values()
    (other,) = load_agents(write(tmp_path, FRONT, "Other.")).values()
    assert coloured.digest == agent.digest != other.digest


@pytest.mark.parametrize(
    ("front", "words"),
    [
        ("name: reviewer\n", "a.md: description is missing"),
        (FRONT + "colour: red\n", "a.md: 'colour' is no key; did you mean 'color'?"),
        (FRONT + "maxTurns: 3\n", "a.md: 'maxTurns' is no key; did you mean 'max_turns'?"),
        (FRONT + "permissionMode: plan\n", "a.md: 'permissionMode' is no key"),
        (
            FRONT + "model: opus\n",
            "model 'opus' is a short name; write the Bedrock model id or inference profile",
        ),
        (FRONT + "max_turns: many\n", "max_turns must be a whole number, not the text 'many'"),
        (FRONT + "max_turns: 0\n", "max_turns must be at least 1, not 0"),
        (FRONT + "tools: 3\n", "tools must be a list, not the number 3"),
        (FRONT + "prompt: x\n", "the prompt is the text after it"),
        (FRONT.replace("reviewer", "The Reviewer"), "name 'The Reviewer' must be a lower-case letter"),
        (FRONT.replace("Reviews work.", "''"), "description must not be blank"),
        (FRONT + "name: again\n", "a.md: line 4, column 1: has the key 'name' a second time"),
        ("- reviewer\n", "the front matter must be a mapping"),
        ("name: [\n", "is not YAML"),
    ],
)
def test_wrong_front_matter_is_refused_with_the_file_and_the_fault(
    tmp_path: Path, front: str, words: str
) -> None:
    assert words in fault(write(tmp_path, front))


def test_a_file_without_a_prompt_is_refused(tmp_path: Path) -> None:
    assert "a.md: prompt must not be blank" in fault(write(tmp_path, FRONT, ""))


@pytest.mark.parametrize("text", ["", "You review work.", "---\nname: x\n", "# Agents\n---\n---\n"])
def test_a_file_without_front_matter_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_text(text)
    assert "README.md: must begin with front matter" in fault(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_bytes(b"---\xff")
    assert "x.md: can't be read" in fault(tmp_path)


def test_the_faults_of_all_files_are_listed_at_once(tmp_path: Path) -> None:
    write(tmp_path, "name: a\n", name="a.md")
    write(tmp_path, FRONT + "max_turns: 0\nmodell: x\n", name="b.md")
    message = fault(tmp_path)
    assert [line.split(":")[0] for line in message.splitlines() if line.startswith("-")] == [
        "- a.md",
        "- b.md",
        "- b.md",
    ]


def test_two_files_may_not_define_the_same_agent(tmp_path: Path) -> None:
    write(write(tmp_path, FRONT, name="a.md"), FRONT, name="b.md")
    assert "b.md: name 'reviewer' is the name of the agent in a.md, too" in fault(tmp_path)
    with pytest.raises(DefinitionError, match="too"):
        load_agent(tmp_path, "reviewer")


def test_a_broken_file_does_not_keep_another_agent_from_its_work(tmp_path: Path) -> None:
    write(write(tmp_path, FRONT), "name: [\n", name="broken.md")
    assert load_agent(tmp_path, "reviewer").name == "reviewer"
    with pytest.raises(DefinitionError, match=r"broken\.md"):
        load_agent(tmp_path, "other")


def test_an_unknown_agent_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(
        DefinitionError, match=r"There is no agent 'reviwer' in .*; did you mean 'reviewer'\?"
    ):
        load_agent(write(tmp_path, FRONT), "reviwer")


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_a_folder_without_agents_is_refused_with_the_way_out(tmp_path: Path, folder: str) -> None:
    with pytest.raises(DefinitionError, match=r"has no agent files .* \[chassis\] agents_folder"):
        load_agents(tmp_path / folder)
