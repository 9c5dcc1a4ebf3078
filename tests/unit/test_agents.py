"""Agent definition files: what is read from them, and what is said of wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.agents import AgentDefinition, load_agent, load_agents, read_agents
from chassis.errors import DefinitionError
from chassis.settings import shipped

if TYPE_CHECKING:
    from pathlib import Path

FRONT = "name: reviewer\ndescription: Reviews work.\n"


def write(folder: Path, front: str, prompt: str = "You review work.", *, name: str = "a.md") -> Path:
    (folder / name).write_text(f"---\n{front}---\n\n{prompt}\n", encoding="utf-8")
    return folder


def faults(folder: Path) -> list[str]:
    """What is said of the wrong files; a good one stands beside them."""
    write(folder, "name: good\ndescription: Works.\n", name="zz-good.md")
    read = read_agents(folder)
    assert "good" in read.agents, "a wrong file keeps nobody from using the others"
    return [str(each) for each in read.faults]


def notes(folder: Path) -> list[str]:
    read = read_agents(folder)
    assert not read.faults
    return [str(each) for each in read.notes]


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
    front = FRONT + "model: us.anthropic.claude-opus-4-6-v1\nmax_tokens: 4000\n"
    agent = load_agent(write(tmp_path, front, "One.\n\n---\n\nTwo."), "reviewer")
    assert agent == AgentDefinition(
        name="reviewer",
        description="Reviews work.",
        prompt="One.\n\n---\n\nTwo.",
        model="us.anthropic.claude-opus-4-6-v1",
        max_tokens=4000,
    )


@pytest.mark.parametrize(
    "description",
    [
        "description: >\n  Reviews work:\n  all of it.\n",
        "description: |\n  Reviews work:\n  all of it.\n\n",
        'description: "Reviews work:\n  all of it."\n',
        "description: 'Reviews work:\n\n  all of it.'\n",
        "description: >-\n    Reviews work:\n    all of it.\n",
    ],
)
@pytest.mark.parametrize("order", ["first", "last"])
def test_a_description_over_several_lines_is_one_line(tmp_path: Path, description: str, order: str) -> None:
    front = description + "name: reviewer\n" if order == "first" else "name: reviewer\n" + description
    assert load_agent(write(tmp_path, front), "reviewer").description == "Reviews work: all of it."


def test_a_file_of_windows_is_read_as_well(tmp_path: Path) -> None:
    front = "name: reviewer\r\ndescription: Reviews.\r\nmodel: inherit"
    text = f"\ufeff\r\n---\r\n{front}\r\n---\r\nYou\r\nreview.\r\n"
    (tmp_path / "x.md").write_bytes(text.encode())
    agent = load_agent(tmp_path, "reviewer")
    assert (agent.prompt, agent.model) == ("You\nreview.", None)


def test_what_claude_code_knows_and_tasks_can_not_use_yet_is_noted(tmp_path: Path) -> None:
    front = FRONT + (
        "tools: Read, Grep\ndisallowedTools: [Bash]\npermissionMode: plan\nmaxTurns: 3\nskills: [x]\n"
        "memory: user\nhooks: {PreToolUse: []}\ncolor: blue\nmodel: sonnet[1m]\n"
    )
    keys = ("color", "disallowedTools", "hooks", "maxTurns", "memory", "permissionMode", "skills", "tools")
    expected = [f"a.md: {key} is not used yet" for key in keys]
    model = "a.md: model sonnet[1m] is not used yet: Bedrock doesn't know this name"
    assert notes(write(tmp_path, front)) == sorted([*expected, model])
    assert load_agent(tmp_path, "reviewer").model is None


def test_an_unknown_key_is_noted_with_the_nearest_one(tmp_path: Path) -> None:
    assert notes(write(tmp_path, FRONT + "modle: x\nteam: y\n")) == [
        "a.md: 'modle' is not a known key; did you mean 'model'?",
        "a.md: 'team' is not a known key",
    ]


@pytest.mark.parametrize(
    "flag", ["\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in "gbeng") + "\U000e007f"]
)
def test_an_emoji_with_a_tag_sequence_is_text(tmp_path: Path, flag: str) -> None:
    agent = load_agent(write(tmp_path, f"name: reviewer\ndescription: Reviews {flag} texts.\n"), "reviewer")
    assert agent.description == f"Reviews {flag} texts."


def test_a_tag_that_is_not_in_a_flag_is_still_refused(tmp_path: Path) -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    (fault,) = faults(write(tmp_path, f"name: reviewer\ndescription: Reviews{hidden}.\n"))
    assert "must be one line without control characters" in fault


DIFFERENT = {
    "name": FRONT.replace("reviewer", "other"),
    "description": FRONT.replace("work", "plans"),
    "model": FRONT + "model: anthropic.claude-x\n",
    "max_tokens": FRONT + "max_tokens: 500\n",
    "effort": FRONT + "effort: low\n",
    "thinking": FRONT + "thinking: disabled\n",
}


@pytest.mark.parametrize("field", [name for name in AgentDefinition.model_fields if name != "prompt"])
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
        ("description: Reviews.\n", "a.md: name is missing"),
        (FRONT + "max_tokens: many\n", "a.md: max_tokens must be a whole number, not the text 'many'"),
        (FRONT + "prompt: x\n", "the prompt is the text after it"),
        (FRONT.replace("reviewer", "The Reviewer"), "name 'The Reviewer' must be a lower-case letter"),
        (FRONT.replace("Reviews work.", "''"), "description must not be blank"),
        (FRONT + "name: again\n", "a.md: line 4, column 1: has the key 'name' a second time"),
        (
            "name: reviewer\ndescription: Use it. Example: run it.\n",
            "a.md: line 3: description has a colon, which YAML takes for a key; put the description in quotes",
        ),
        (
            'name: reviewer\ndescription: Say "x": run it.\n',
            "a.md: line 3: description has a colon, which YAML takes for a key; put the description in single quotes",
        ),
        (
            'name: reviewer\ndescription: "Say" it\'s: x\n',
            "line 3: description has a quote that doesn't go around all of it; write `description: >`",
        ),
        (
            "name: reviewer\ndescription: *Important* work.\n",
            "line 3: description begins as no text does in YAML; put the description in quotes",
        ),
        ("name: reviewer\n\tdescription: x\n", "a.md: line 3: begins with a tab; indent with blanks"),
        ("name: [\n", "a.md: line 2: name begins as no text does in YAML; put the name in quotes"),
    ],
)
def test_a_wrong_file_is_named_with_the_fault_in_plain_words(tmp_path: Path, front: str, words: str) -> None:
    (fault,) = faults(write(tmp_path, front))
    assert words in fault


@pytest.mark.parametrize(
    "quoted", ['"Use it. Example: run it."', "'Say \"x\": run it.'", '>\n  "Say" it\'s: x']
)
def test_what_the_faults_advise_works(tmp_path: Path, quoted: str) -> None:
    load_agent(write(tmp_path, f"name: reviewer\ndescription: {quoted}\n"), "reviewer")


def test_a_file_without_a_prompt_or_an_end_of_its_front_matter_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text(f"---\n{FRONT}\nYou review.\n")
    assert faults(write(tmp_path, FRONT, "")) == [
        "a.md: has no text after the front matter; it becomes the prompt",
        "b.md: the front matter has no end; add a line --- before the prompt",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Our agents\nWho does what.\n",
        "---\n\nA rule first.\n",
        "# Agents\n---\n---\n",
        "---\n---\n",
        "---\ntitle: A page\n---\nText.\n",
        "---\nA text: with a colon\n\nand no end",
        "\xff\xfe",
    ],
)
def test_a_file_that_is_no_agent_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_bytes(text.encode("latin-1"))
    assert faults(tmp_path) == []


def test_a_file_in_another_encoding_is_wrong_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_bytes("---\nname: x\ndescription: Prüft.\n---\nText.\n".encode("latin-1"))
    assert faults(tmp_path) == ["x.md: line 3: is not UTF-8 (byte 0xfc); save the file as UTF-8"]


def test_files_of_subfolders_and_links_are_read(tmp_path: Path) -> None:
    (tmp_path / "team" / ".hidden").mkdir(parents=True)
    write(tmp_path / "team", FRONT)
    write(tmp_path / "team" / ".hidden", "name: hidden\ndescription: H.\n")
    (tmp_path / "again.md").symlink_to(tmp_path / "team" / "a.md")
    (tmp_path / "lost.md").symlink_to(tmp_path / "nowhere")
    assert faults(tmp_path) == ["lost.md: can't be read: No such file or directory"]
    assert list(load_agents(tmp_path)) == ["good", "reviewer"], "the same file twice is one agent"


def test_of_two_different_agents_of_one_name_none_is_used(tmp_path: Path) -> None:
    write(write(tmp_path, FRONT, name="a.md"), FRONT, "Other.", name="b.md")
    assert faults(tmp_path) == [
        "b.md: name 'reviewer' is the name of the agent in a.md, too; keep one of them"
    ]
    with pytest.raises(DefinitionError, match="keep one of them"):
        load_agent(tmp_path, "reviewer")


def test_a_wrong_agent_is_refused_with_what_is_wrong_in_its_file(tmp_path: Path) -> None:
    write(write(tmp_path, FRONT), "name: broken\ndescription: a: b\n", name="broken.md")
    with pytest.raises(
        DefinitionError, match=r"The agent 'broken' .*\n- broken\.md: line 3: description has a colon"
    ):
        load_agent(tmp_path, "broken")


def test_a_folder_without_an_agent_that_can_be_used_is_refused_with_all_faults(tmp_path: Path) -> None:
    write(write(tmp_path, "name: a\n", name="a.md"), FRONT + "max_tokens: 0\nmodell: x\n", name="b.md")
    with pytest.raises(DefinitionError) as refused:
        load_agents(tmp_path)
    lines = [line.split(":")[0] for line in refused.value.message.splitlines() if line.startswith("-")]
    assert lines == ["- a.md", "- b.md"]


def test_an_unknown_agent_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(
        DefinitionError, match=r"There is no agent 'reviwer' in .*; did you mean 'reviewer'\?"
    ):
        load_agent(write(tmp_path, FRONT), "reviwer")


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_a_folder_without_agents_is_refused_with_the_way_out(tmp_path: Path, folder: str) -> None:
    with pytest.raises(DefinitionError, match=r"has no agent files .* \[chassis\] agents_folder"):
        load_agents(tmp_path / folder)


_lines = st.one_of(
    st.sampled_from(
        [
            "---",
            "--- ",
            "name: a",
            "description: b",
            "description: >",
            "  more: text",
            "\ttab",
            "- x",
            "name: [",
            "model: opus",
            "tools: Read",
            "max_tokens: 1e999",
            "x: &a *a",
            "? {a: b}",
            "",
            "...",
        ]
    ),
    st.text(max_size=20),
)
_files = st.one_of(
    st.lists(_lines, max_size=8).map(
        lambda lines: "\n".join(["---", *lines]).encode("utf-8", "surrogatepass")
    ),
    st.tuples(st.lists(_lines, max_size=5), st.binary(max_size=9)).map(
        lambda parts: (
            "\r\n".join(["---", "name: a", *parts[0], "---"]).encode("utf-8", "surrogatepass") + parts[1]
        )
    ),
    st.binary(max_size=60),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_files, max_size=3))
def test_whatever_stands_in_the_files_the_good_agent_can_be_used(
    tmp_path_factory: pytest.TempPathFactory, files: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("agents")
    for index, content in enumerate(files):
        (folder / f"{index}.md").write_bytes(content)
    read = read_agents(write(folder, "name: the-good-one\ndescription: Works.\n", name="good.md"))
    assert read.agents["the-good-one"].prompt == "You review work."
    for name in read.wrong:
        with pytest.raises(DefinitionError):
            read.get(name)
