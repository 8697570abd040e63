"""What people state about themselves and their things, and how they correct it."""

from __future__ import annotations

import re

from pipecatapp.languages.en.numbers import NUMBERS
from pipecatapp.languages.language import Statements

_PLACE = r"(?:in|on|under|behind|at|near|inside|beside|above|below|between|next to|in front of|on top of|by|opposite)\b"
_BE = r"(?:is|are|was|were)"
# Each run of signs or spaces is tried from its beginning alone: a page of blanks would take seconds otherwise.
_SENTENCE = re.compile(
    r"(?<![.!;\n])[.!;\n]+(?=\s|$)|(?<!\s),?\s+(?:and|but)\s+(?=(?:my|i|our|we|the)\b)", re.IGNORECASE
)
_VERB = r"(?:is|are|was|were|am|do|does|did|has|have|had|can|could|will|would)"
_NEGATED = r"(?:isn|aren|wasn|weren|doesn|don|didn|hasn|haven|can|won)['\u2019]t"
_LEANING = re.compile(
    rf"(?:\S+ ){{1,5}}(?:{_VERB}(?: not| too| also)?|{_NEGATED})\s*(?:[.!;\n]|$)",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"\b(?:pass ?(?:words?|phrases?|codes?)|pins?|pin (?:code|number)|"
    r"(?:api|wi-?fi|wlan|network|licen[cs]e|recovery) keys?|secrets?|secret keys?|"
    r"tokens?|passport numbers?|maiden names?|"
    r"combinations? (?:is|are|to|of|for)|"
    r"(?:credit |debit |bank )?card numbers?|cvv|cvc|iban|account numbers?|social security numbers?)\b|"
    r"\bcodes?\b[^.!;]{0,60}?\d{3}|\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){3,}|"
    r"\b(?:\d[ -]?){13,19}\b|\b(?:sk|ghp|xox[bp])[-_]\w{8}",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"(?:(?:um|uh|er|well|so|oh|ok|okay|hey|hi|hello|now|and|but|also|listen|please|yes|yeah|actually|by the way|"
    r"just so you know|for your information|fyi|you know|as you know|as i (?:said|told you)|i told you|you should know|"
    r"i want you to know|let me tell you)\b(?: that\b)?[\s,:]*)+",
    re.IGNORECASE,
)
_THINKS = (
    r"think|thinks|thought|thinking|believe|believes|believed|guess|guesses|guessed|suppose|supposes|supposed|assume|"
    r"assumes|assumed|suspect|suspects|suspected|reckon|reckons|reckoned|doubt|doubts|doubted|hopes|hoped|wishes|wished|"
    r"wonder|wonders|wondered|imagine|imagines|imagined|pretend|pretends|pretended|dreams|dreamt|dreamed"
)
_SAYS = (
    r"claim|claims|claimed|says|saying|tells|telling|hears?|heard|swears|swore|insists|insisted|argues|argued|mentioned|"
    r"suggests|suggested|announced|texted|replied|shouted|whispered|asks|asked|joked|lied|"
    r"(?<!\bi )(?:said|say|told|wrote|tell)"
)
_DOUBT = re.compile(
    rf"\b(?:{_THINKS}|{_SAYS}|if|unless|whether|maybe|perhaps|probably|possibly|presumably|apparently|supposedly|"
    r"allegedly|hypothetically|theoretically|might|could|would|wouldn['\u2019]t|may (?:be|have|not)|should be|must be|"
    r"seems?|seemed|(?:looks|sounds|feels) like|as (?:if|though)|as far as|to my knowledge|recall|rumou?rs?|"
    r"according to|(?:the|this|that|a) (?:song|poem|hymn|verse|line|saying|proverb|rhyme) (?:goes|is|says|was)|"
    r"(?:i|we) (?:hope|wish|say)|for (?:example|instance)|let['\u2019]?s (?:say|assume)|what if|in case|assuming|"
    r"not (?:\w+ )?(?:sure|certain|true)|n['\u2019]t (?:\w+ )?(?:sure|certain|true)|untrue|no longer|"
    r"remember (?:right|rightly|correctly|it right)|(?:kidding|joking)|or something|or so\b|one of these days|"
    r"on (?:the|a|this|that|some|his|her) (?:web ?)?(?:page|site)|"
    r"in (?:the|my|a|this|that|his|her) (?:story|book|film|movie|song|game|dream|novel|play|poem|series|joke|"
    r"article|mail|message|letter|paper|post))\b|"
    # A question that has no sign: "my car is red, isn't it"; "on the right" is a place.
    r"\b(?:(?:is|are|was|do|does)n['\u2019]?t|is|are|do|does|am|was)(?: not)? "
    r"(?:it|i|he|she|they|we|you)(?: not)?[\s.!?]*$|,\s*(?:right|correct|no|yes|huh|eh)[\s.!?]*$|"
    r"(?<!the )(?<!to )(?<!turn )(?<!all )\bright[\s?]*$|\b(?:or not|huh|eh)[\s.!?]*$",
    re.IGNORECASE,
)
_RETRACTION = re.compile(
    r"(?:(?:at least|or|well|but|oh|no|wait)[\s,]+)*(?:so )?(?:that['\u2019]?s what )?"
    r"(?:(?:i|we)(?: do)? (?:think|believe|guess|suppose|hope|assume)(?: so)?\b|(?:i(?:['\u2019]m| am) )?not "
    r"(?:\w+ )?(?:sure|certain)\b|(?:i(?:['\u2019]m| am| was) )?(?:just |only )?(?:kidding|joking)\b|"
    r"(?:maybe(?: not)?|probably|perhaps|not really)\W*$|"
    r"(?:that|it)(?:['\u2019]s| is| was)(?: not|n['\u2019]t)? (?:true|a joke|a lie|wrong)\b|"
    r"(?:or )?so (?:he|she|they|\w+ \w+) (?:says|said|say|thinks|think)\b)",
    re.IGNORECASE,
)
_TASK = re.compile(
    r"(?:(?:please|can you|could you|would you|will you|now|and|how (?:do|would|can) (?:you|i|we))[\s,]+)*"
    r"(?:translate|rewrite|re-?phrase|paraphrase|proofread|correct|summari[sz]e|spell|pronounce|repeat|recite|read|sing|"
    r"say|write|draft|compose|improve|edit|quote|dictate|type|complete|continue|pretend|imagine|role-?play|explain|"
    r"analy[sz]e|review|shorten|simplify|reword|"
    r"(?:answer|reply to|respond to|comment on) (?:this|that|it|the following)|"
    r"(?:fix|check|mend) (?:the |my |this |that )?(?:spelling|grammar|typos?|punctuation|text|sentence|wording)|"
    r"what (?:does|do|would|could) (?:this|that|these|the following)\b[^.!?]{0,80}\bmeans?|"
    r"what (?:do|would) you (?:think|make|say) (?:of|about|to) (?:this|that|the following))\b(?!\s*,)",
    re.IGNORECASE,
)
_WISH = re.compile(
    r"(?:(?:please )?(?:remember|note|keep in mind|bear in mind|memori[sz]e|(?:do not|don't|never) forget|"
    r"make a note|take a note)\b)(?: this)?(?: that\b|:|,)?\s+(?!(?:to|what|when|where|how|who|me|about)\b)(.+)",
    re.IGNORECASE,
)
# A request that follows the statement is not part of it.
_TAIL = re.compile(
    r"(?<![\s,])[\s,]+(?:please|(?:can|could|would|will|do|did|are|is) (?:you|it|that|this)|what|where|when|why|how|"
    r"(?:so )?(?:tell|show|give|help|remind|remember|find) (?:me|us|that|it)|(?<!the )right|ok|okay|you know|"
    r"thanks?|thank you)"
    r"\b.*$",
    re.IGNORECASE,
)
_NO_SUBJECT = (
    r"(?!(?:question|point|problem|guess|idea|request|answer|fault|mistake|turn|pleasure|understanding|opinion|bad|god|"
    r"goodness|next|last|other|message|words?|voice)\b)"
)
# How something was, once.
_PASSED = (
    r".{1,60} (?:was|were) (?:(?:very|so|too|really|quite|rather|pretty) )?(?:long|short|boring|nice|great|good|bad|"
    r"fun|awful|terrible|okay|ok|fine|hard|easy|lovely|wonderful|horrible|late|early|busy|tired|delicious)\W*$"
)
_STATEMENTS = re.compile(
    "|".join(
        (
            # My dentist is called Olsen; our meeting starts at nine.
            rf"(?!{_PASSED})(?:my|our) {_NO_SUBJECT}(?:[\w'\u2019-]+ ){{1,5}}?"
            r"(?:is|are|was|were|has|have|lives?|works?|likes?|loves?|hates?|prefers?|comes?|starts?|ends?|begins?|"
            r"goes|visits?|plays?|speaks?|drives?|studies|needs?|arrives?|leaves?|can't|cannot|doesn't|does not) .+",
            # Call me Joe; I was born in May; I am allergic to nuts.
            r"(?:call me|i was born|i grew up|i come from|we come from) .+",
            r"i(?: am|'m|\u2019m) (?:an? |the |called |named |from |allergic |afraid of |married |born |\w+ years old|"
            r"vegetarian|vegan|diabetic|retired|left[- ]handed|blind|deaf|divorced|pregnant|single).*",
            r"(?:i|we) (?:live|work|study|moved|own|drive|speak|collect|keep|kept|put|hid|left|parked|stored?|planted|"
            r"bought|married|take|play|grow|teach) (?!it\b|that\b|this\b|you\b|me\b|up\b|down\b|for you\b|"
            r"(?:too |very |so )?(?:hard|much|a lot)\b)\w.+",
            r"(?:i|we) (?:really |don't |do not |also )?(?:like|love|hate|prefer|dislike|enjoy|eat|drink) "
            r"(?!it\b|that\b|this\b|you\b|your\b|to know|to ask|to see|to hear|what\b|how\b|when\b|"
            r"the (?:way|sound|look|idea|thought|smell) of)\w.*",
            r"(?:i|we) have (?:an?|one|two|three|four|five|six|\d+|no) "
            r"(?!question|problem|idea|request|headache|minute|second|moment|feeling|look|clue|wish|suggestion)\w.*",
            # The spare key is under the pot; the meeting is on Friday.
            rf"the (?:[\w'\u2019-]+ ){{1,6}}?{_BE} (?:now )?{_PLACE} .+",
            # The code of the gate is 1234.
            rf"the (?:[\w'\u2019-]+ ){{0,3}}(?:password|code|number|address|pin|combination|birthday) "
            rf"(?:(?:of|for) (?:[\w'\u2019-]+ ){{1,4}})?{_BE} .+",
        )
    ),
    re.IGNORECASE,
)  # fmt: skip

