"""Words that matter while an answer is spoken, and while somebody speaks over it."""

from __future__ import annotations

import re

from pipecatapp.languages.language import Speech

_ANNOUNCING = re.compile(
    r"(?!.*\b(?:example|instance|would|could|might|looks? like|like this)\b)"
    r"(?:(?:okay|ok|sure(?: thing)?|certainly|of course|yes|yeah|all ?right|well|right|great|gladly|absolutely|hm+|"
    r"no problem|understood|got it|now|first|then|thanks?(?: you)?)\b[\s,.!:]*)*"
    r"(?:$|(?:i|i['\u2019](?:m|ll|d|ve)|we|we['\u2019](?:re|ll)|let me|let us|let['\u2019]s|(?:one|just a|a) "
    r"(?:moment|second|minute)|hold on|hang on|please wait|\w+ing)\b)",
    re.IGNORECASE | re.DOTALL,
)

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
    acknowledgements=frozenset(
        {
            "okay", "ok", "k", "right", "alright", "all right", "mm hm", "mm hmm", "mhm", "mmhm", "mm", "hmm", "hm",
            "uh huh", "uhuh", "aha", "ah", "oh", "yeah", "yep", "yup", "yes", "sure", "thanks", "thank you",
            "thanks a lot", "thank you very much", "got it", "i got it", "i see", "i understand", "understood", "good",
            "great", "fine", "nice", "cool", "wow", "perfect", "excellent", "exactly", "really", "interesting",
            "good to know", "of course", "i know", "makes sense", "that makes sense", "very good", "very nice", "so",
            "well", "and", "go on", "um", "uh",
        }
    ),
    phantoms=frozenset(
        {
            "thank you for watching", "thanks for watching", "thank you so much for watching",
            "thank you for listening", "thank you for your time", "thank you very much for watching", "subscribe",
            "please subscribe", "please subscribe to my channel", "subscribe to my channel", "like and subscribe",
            "please like and subscribe", "see you next time", "i'll see you next time", "see you in the next one",
            "see you in the next video", "i'll see you in the next video", "subtitles by the amara org community",
            "subtitles by amara org", "transcription by castingwords", "transcribed by otter ai", "the end", "music",
            "applause", "laughter", "blank audio", "inaudible", "to be continued",
            "thank you for watching and see you next time", "thanks for watching and see you next time",
        }
    ),
    doubtful=frozenset(
        {
            "you", "thank you", "thanks", "bye", "bye bye", "okay", "oh", "so", "hmm", "mm", "ah", "uh", "i", "the",
            "yeah", "thank you very much", "thank you bye", "i'm sorry", "hello", "huh", "whoa", "shh",
        }
    ),
    announcing=_ANNOUNCING,
)  # fmt: skip
