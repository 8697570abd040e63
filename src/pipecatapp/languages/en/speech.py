"""Words that matter while an answer is spoken, and while somebody speaks over it."""

from __future__ import annotations

from pipecatapp.languages.language import Speech

SPEECH = Speech(
    conjunctions=frozenset(
        {
            "and", "but", "or", "because", "so", "which", "while", "although", "though", "unless", "if", "when",
            "where",
        }
    ),
    leaning=frozenset(
        {
            "a", "an", "the", "of", "to", "in", "on", "at", "by", "for", "with", "from", "and", "or", "but", "as",
            "is", "are", "was", "were", "be", "been", "am", "that", "this", "these", "those", "my", "your", "his",
            "her", "its", "our", "their", "very", "more", "most", "no", "not", "i", "you", "he", "she", "we", "they",
            "it", "it's", "i'm", "there's", "there", "have", "has", "had", "will", "would", "can", "could", "should",
            "may", "might", "must", "do", "does", "did", "all", "some", "any", "every", "each", "next", "last",
            "first",
        }
    ),
    fillers=frozenset(
        {
            "a", "ah", "eh", "er", "erm", "hm", "hmm", "huh", "mhm", "mm", "mmm", "oh", "the", "uh", "um", "yeah",
            "and", "i",
        }
    ),
    commands=frozenset({"stop", "wait", "quiet", "silence", "cancel", "enough", "no", "pause", "hold"}),
)  # fmt: skip