_CORRECTION = re.compile(
    r"(?:(?:no|nope|wrong|actually|sorry|wait|correction|i meant?|that is wrong|that's wrong|not quite)\b[\s,.:]*)+"
    r"(?:(?:it|that|this|he|she|they|the answer) ?(?:is|'s|\u2019s|are|'re|\u2019re|was|were)|i meant?|"
    r"make (?:it|that)|(?:it|that) should be)?\s*(?:now |really )?(?P<value>\w.*)",
    re.IGNORECASE,
)
_NOT = re.compile(r"(?P<new>.+?)[\s,]+not (?P<old>.+)", re.IGNORECASE)
_NOT_BUT = re.compile(r"not (?P<old>.+?)[\s,]+but (?P<new>.+)", re.IGNORECASE)
_SUBJECT = re.compile(
    rf"(?P<subject>.+? (?:{_BE} (?:called|named)|{_BE}|lives?|works?|starts?|begins?)) (?P<value>.+)", re.I
)
_NAMED = re.compile(r"(?:called|named) ", re.IGNORECASE)
_ONE_VALUE = re.compile(
    r"\b(?:favou?rite|name|birthday|number|password|code|address|e-?mail|phone|age|pin|size)\b", re.I
)
_AT_PLACE = re.compile(_PLACE, re.IGNORECASE)
_UPDATE = re.compile(r"\b(?:now|nowadays|these days|from now on|from today on)\W*$", re.IGNORECASE)
_COLOURS = (
    "red", "blue", "green", "yellow", "black", "white", "grey", "gray", "brown", "orange", "purple", "pink", "silver",
)  # fmt: skip
_SLIPS = (
    (re.compile(r"\b(?:uh|um|er|erm|hm+)\b[\s,]*", re.IGNORECASE), ""),
    # "Duran Duran" stays.
    (re.compile(r"\b((?:my|i|our|we|the|it)(?: \w{1,30}){1,2})(?:[\s,]{1,3}\1\b)+", re.IGNORECASE), r"\1"),
    (re.compile(r"\b(my|is|the|in|a|an|to|at|on|i|it|we|our|of|and)(?:[\s,]{1,3}\1\b)+", re.IGNORECASE), r"\1"),
)
_SAME = (
    (re.compile(r"\b(?:is|are) named\b", re.IGNORECASE), "is called"),
    (re.compile(r"['\u2019]s name is\b", re.IGNORECASE), " is called"),
    (re.compile(r"\s{0,3}\b(?:now|nowadays|these days|too|still|anyway)\W*$", re.IGNORECASE), ""),
)
# "May" is a verb far more often than a month.
_MONTHS = [month for month in NUMBERS.months if month != "may"]

STATEMENTS = Statements(
    boundary=_SENTENCE,
    leaning=_LEANING,
    secret=_SECRET,
    filler=_FILLER,
    doubt=_DOUBT,
    retraction=_RETRACTION,
    task=_TASK,
    wish=_WISH,
    tail=_TAIL,
    statement=_STATEMENTS,
    correction=_CORRECTION,
    exchanges=(_NOT_BUT, _NOT),
    subject=_SUBJECT,
    named=_NAMED,
    names=(" called", " named"),
    single=_ONE_VALUE,
    place=_AT_PLACE,
    update=_UPDATE,
    slips=_SLIPS,
    same=_SAME,
    kinds=tuple(
        re.compile(rf"\b(?:{'|'.join(names)})\b", re.IGNORECASE)
        for names in (NUMBERS.weekdays, _MONTHS, NUMBERS.times, _COLOURS)
    ),
)
