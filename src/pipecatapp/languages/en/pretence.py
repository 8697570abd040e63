"""How deeds and readings are wished for and claimed."""

from __future__ import annotations

import re

from pipecatapp.languages.pretence import Pretence


def _any(words: str) -> str:
    return "|".join(word.replace("_", r"\s") for word in words.split())


_POLITE = (
    r"\W*(?:(?:please|now|and|so|okay|ok|hey|just|would you|will you|could you|can you|i want you to|go and|"
    r"i(?:'d| would) like you to|be so kind(?: as)? to|kindly|do)\b[\s,]*)*"
)
# What stands in a house, comes to it, or is somewhere now.
_NAMED = _any(
    """
    lights? lamps? heating boiler radiators? thermostat oven stove hob fridge freezer kettle dishwasher
    washing_machine dryer vacuum blinds shutters curtains doors? windows? gate garage cellar kitchen bathroom bedroom
    hall hallway living_room guest_room rooms? study attic workshop nursery porch greenhouse sofa couch bed baby cat
    dog smoke_alarm doorbell postman courier post mailbox inbox parcels? package order invoice bill bank salary rent
    landlord plumber electrician dentist surgery office kids neighbours? neighbors? printer computers? laptop
    servers? nas pc pcs router website blog backup logs? processor tv telly television playlist solar_panels tank
    butt feeder bins? bus train tram ferry flight plane platform traffic ring_road motorway bridge pharmacy market
    shop library recycling_centre match game score election strike news headlines weather forecast photos folder
    machines direct_debit euro price
    """
)
_OWNED = _any(
    """
    accounts? balance mails? e-?mails? messages? inbox salary shares stocks pulse blood_pressure temperature weight
    steps pills orders? parcels? package appointments? meetings? calendar glasses keys? wallet phone battery wi-?fi
    internet spending birthday jumper hand idea
    """
)
_NOW = (
    r"right now|at the moment|currently|today|tonight|yesterday|tomorrow|(?<!and\s)(?<!what\s)now\W*$|"
    r"this (?:morning|afternoon|evening|week|weekend|month|minute)|last (?:night|week|weekend|month|time|one|song)|"
    r"next (?:week|weekend|month)|this year|so far"
)
_ASKED = (
    r"did i\b|have i\b|am i (?:free|busy|late|alone|at|in)\b|where am i\b|did (?:you|he|she) (?!know\b)|"
    r"(?:i|you) (?:said|told|wrote|mentioned|recommended)\b|"
    r"(?:ask(?:ed)?|tell|told) you\b|we (?:decided?|agreed?|said|talk(?:ed)?|spoke)\b|(?:am i|i am|i'm) (?:holding|"
    r"wearing)|"
    r"^\W*can you (?:see|hear)|what (?:do|can) you (?:see|hear)\W*$|"
    r"who(?:'s| is| was) (?:at (?:home|the)|in the (?:kitchen|house|room|garden|hall)|there|coming|leading)\b|"
    r"who called\b"
)
_WEATHER = (
    r"(?:is|was|will) it (?:be )?(?:\w+ )?(?:rain|snow|freez|storm|sunny|foggy|windy|cold|warm|hot)\w*|umbrella|pollen|"
    r"(?:rain|snow|storm) (?:coming|did we)|is there (?:a|any) (?:storm|jam|snow|frost)|humidity in|sunset|"
    r"how (?:loud|hot|cold|warm|dark|bright|windy) is it\b"
)
_SHOWN = (
    r"(?:look at|read|see) this\b|what(?:'s| is) this\W*$|\b(?:song|tune|film) is this\b|"
    r"on this\W*$|with th(?:is|ese) (?:shirt|trousers|one)\b|\bthis (?:label|shirt)\b|any(?:body|one) (?:at|in|on|"
    r"there|sitting|home)"
)
# A question about one particular thing: no verb in front of it that asks for what is always so.
_QUESTION = (
    r"\W*(?:(?:and|so|please|tell me|do you know|can you tell me|hey)\b[\s,]*)*(?:is|are|was|were|has|have|did|does|"
    r"where(?:'s| is| are| did)?|who(?:'s| is| was)?|how (?:much|many|long|hot|warm|full|fast|loud|cold|far|big|is|"
    r"are|did)|"
    r"which|when(?:'s| is| does| did)|what time|what(?:'s| is| does| did| was| are|\b)|next|any)\b"
)

