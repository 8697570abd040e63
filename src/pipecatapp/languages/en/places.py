"""Names of places and time zones that people use beside those of the table (tools/places.tsv)."""

from __future__ import annotations

import re

from pipecatapp.languages.language import Places

# Other names of countries -> ISO 3166.
_COUNTRIES = {
    "america": "US", "states": "US", "u s": "US", "u s a": "US", "united states of america": "US", "us": "US",
    "usa": "US", "britain": "GB", "england": "GB", "great britain": "GB", "northern ireland": "GB", "scotland": "GB",
    "u k": "GB", "uk": "GB", "wales": "GB", "emirates": "AE", "u a e": "AE", "uae": "AE", "bosnia": "BA",
    "burma": "MM", "cape verde": "CV", "caribbean netherlands": "BQ", "czech republic": "CZ", "deutschland": "DE",
    "dr congo": "CD", "drc": "CD", "congo": "CD", "east timor": "TL", "timor leste": "TL", "eire": "IE",
    "republic of ireland": "IE", "faroes": "FO", "falklands": "FK", "gambia": "GM", "holland": "NL", "korea": "KR",
    "republic of korea": "KR", "macau": "MO", "macedonia": "MK", "mainland china": "CN", "palestine": "PS",
    "persia": "IR", "peoples republic of china": "CN", "republic of china": "TW", "russian federation": "RU",
    "saudi": "SA", "swaziland": "SZ", "turkiye": "TR", "vatican city": "VA", "viet nam": "VN",
    "cote divoire": "CI", "cabo verde": "CV",
}  # fmt: skip

# Other names of cities -> the name in the table and its country (of a state of the USA: US-NY).
_CITIES = {
    "new york": ("New York City", "US-NY"), "n y c": ("New York City", "US-NY"), "nyc": ("New York City", "US-NY"),
    "l a": ("Los Angeles", "US-CA"), "la": ("Los Angeles", "US-CA"), "sf": ("San Francisco", "US-CA"),
    "frisco": ("San Francisco", "US-CA"), "vegas": ("Las Vegas", "US-NV"), "philly": ("Philadelphia", "US-PA"),
    "washington dc": ("Washington", "US-DC"), "washington d c": ("Washington", "US-DC"),
    "d c": ("Washington", "US-DC"), "dc": ("Washington", "US-DC"), "bombay": ("Mumbai", "IN"),
    "calcutta": ("Kolkata", "IN"), "madras": ("Chennai", "IN"), "bangalore": ("Bengaluru", "IN"),
    "mysore": ("Mysuru", "IN"), "gurgaon": ("Gurugram", "IN"), "allahabad": ("Prayagraj", "IN"),
    "new delhi": ("Delhi", "IN"), "peking": ("Beijing", "CN"), "canton": ("Guangzhou", "CN"),
    "xian": ("Xi'an", "CN"), "saigon": ("Ho Chi Minh City", "VN"), "ho chi minh": ("Ho Chi Minh City", "VN"),
    "rangoon": ("Yangon", "MM"), "pusan": ("Busan", "KR"), "inchon": ("Incheon", "KR"),
    "constantinople": ("Istanbul", "TR"), "smyrna": ("İzmir", "TR"), "kiev": ("Kyiv", "UA"),
    "odessa": ("Odesa", "UA"), "lvov": ("Lviv", "UA"), "st petersburg": ("Saint Petersburg", "RU"),
    "st petersburg russia": ("Saint Petersburg", "RU"),
    "nizhny novgorod": ("Nizhniy Novgorod", "RU"), "cologne": ("Köln", "DE"), "munchen": ("Munich", "DE"),
    "muenchen": ("Munich", "DE"), "nuremberg": ("Nürnberg", "DE"), "hanover": ("Hannover", "DE"),
    "frankfurt": ("Frankfurt am Main", "DE"), "dusseldorf": ("Düsseldorf", "DE"), "koeln": ("Köln", "DE"),
    "duesseldorf": ("Düsseldorf", "DE"), "zuerich": ("Zürich", "CH"), "geneve": ("Geneva", "CH"),
    "genf": ("Geneva", "CH"), "basle": ("Basel", "CH"), "berne": ("Bern", "CH"), "wien": ("Vienna", "AT"),
    "firenze": ("Florence", "IT"), "milano": ("Milan", "IT"), "napoli": ("Naples", "IT"), "roma": ("Rome", "IT"),
    "torino": ("Turin", "IT"), "venezia": ("Venice", "IT"), "genova": ("Genoa", "IT"), "seville": ("Sevilla", "ES"),
    "saragossa": ("Zaragoza", "ES"), "lisboa": ("Lisbon", "PT"), "oporto": ("Porto", "PT"),
    "bruxelles": ("Brussels", "BE"), "antwerp": ("Antwerpen", "BE"), "ghent": ("Gent", "BE"),
    "den haag": ("The Hague", "NL"), "hague": ("The Hague", "NL"), "gothenburg": ("Göteborg", "SE"),
    "kobenhavn": ("Copenhagen", "DK"), "praha": ("Prague", "CZ"), "cracow": ("Kraków", "PL"),
    "warszawa": ("Warsaw", "PL"), "bucuresti": ("Bucharest", "RO"), "beograd": ("Belgrade", "RS"),
    "athina": ("Athens", "GR"), "salonica": ("Thessaloníki", "GR"), "marseilles": ("Marseille", "FR"),
    "lyons": ("Lyon", "FR"), "mecca": ("Makkah", "SA"), "medina": ("Madinah", "SA"), "basra": ("Basrah", "IQ"),
    "tel aviv": ("Tel Aviv", "IL"), "tel aviv yafo": ("Tel Aviv", "IL"), "port elizabeth": ("Gqeberha", "ZA"),
    "mexico df": ("Mexico City", "MX"), "ciudad de mexico": ("Mexico City", "MX"), "quebec city": ("Québec", "CA"),
    "nur sultan": ("Astana", "KZ"), "chittagong": ("Chattogram", "BD"), "dacca": ("Dhaka", "BD"),
    "ulaanbaatar": ("Ulan Bator", "MN"), "alma ata": ("Almaty", "KZ"), "fez": ("Fes", "MA"),
    "marrakech": ("Marrakesh", "MA"), "aleppo": ("Aleppo", "SY"), "danang": ("Da Nang", "VN"),
    "krung thep": ("Bangkok", "TH"), "batavia": ("Jakarta", "ID"),
}  # fmt: skip

