"""Templates: every text is escaped and in signs, whoever wrote it and whoever forgets it."""

from __future__ import annotations

from markupsafe import Markup

from chassis.text import DECEIVING, signs
from chassis.ui.page_templates import templates
from tests.injection.corpus import CORPUS, Attack
from tests.with_each import with_each


def rendered(source: str, text: str) -> str:
    return templates().from_string(source).render(text=text)


@with_each("attack", [each for each in CORPUS if len(each.text) < 100_000])
def test_a_text_of_anybody_is_escaped_and_in_signs(attack: Attack) -> None:
    text = attack.text
    shown = rendered("<p>{{ text }}</p>", text)
    assert shown == f"<p>{Markup.escape(signs(text))}</p>"
    assert not DECEIVING.search(shown.replace("\n", ""))


def test_a_field_that_is_sent_back_holds_the_text_as_it_is_but_escaped() -> None:
    assert rendered("{{ text | verbatim }}", "<b>\u202ex\r\n") == "&lt;b&gt;\u202ex\r\n"
