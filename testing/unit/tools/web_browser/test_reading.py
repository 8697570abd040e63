"""What is said of a page, and of what went wrong with one."""

from __future__ import annotations

import pytest

from pipecatapp.tools.web_browser.errors import endpoint_of, explain, host_of
from pipecatapp.tools.web_browser.reading import Element, Reading, clean, clipped

pytestmark = pytest.mark.unit


def element(label: str = "Contact", role: str = "link", **more: object) -> dict[str, object]:
    return {
        "origin": "https://shop.example", "tag": "a", "type": "", "role": role, "label": label, "href": "",
        "action": "", "secret": False, "disabled": False, "checked": False, "options": [], **more,
    }  # fmt: skip


def reading(
    main: str = "", text: str = "", aside: str = "", title: str = "A shop", *items: dict[str, object]
) -> Reading:
    raw = {"title": title, "url": "https://shop.example/a", "main": main, "text": text, "aside": aside}
    return Reading.read({**raw, "items": items, "cutOff": False})


def test_characters_that_nobody_sees_are_no_text() -> None:
    assert clean("a\u200bb\u202ec\U000e0041d\x00e\ue000f\ufeffg") == "abcdefg"
    assert clean("  one \t two\n \n\n three ") == "one two\nthree"


def test_the_main_part_comes_first_and_the_rest_after_it() -> None:
    assert reading("the article", "the rest", "menu").text == "the article\nthe rest\nmenu"


def test_the_opening_is_whole_sentences_short_enough_to_speak() -> None:
    assert reading("A shop\nWe sell pots. They are blue").opening() == "We sell pots. They are blue."
    long = reading("One sentence. " * 100).opening()
    assert len(long) <= 300
    assert long.endswith("One sentence.")
    assert len(reading("word " * 1000).opening()) <= 310
    assert reading().opening() == ""


def test_what_the_model_sees_is_bounded_and_numbered() -> None:
    many = [element(f"Link {number}") for number in range(1, 41)]
    some = reading(
        "word " * 2000, "", "", "A shop", element("Search", "field"), element("", "button", disabled=True), *many
    )
    lines = some.short().splitlines()
    assert lines[0] == "The page A shop says:"
    assert lines[2:4] == ["[1] Search (field)", "[2] without a name (button, off)"]
    assert lines[-1] == "And 27 more."
    assert len(some.short()) < 2000
    assert "[42] Link 40" in some.full()


def test_a_page_without_words_is_said_to_have_none() -> None:
    empty = reading(title="")
    assert empty.name == "shop.example"
    assert "no text that can be read" in empty.short()


def test_an_element_is_named_by_its_label_or_by_what_it_is() -> None:
    assert Element.read(element("Buy\u200b now")).name == "'Buy now'"
    assert Element.read(element("", "file")).name == "the field for a file without a name"
    assert clipped("one two three", 9) == "one two ..."


@pytest.mark.parametrize(
    ("error", "by_proxy", "told"),
    [
        (
            "net::ERR_SOCKS_CONNECTION_FAILED at x",
            "there is no host named a.example",
            "there is no host named a.example",
        ),
        (
            "net::ERR_CERT_DATE_INVALID",
            "",
            "the certificate of a.example:8443 has expired, or the clock of this PC is wrong",
        ),
        ("net::ERR_CERT_WEIRD", "", "the certificate of a.example:8443 is not valid"),
        ("net::ERR_TOO_MANY_REDIRECTS", "an older trouble", "a.example:8443 sends me around in circles"),
        ("Page.goto: Download is starting", "", "a.example:8443 sends a file to download, and downloads are off"),
        ("net::ERR_SSL_VERSION_OR_CIPHER_MISMATCH", "", "no secure connection to a.example:8443 can be made"),
        ("net::ERR_WHATEVER", "", "a.example:8443 cannot be opened (ERR_WHATEVER)"),
        ("no code at all", "", "a.example:8443 cannot be opened (Chromium gives no reason)"),
    ],
)
def test_an_error_is_a_sentence(error: str, by_proxy: str, told: str) -> None:
    assert explain(error, "https://a.example:8443/x", by_proxy) == told


def test_hosts_and_ports_of_urls() -> None:
    assert host_of("https://a.example:443/x") == "a.example"
    assert host_of("http://a.example:8080/x") == "a.example:8080"
    assert host_of("http://a.example:nonsense/") == ""
    assert endpoint_of("https://a.example/") == ("a.example", 443)
    assert endpoint_of("http://a.example:81/") == ("a.example", 81)