# Regions that lie in one zone, and how time zones are called.
_ZONES = {
    "alberta": "America/Edmonton", "b c": "America/Vancouver", "bc": "America/Vancouver",
    "british columbia": "America/Vancouver", "manitoba": "America/Winnipeg",
    "new brunswick": "America/Moncton", "newfoundland": "America/St_Johns", "nova scotia": "America/Halifax",
    "ontario": "America/Toronto", "prince edward island": "America/Halifax", "quebec": "America/Toronto",
    "saskatchewan": "America/Regina", "yukon": "America/Whitehorse", "new south wales": "Australia/Sydney",
    "nsw": "Australia/Sydney", "northern territory": "Australia/Darwin", "queensland": "Australia/Brisbane",
    "south australia": "Australia/Adelaide", "tasmania": "Australia/Hobart", "western australia": "Australia/Perth",
    "bali": "Asia/Makassar", "java": "Asia/Jakarta", "sumatra": "Asia/Jakarta", "canary islands": "Atlantic/Canary",
    "canaries": "Atlantic/Canary", "tenerife": "Atlantic/Canary", "gran canaria": "Atlantic/Canary",
    "azores": "Atlantic/Azores", "madeira": "Atlantic/Madeira", "mallorca": "Europe/Madrid",
    "majorca": "Europe/Madrid", "ibiza": "Europe/Madrid", "sicily": "Europe/Rome", "sardinia": "Europe/Rome",
    "crete": "Europe/Athens", "corsica": "Europe/Paris", "bavaria": "Europe/Berlin", "galapagos": "Pacific/Galapagos",
    "easter island": "Pacific/Easter", "tahiti": "Pacific/Tahiti", "siberia": "Asia/Novosibirsk",
    "punjab india": "Asia/Kolkata", "kerala": "Asia/Kolkata", "goa": "Asia/Kolkata", "tibet": "Asia/Shanghai",
    "silicon valley": "America/Los_Angeles", "hollywood": "America/Los_Angeles", "east coast": "America/New_York",
    "west coast": "America/Los_Angeles", "midwest": "America/Chicago",
    "atlantic": "America/Halifax", "eastern": "America/New_York", "central": "America/Chicago",
    "mountain": "America/Denver", "pacific": "America/Los_Angeles", "alaskan": "America/Anchorage",
    "hawaiian": "Pacific/Honolulu", "central european": "Europe/Paris", "eastern european": "Europe/Athens",
    "western european": "Europe/Lisbon", "greenwich": "Etc/UTC", "greenwich mean": "Etc/UTC", "zulu": "Etc/UTC",
    "coordinated universal": "Etc/UTC", "universal": "Etc/UTC", "utc": "Etc/UTC", "gmt": "Etc/UTC", "z": "Etc/UTC",
    "est": "America/New_York", "edt": "America/New_York", "et": "America/New_York", "cst": "America/Chicago",
    "cdt": "America/Chicago", "ct": "America/Chicago", "mst": "America/Denver", "mdt": "America/Denver",
    "mt": "America/Denver", "pst": "America/Los_Angeles", "pdt": "America/Los_Angeles", "pt": "America/Los_Angeles",
    "akst": "America/Anchorage", "akdt": "America/Anchorage", "hst": "Pacific/Honolulu", "ast": "America/Halifax",
    "nst": "America/St_Johns", "brt": "America/Sao_Paulo", "art": "America/Argentina/Buenos_Aires",
    "wet": "Europe/Lisbon", "cet": "Europe/Paris", "cest": "Europe/Paris",
    "mez": "Europe/Berlin", "mesz": "Europe/Berlin", "eet": "Europe/Athens", "eest": "Europe/Athens",
    "bst": "Europe/London", "msk": "Europe/Moscow", "trt": "Europe/Istanbul", "sast": "Africa/Johannesburg",
    "eat": "Africa/Nairobi", "wat": "Africa/Lagos", "gst": "Asia/Dubai", "pkt": "Asia/Karachi", "ist": "Asia/Kolkata",
    "indian": "Asia/Kolkata", "ict": "Asia/Bangkok", "wib": "Asia/Jakarta", "sgt": "Asia/Singapore",
    "hkt": "Asia/Hong_Kong", "pht": "Asia/Manila", "jst": "Asia/Tokyo", "kst": "Asia/Seoul", "awst": "Australia/Perth",
    "acst": "Australia/Adelaide", "acdt": "Australia/Adelaide", "aest": "Australia/Sydney",
    "aedt": "Australia/Sydney", "nzst": "Pacific/Auckland", "nzdt": "Pacific/Auckland",
}  # fmt: skip

PLACES = Places(
    here=frozenset({"", "here", "local", "now", "home", "my place", "right here", "where i am", "this place"}),
    countries=_COUNTRIES,
    cities=_CITIES,
    zones=_ZONES,
    surroundings=re.compile(
        r"^(?:(?:in|at|for|over in) )+|^the |"
        r"(?: (?:time zone|timezone|standard time|daylight time|summer time|local time|time|zone|right now|now|please|"
        r"at the moment|today))+$"
    ),
    inside=re.compile(r"\s*,\s*| in "),
    kinds=(
        re.compile(r"(?:the )?(?P<kind>city|country|state|republic) of (?P<name>.+)", re.IGNORECASE),
        re.compile(r"(?P<name>.+?),? the (?P<kind>city|country|state)", re.IGNORECASE),
    ),
    kind_words={"city": "city", "country": "country", "republic": "country", "state": "state"},
    offset=re.compile(
        r"(?:utc|gmt|zulu|universal time)? ?(?P<sign>[+\u2212-]|plus|minus) ?(?P<hours>\d{1,2}|[a-z]+)"
        r"(?:(?::| )?(?P<minutes>[0-5]\d))?(?: hours?)?"
    ),
)
