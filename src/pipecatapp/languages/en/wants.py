"""Whether a request wants words, talk, a look at something here, or a deed: told by its build, not by its nouns."""

from __future__ import annotations

import re

from pipecatapp.languages.pretence import Want


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Characters: what comes behind them changes nothing.
_LONGEST = 600
_CLAUSES = re.compile(r"[,;:.!?]+(?:\s+|$)")
_POLITE = re.compile(
    r"(?:(?:please|now|and|so|okay|ok|hey|then|just|oh|well|would you(?: mind)?|will you|could you|"
    r"can you(?! see| hear)|can't you|"
    r"i want you to|i need you to|i(?:'d| would) like you to|go and|be so kind(?: as)? to|kindly|"
    r"tell me|do you know|can you tell me|i wonder|any idea)\b[\s,]*)*"
)
# No verb that asks for a deed begins with one of these: function words, greetings, and what is done in words alone.
_NO_WISH = _words(
    """
    i you he she it we they this that these those there a an the my your his her our their some any no every each
    all both half one is are am was were has have had do does did can could will would shall should may might must
    what who whom whose which when where why how and or but if because so as than then of in on at by for from with
    without about to after before since until during near over under between not never only also too very really
    quite maybe perhaps actually honestly today tonight tomorrow yesterday now here anything anyone anybody nothing
    something someone more im ive its whats wheres whos hows hello hi hey thanks thank ta please yes yeah yep nope
    okay ok sure right well good nice lovely great happy bad merry cheers sorry wow oh ah ow ew hmm mmm omg haha
    welcome farewell goodbye bye say explain describe define translate spell sing count recite imagine pretend
    suppose draft compose give sum suggest recommend advise help teach talk chat think guess repeat rephrase
    summarise summarize compare calculate solve convert quiz ask wish cheer greet continue forget remember be name
    rate rank choose pick outline discuss argue convince entertain amuse motivate inspire speak see sleep enjoy
    trust believe come excuse pardon bless love miss keep hang hold let's mind feel stay go
    """
)
_IN_WORDS = re.compile(
    r"(?:tell|call|answer) (?:me|us|it|that|yourself|my question|the question)\b|tell about\b|let (?:me|us|it)\b|"
    r"(?:show|teach) (?:me|us) (?:how|what)\b|play (?:a|the|another) (?:\w+ )?game\b|play (?:with|along)\b|"
    r"make (?:(?:me|us) (?:laugh|smile|happy|feel|think)|up|sense|fun)\b|write (?!to\b|back\b|him\b|her\b|them\b)|"
    r"take (?:care|your time)\b|look (?:i|it|you|we)\b|turns out\b"
)
# What such a verb leans on: "sort it out", "ring the surgery", "roll out ...", "wake up ...".
_OBJECTS = re.compile(
    r"(?:do something|\w+ (?:it|them|the|my|our|me|us|this|that|those|these|him|her|a|an|some|something|every\w*|"
    r"all|up|on|off|out|"
    r"down|in|back|over|away|to|sure|more|another|half|two|three|four|five|ten|at))\b"
)
_VERBS = re.compile(r"(?:is|are|was|were|has|have|had|will|would|can|could|should|might|do|does|did|\w+'s|\w+n't)$")
_OPENS_OTHER = frozenset({"if", "whether", "that", "what", "who", "which", "when", "where", "how", "to"})
# Verbs that need nothing behind them to be a wish: "play Miles Davis", "lock up".
_DEVICE_VERBS = _words(
    """
    turn switch dim lock unlock open close shut play pause resume skip rewind ring phone dial text email mail
    message post send forward reply order reorder book reserve buy sell pay transfer cancel print scan download
    upload install update restart reboot start stop run delete record mute unmute raise lower set search check call
    read find fetch track tell put feed water
    """
)

# Those whose objects may be words.
_WITH_WORDS = frozenset({"find", "play", "read", "tell", "put"})

