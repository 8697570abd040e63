"""Things in a request that are no words: an address of a page, a path, a host, an option of a command."""

from __future__ import annotations

import re

from pipecatapp.languages.language import Shape

# What a thing looks like -> the words that tools are described with.
SHAPES = tuple(
    Shape(pattern=re.compile(pattern), about=about)
    for pattern, about in (
        (r"\bhttps?://|\bwww\.", ("web", "page", "browser", "url", "site")),
        (r"(?:\w\.|\bdot )(?:com|org|net|io|de|dev|gov|edu|eu|info|uk)\b", ("web", "page", "browser", "site")),
        (r"(?:^|\s)(?:~|\.{0,2})/\w|\bslash \w", ("path", "file", "folder")),
        (r"\s--?[a-z]\w*\b|\bsudo\b|\|\s*\w+", ("command", "run")),
        (r"\b[a-z]{2,}[-_]?\d{1,3}(?:\.\w+)*\b|\b\d+\.\d+\.\d+\.\d+\b", ("host", "computer", "server")),
        (r"\S@\S+\.\w", ("email", "address")),
        (r"\d\s*(?:[-+*/^]|times|plus|minus|divided by|percent of)\s*\d", ("calculate", "arithmetic")),
        (r"\.ya?ml\b", ("playbook", "yaml")),
        (r"\.(?:jpe?g|png|gif)\b", ("image", "picture")),
        (r"\.(?:txt|md|csv|docx?|log)\b", ("file", "document")),
        (r"\.(?:mp3|wav|ogg)\b", ("audio", "recording")),
        (r"\.(?:mp4|mkv|avi)\b", ("video", "clip")),
        (r"\.(?:xlsx?|ods)\b", ("spreadsheet", "table")),
    )
)  # fmt: skip
