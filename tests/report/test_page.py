"""What every page keeps to, whatever it is given."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from cyclegan.report import page
from cyclegan.report.page import TEMPLATES, write_page

PARTS = '{% import "parts.html" as parts %}'


def test_words_between_backticks_are_code_and_stay_words() -> None:
    template = TEMPLATES.from_string(PARTS + "{{ parts.warnings(texts) }}")
    html = template.render(texts=["`<b>` & `cyclegan evaluate`; done"]).strip()
    assert html == '<p class="warning"><code>&lt;b&gt;</code> &amp; <code>cyclegan evaluate</code>; done</p>'


def test_a_name_cannot_leave_its_attribute() -> None:
    template = TEMPLATES.from_string(PARTS + "{{ parts.table(label, [], []) }}")
    assert 'aria-label="&#34; onfocus=&#34;alert(1)"' in template.render(label='" onfocus="alert(1)')


def test_bytes_that_are_no_utf8_are_written_as_question_marks(tmp_path: Path) -> None:
    name = b"\xff.png".decode(errors="surrogateescape")
    write_page(tmp_path / "page.html", TEMPLATES.from_string("{{ name }}"), name=name)
    assert (tmp_path / "page.html").read_bytes() == b"?.png"


def test_a_value_that_is_missing_leaves_no_page(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError, match="'facts' is undefined"):
        write_page(tmp_path / "page.html", "gallery.html", title="", cards=[])
    assert not list(tmp_path.iterdir())


def test_no_template_switches_escaping_off() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (Path(page.__file__).parent / "templates").glob("*.html")]
    assert len(texts) == len(TEMPLATES.list_templates(extensions=["html"])) > 0
    assert not any(re.search(r"\|\s*safe|{%-?\s*autoescape", text) for text in texts)