_MADE = re.compile(
    r"\b(?:a|an|another|some|one more)\s+(?:\w+\s+){0,2}(?:poem|story|stories|joke|riddle|limerick|haiku|rhyme|"
    r"verse|essay|"
    r"speech|letter|tale|quiz|recipe|fact|example|sentence|word|synonym)s?\b|"
    r"^(?:explain|define|translate|imagine|pretend|suppose|spell|compose|rephrase|describe|compare|why)\b|"
    r"\b(?:why (?:is|are|do|does|did|was|were|can|would)|how (?:do|does|can|could|would|should|come|to)|"
    r"is it (?:true|"
    r"better|safe|ok|okay|worth|rude|normal|legal|bad|good|weird)|(?:should|shall|could|can|may|ought) (?:i|we|one)|"
    r"^(?:do|would) you (?:like|believe|ever|have|feel|mind|get|dream|want)|"
    r"you (?:recommend|think|reckon|prefer)|you know (?:about|of|how|why)|have you ever|suggest\w*|recommend|"
    r"have to|what to|any ideas?|ideas for|"
    r"advice|tips|difference|opinion|in your view|the (?:word|term|meaning|best way|point)|mean|means|meant|"
    r"stand for|(?:wrong|matter) with|good for|made of|used for|supposed to|what if|might|do(?:ne|ing) wrong)\b|"
    r"\b(?:invented|discovered|composed|painted|founded|born|died|written|wrote|built|created|history|century|"
    r"ancient|centuries)\b|\bwhat(?:'s| is| are) (?:a|an|some|good)\b|\bought one\b"
)
_OF_OLD = re.compile(
    r"\b(?:yesterday|last (?:night|week|time|month)|(?:did|have|had|was|were) (?:i|we)\b(?! any| a| the)|"
    r"did you (?!know|ever)|you (?:told|said|mentioned)|"
    r"(?:i|we) (?:told|said|asked|mentioned))\b"
)
_ASKS = re.compile(
    r"(?:is|are|was|were|am|has|have|had|did|does|do|will|where|who|whose|which|when|what|how|any|anything|anyone|"
    r"anybody|next|can you (?:see|hear))\b|(?:where|who|when|what|how)'?s\b"
)
# "The" that names no one thing of this house or this day: one of its kind, the highest, the first, "the X of Y".
_ONE_OF_ITS_KIND = (
    r"(?:\w{2,}est|most|least|best|worst|first|second|third|last|same|main|average|\d\w*|moon|sun|sky|earth|sea|"
    r"ocean|world|universe|planets?|galaxy|internet|past|future|capital|president|queen|king|pope|law|bible|alphabet|human|"
    r"body|brain|heart|liver|blood|eyes?|skin|name|purpose|reasons?|rules?|boiling|melting|freezing|speed|square|"
    r"chemical|population|old|other|only)"
)
_THE_ONE = (
    rf"(?:the (?!{_ONE_OF_ITS_KIND}\b)\w+\b(?! (?:\w+ )?of\b(?! (?:the|my|our|that|this)\b))"
    r"(?! (?:\w+ )?(?:a|an)\b)|my\b(?! (?:age|rights))|our\b|he\b|she\b|"
    r"(?:any(?:body|one)|some(?:body|one)|mum|mom|dad|granny|grandma|grandad|the kids)\b)"
)
_NAMED = re.compile(_THE_ONE)
_LOOKED = re.compile(
    # A moment that is not always: today, last night.
    r".*\b(?:right now|at the moment|currently|today|tonight|yesterday|tomorrow|(?<!and )(?<!what )now$|"
    r"this (?:morning|afternoon|evening|week|weekend|minute|month|year)|(?:last|next) (?:night|week|weekend|"
    r"month|time|one)|"
    r"(?:last|next|this) (?:mon|tues|wednes|thurs|fri|satur|sun)day|so far|yet|ago|in here|outside|"
    r"still (?:need|on|in|up|there|open|awake|asleep|working|running|alive|at|have))\b|"
    # The state of one certain thing or person.
    rf"(?:is|are|isn't|was|were|has|have|hasn't|did|does|will)(?: there)? {_THE_ONE}|"
    rf"(?:where|when|which \w+|what time|how (?!long)\w+|how|how long(?= ha))(?:'?s| is| are| does| has|"
    rf" have) {_THE_ONE}|"
    rf"what (?:did|does) {_THE_ONE}|"
    rf"what(?:'?s| is) the (?!{_ONE_OF_ITS_KIND}\b)\w+ (?:in|on|of) (?:the (?!world|history)\w+|my \w+)$|"
    # What goes on, stands or is left somewhere.
    r"(?:who(?:'?s| is) |(?:what|how|which)\b.* (?:is|are) (?:\w+ ){1,4}?|what'?s (?:\w+ ){1,4}?|(?:is|"
    r"are) (?:\w+ ){1,4}?)"
    r"(?!interesting|boiling|king|\w*thing)\w{2,}ing\b|"
    r"(?:is|are) \w+ (?:\w+ )?(?:up|down|on|off|in|out|back|home|here|there|open|closed|ready|alive|awake|asleep)$|"
    r"how (?:much|many) .*\b(?:left|there|unread|new)\b|"
    r"what(?:'?s| is| are|'re) the (?:current |latest )?(?:score|status|news|weather|forecast|temperature|"
    r"humidity|traffic|"
    r"price|balance|load|level|odds|results?)\b|do (?:i|we) have (?:any|a|an|the|my|enough)\b|"
    r"(?:who|whose|what|how (?:much|many|long))\b.* (?:my|our)\b(?! (?:age|rights))|"
    r"(?:how (?:much|many)|who|which|is|are|any\w*)\b.* (?:in|on|at|left (?:in|on)) the "
    r"(?!world|history|bible|solar|universe)\w+(?: \w+)?$|"
    # What the person or the agent did, said, has or sees.
    r".*\b(?:(?:did|have|had|am|was|were) (?:i|we)\b(?! any| a| the)|(?:i|we) (?:said|told|asked|wrote|mentioned|"
    r"decided|agreed)|"
    r"you (?:said|told|wrote|mentioned|recommended|promised)|(?:ask|tell|told|asked) you|did you (?!know|ever)|"
    r"(?:can|do) you (?:see|hear)|(?:i am|i'm) (?:holding|wearing|showing))\b|"
    r"(?:what(?:'?s| is)|is) this$|.*\b(?:on|at|with) (?:this|these)(?:$| \w+$)|.*\bin my hand\b|"
    r"(?:(?:is|are) there )?any\w*\b.*\b(?:new|from|for me|left|messages?|mails?|calls?|news|word)\b"
)