_INVENTED = re.compile(
    r"^(?!.*\b(?:yesterday|last (?:night|week|time)|you told|did i|did you|i told)\b).*"
    r"(?:\b(?:a|an|another|some|one more)\s+(?:\w+\s+){0,2}(?:poem|story|stories|joke|riddle|limerick|haiku|song|"
    r"rhyme|essay|"
    r"speech|letter|tale|quiz|recipe)\b|"
    r"^\W*(?:please |can you |could you |would you )*(?:explain|define|translate|imagine|pretend|suppose|spell|compose|"
    r"rephrase|summari[sz]e|describe|what does \S+ mean|why|compare)\b|"
    r"\b(?:why (?:is|are|do|does|did|was|were)|how (?:do|does|can|could|would|should)|is it (?:true|better|safe|ok|"
    r"okay)|"
    r"(?:should|shall|could) (?:i|we)|you recommend|suggest|suggestions?|any ideas?|advice|tips?|"
    r"(?:an|some) examples?|the difference|your opinion|in your view|the word|the term|the meaning)\b|"
    r"\b(?:invented|discovered|composed|painted|founded|born|the capital of|history of|century)\b)",
    re.IGNORECASE,
)
_WISHED = re.compile(
    rf"{_POLITE}(?:"
    + _any(
        """
        turn switch dim lock unlock pause skip ring record feed water arm disarm print order book buy reserve transfer
        delete forward restart reboot shut download execute install upload post text email dial mute unmute charge
        search look_up google_for close reply lights?
        """
    )
    + r"|open (?!your)|play (?!a game|chess|twenty|along|with me)|call (?!me\b|it\b|that\b|yourself)|"
    r"answer (?!me\b|my\b|the question|this question|in\b)|set (?:the|my|our|it|them|every|all)\b|"
    r"send|start (?:the|my|our|a|an)\b|stop (?:the|my|our)\b|put (?:on|the|my|some|it|a|me)\b|add (?:this|that|it)\b|"
    r"add .{1,60} to\b|"
    r"write to\b|get (?:me|us) (?:a|an|the|some)\b|move (?:the|my)\b|pay\b|tell (?!me\b|us\b|about\b)\w|"
    r"let (?!me\b|us\b|'s)\w|make the\b|run (?:the|a|my|this|that)\b|update (?:the|all|my|every)\b|"
    r"(?:wake|lock|turn|switch) up\b|wake\b|copy (?:the|my|all)\b|save (?:this|the|my|it)\b|"
    r"read (?:me |us )?(?:the|my|our|what)\b|check (?:the|my|our|whether|if|on)\b|show (?:me )?(?:the|my|our)\b|"
    r"look at\b|cancel\b)",
    re.IGNORECASE,
)
_LOOKED = re.compile(
    rf"\b(?:{_NOW}|{_ASKED})|\b(?:my|our|mum's|mom's|dad's)\s+(?:\w+\s+)?(?:{_OWNED})\b|\b(?:{_WEATHER}|{_SHOWN})|"
    rf"^{_QUESTION}[^,;:]{{0,50}}?\bthe\s+(?:\w+\s+)?(?:{_NAMED})\b|"
    r"^\W*(?:has|have|did)\b.*\byet\b|\b(?:on (?:tv|telly)|bin day|at home|unread|top result|IP address|"
    r"which platform|disk space|uptime|(?:any|new) (?:e-?)?mails?|the forecast|wikipedia say|battery charged|"
    r"take me to get)\b|"
    r"\bnode (?:one|two|three|\d+)\b|\bhow much battery\b|\b(?:price of|cost(?:s)? at|(?:petrol|diesel|"
    r"heating oil) cost)\b|"
    r"\bwhat(?:'s| is) (?:gold|bitcoin|oil) at\b|\b(?:is|has) the baby\b|\bis any(?:body|one)\b|"
    r"\bit's (?:too )?(?:bright|dark|cold|"
    r"hot|freezing|loud|stuffy)\b.*(?:in here|do something)",
    re.IGNORECASE,
)
_CANNOT = re.compile(
    r"\b(?:cannot|can not|could not|unable|not able|no way|no access|no information|no record|no memory|no idea|"
    r"no means|"
    r"not (?:sure|certain|aware|connected|equipped|possible|available|capable|allowed|familiar)|sorry|apologi[sz]e|"
    r"afraid)\b|"
    r"\b(?:ca|could)n['\u2019]t\b|\b(?:i|we) (?:do|did|am|was|have|will|would)(?: not|n['\u2019]t)\b|"
    r"\bi['\u2019]m not\b|"
    r"\bnot have (?:access|any|the|a)\b",
    re.IGNORECASE,
)
_ADVISES = re.compile(
    r"^\W*(?:please|try|ask|make sure|let me know|check|look|if|perhaps|maybe|remember to|consider|take|use|go|call|"
    r"how|what|it depends|that depends)\b|"
    r"(?<!if )(?<!that )(?<!whether )\b(?:you (?:can|could|may|might|should|need|must|would|will need|'ll need)|"
    r"depends on|it (?:would|might|may|could)|i (?:can|could|would|need))\b",
    re.IGNORECASE,
)
_BEGIN = (
    r"\W*(?:(?:sure|okay|ok|of course|certainly|alright|all right|yes|great|absolutely|right|now|then|so|and)\b\W*)*"
)
# What the agent may say of itself without having done anything.
_TALKS = (
    r"(?:be |try to |just |gladly |happily |happy |glad |here |able |ready |going to )?(?:tell|explain|say|answer|help|"
    r"assist|describe|suggest|think|guess|hope|wish|start with|begin with|give|be|do my best|always|never|need|"
    r"a |an |the |your |not |sorry|happy|glad|here|fine|good|well|doing|just |ready|able|heard|no )"
)
_BEGINS_DEED = re.compile(
    rf"{_BEGIN}(?:$|i\b|i['\u2019]|we\b|done|all\b|it['\u2019]s done|it['\u2019]s\W*$|consider\b|\w+ing\b|"
    r"(?P<subject>(?:the|your|a|an|my|it|everyone|everybody)\b))",
    re.IGNORECASE,
)
_DEED = re.compile(
    rf"{_BEGIN}(?:i\b|i['\u2019]|we\b|done|all done|it['\u2019]s done|consider it|"
    r"(?:\w+ ){0,5}(?:has|have) been|(?:the|your|a|an|my)\b|\w+ing\b)",
    re.IGNORECASE,
)
_DEED = re.compile(
    rf"^{_BEGIN}(?:(?:i|we)(?:['\u2019]ve| have|['\u2019]ll| will|['\u2019]m| am)(?: (?:now|just|already|also|"
    rf"going to))* (?!{_TALKS})\w|"
    rf"(?:all |it['\u2019]s )?done\b|consider it|"
    r"(?:turn|switch|open|clos|play|send|call|sett|start|stopp|check|lock|unlock|book|order|search|look|download|"
    r"transferr|"
    r"print|dim|ring|restart|shutt|updat|wak|copy|sav|read|mov|add|delet|forward|record|runn|execut)ing\b"
    r"(?! (?:is|was|can|could|may|might|means)\b)|"
    r"(?:i|we) can (?:turn|switch|open|close|send|call|play|set|start|stop|lock|order|book|print|dim|see|check)\b|"
    r"i (?:turned|switched|opened|closed|sent|called|set|started|stopped|checked|locked|booked|ordered|searched|"
    r"looked|found|"
    r"saw|see|read|wrote|added|deleted|remember|recall|updated|moved|saved|copied|paid|transferred)\b)|"
    r"\b(?:has|have|is|are) (?:now |just |already |successfully )*(?:been |being )"
    r"(?:turned|switched|opened|closed|sent|called|set|started|stopped|locked|unlocked|booked|ordered|added|"
    r"deleted|updated|"
    r"moved|saved|copied|paid|transferred|printed|restarted|shut|armed|reserved|forwarded|cancell?ed|informed|notified|"
    r"dimmed|paused|skipped|recorded|fed|watered|executed|downloaded|scheduled)\b|"
    r"\bwe(?:['\u2019]ll| will) (?!need|have|see)\w|\bwill (?:now )?be (?:turned|switched|opened|closed|sent|"
    r"called|set|started|stopped|locked|booked|ordered|added|"
    r"deleted|updated|moved|saved|copied|paid|transferred|printed|restarted|shut|armed|delivered|recorded|informed)\b",
    re.IGNORECASE,
)
_CONSENTS = re.compile(
    r"\W*(?:sure|okay|ok|yes|of course|certainly|alright|all right|absolutely|will do|no problem|got it|understood|"
    r"i understand|i would|gladly|right away)\b",
    re.IGNORECASE,
)
_PROMISES = re.compile(
    rf"{_BEGIN}(?:(?:i|we)(?:['\u2019]ll| will|['\u2019]m going| am going)\b|let me\b|(?:one|just a|a) (?:moment|"
    rf"second)\b|"
    r"(?:checking|looking|searching)\b)",
    re.IGNORECASE,
)
_READING = re.compile(
    r"\b(?:is|are|was|were|has|have|had|did|does|goes|went|won|lost|said|says|needs|told|asked|called|shows?|reads?|costs?|"
    r"leaves?|"
    r"arrives?|arrived|left|ended|came|comes|talked|discussed|mentioned|recommended|wrote|spent|slept|walked|runs?|"
    r"starts?|"
    r"sets|rises|takes?|uses?|contains?|sees?|looks?|seems?|appears?|happened|finished|closes|opens|matches)\b|"
    r"\b(?:it|that|there|he|she|who|what|they|we|you|\w+)['\u2019](?:s|re|ve)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d+(?:[.,:]\d+)*|\b(?:" + _any(
        """
        two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
        nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half_past quarter_past
        """
    ) + r")\b",
    re.IGNORECASE,
)  # fmt: skip
_INTERJECTION = re.compile(
    r"\W*(?:sure|okay|ok|of course|certainly|alright|all right|yes|no|great|absolutely|right|hello|hi|good \w+|well|"
    r"no problem|sure thing|got it|ah|oh|you're welcome|my pleasure)(?:\W+(?:thing|there|then|sir|"
    r"i can help with that))?\W*",
    re.IGNORECASE,
)

PRETENCE = Pretence(
    invented=_INVENTED,
    wished=_WISHED,
    looked=_LOOKED,
    cannot=_CANNOT,
    advises=_ADVISES,
    begins_deed=_BEGINS_DEED,
    deed=_DEED,
    consents=_CONSENTS,
    promises=_PROMISES,
    reading=_READING,
    numbers=_NUMBER,
    interjection=_INTERJECTION,
    no_deed="I have done nothing for that: no tool of mine was used.",
    no_reading="I cannot tell, because nothing here lets me know that.",
)