def want(request: str) -> Want:
    """What the request asks for."""
    plain = " ".join(request.replace("\u2019", "'").split())[:_LONGEST]
    text = plain.casefold()
    clauses = [clause for clause in _CLAUSES.split(text) if clause]
    bare = [clause[found.end() :] if (found := _POLITE.match(clause)) else clause for clause in clauses]
    if any(
        clause.split(" ")[0] in _DEVICE_VERBS - _WITH_WORDS and _is_wish(clause, is_polite=False) for clause in bare
    ):
        return Want.DEED
    if not _OF_OLD.search(text) and any(_MADE.search(clause) for clause in bare):
        return Want.WORDS
    asks = text.endswith("?")
    for clause, whole in zip(bare, clauses, strict=True):
        if not (asks and clause == whole == bare[-1]) and _is_wish(
            clause, is_polite=clause != whole and not whole.startswith("can you")
        ):
            return Want.DEED
    told = [clause for clause, whole in zip(bare, clauses, strict=True) if "tell me" in whole]
    asking = [clause for clause in bare if asks or _ASKS.match(clause)]
    looks = bool(asking) and _OF_OLD.search(text) is not None
    looks = looks or any(map(_LOOKED.match, [*asking, *told])) or any(map(_NAMED.match, told))
    return Want.READING if looks else Want.TALK


def _is_wish(clause: str, *, is_polite: bool) -> bool:
    """Whether a clause begins with a verb that asks for something to be done in the world."""
    words = clause.split()
    if len(words) < 2 or words[0] in _NO_WISH or not words[0].isalpha() or words[0][3:].endswith(("ing", "ly", "ed")):
        return False
    if _IN_WORDS.match(clause) or not (is_polite or words[0] in _DEVICE_VERBS or _OBJECTS.match(clause)):
        return False
    for word in words[1:4]:
        if word.partition("'")[0] in _OPENS_OTHER:
            break
        if _VERBS.match(word) and not (words[0] in _DEVICE_VERBS and word.endswith("'s")):
            return False
    return True
