"""The words of the sample force: systems, offences, statuses, conditions, and the syllables of its invented names.

Kinds, roles, themes and grades are those of the contract (`provenance.records`); this module adds only what the
contract leaves to the source. A code stands for each word in the columns; code 0 is the empty text where there is one.
"""

from __future__ import annotations

from itertools import product

SYSTEMS = ("CONNECT", "LEGACY", "PINS", "COMPACT")
CONNECT, LEGACY, PINS, COMPACT = range(4)

# Prefix of the record id, by system and then kind; a system without the kind has an empty one that is never used.
# The solidus and the space are legal in an id, and a pipeline that makes paths or keys of ids should meet them.
ID_PREFIX = (
    ("CR/", "CU/", "IR/", "", ""),
    ("L-CR-", "L-CU-", "L-IR ", "", ""),
    ("", "", "", "PR-", ""),
    ("", "", "", "", "MP-"),
)

# Home Office class codes, then codes that no table knows: a pipeline must flag those (R49).
OFFENCES = (
    "", "1", "2", "5D", "8N", "10A", "17A", "19C", "22B", "28A", "34B", "36", "45", "46", "48", "49", "56A", "58D",
    "66", "70", "92A", "92D", "106", "999X", "000",
)  # fmt: skip
UNKNOWN_OFFENCES = ("999X", "000")
# Weights of OFFENCES in four sorts of offending: everyday, drugs supply, sexual exploitation, organised.
OFFENCE_WEIGHTS = (
    (0, 0.1, 0.1, 4, 22, 0.4, 1, 1, 0.6, 9, 4, 0.4, 9, 14, 6, 10, 0.8, 9, 6, 0.1, 0.6, 2, 0.1, 0.12, 0.05),
    (0, 0.4, 0.6, 6, 9, 3, 0.2, 0.3, 0.6, 3, 7, 3, 1, 2, 3, 2, 1, 3, 3, 0.1, 34, 14, 5, 0.1, 0.05),
    (0, 0.1, 0.1, 1, 5, 0.2, 14, 18, 28, 0.3, 0.5, 4, 0.1, 1, 0.2, 0.3, 0.1, 1, 1, 9, 2, 2, 12, 0.1, 0.05),
    (0, 1.5, 2, 8, 9, 9, 0.3, 0.4, 0.3, 8, 9, 5, 2, 1, 9, 6, 4, 4, 3, 0.1, 18, 3, 5, 0.1, 0.05),
)
# The MOPI group that an offence falls in: the project's own rule for the sample, no authority.
OFFENCE_MOPI = (4, 1, 1, 2, 3, 2, 1, 1, 1, 3, 2, 2, 3, 3, 3, 3, 2, 3, 3, 1, 2, 3, 1, 3, 3)

STATUSES = (
    "", "open", "closed", "undetected", "charged", "bailed", "no further action", "active", "released", "recalled",
    "missing", "found", "withdrawn",
)  # fmt: skip
UNDETECTED, WITHDRAWN = STATUSES.index("undetected"), STATUSES.index("withdrawn")
STATUS_WEIGHTS = (  # by kind
    (1, 30, 40, 0, 29, 0, 0, 0, 0, 0, 0, 0, 0),
    (1, 0, 0, 0, 45, 24, 30, 0, 0, 0, 0, 0, 0),
    (1, 0, 9, 0, 0, 0, 0, 90, 0, 0, 0, 0, 0),
    (0, 0, 0, 0, 0, 0, 0, 0, 95, 5, 0, 0, 0),
    (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 94, 0),
)

# Stated with handling code C (3x5x2) and 2 to 5 (5x5x5); codes as in the forms, and free text.
CONDITIONS = (
    "", "A1", "A2", "A3", "S1", "S2", "A2;S1", "A3;S2", "S2: consult the originator, then the “gold” desk",
    "do not share outside O'Zan desk", "no action before the date in the parent report",
)  # fmt: skip

# Eight sets of themes; the index is a bit each for SOC (1), CSE (2), CL (4). Sorted, as the contract normalises them.
THEME_SETS = ("", "SOC", "CSE", "CSE;SOC", "CL", "CL;SOC", "CL;CSE", "CL;CSE;SOC")
SOC, CSE, CL = 1, 2, 4

AREAS = tuple(f"WM-{number:03d}" for number in range(1, 401))  # 20 by 20 squares of two kilometres, on no real map
PLACES = ("", *AREAS)

_ONSETS = ("b", "br", "d", "dr", "f", "fl", "g", "gl", "k", "kr", "m", "n", "p", "pl", "qu", "sk", "t", "tr", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u")
_CLOSES = ("ff", "lb", "mp", "ndle", "zz", "xby", "ggle", "bbin", "wick", "zome")
GIVEN = tuple(sorted(f"{a}{v}{b}{w}".capitalize() for a, v, b, w in product(_ONSETS, "aiu", ("l", "v", "z"), "aoi")))
FAMILY = tuple(sorted(f"{a}{v}{c}".capitalize() for a, v, c in product(_ONSETS, _VOWELS, _CLOSES)))
# Legal text that breaks careless code: quotes, commas, accents (composed and not), right to left, markup, formulae.
HOSTILE = (
    "O'Zumble", "d’Zibba", "Zöbbelß", "Zo\u0308bbel", "Zub, the younger", 'Vran "Zib" Dozz', "זובל", "زوبل",
    "Zań-Bęff", "=ZUB(1)", "<b>Zubb</b>", "Zubb; DROP", "ＺＵＢＢ", "Zubb𝔷", "Zu\u200dbb", "%s{zubb}", "-Zubb",
    "Zubb\\n",
)  # fmt: skip

SEXES = ("M", "F", "X", "")
SEX_WEIGHTS = (68, 28, 1, 3)
ETHNICITIES = ("A1", "A2", "A3", "B1", "B2", "M1", "O9", "W1", "W2", "NS", "")
ETHNICITY_WEIGHTS = (6, 9, 2, 5, 5, 3, 2, 52, 2, 9, 5)

EVIDENCE = ("fingerprints agree", "DNA profile agrees", "custody photographs compared, two officers", "own statement")
SPLIT_EVIDENCE = ("fingerprints differ", "two persons seen together", "names and dates of birth agreed by chance")
AUTHORITIES = ("MOPI review", "Records management order", "Court order")
NOMINAL_REASONS = ("group 3, six-year clear period ended", "recorded as a child under ten", "erasure request granted")
RECORD_REASONS = ("clear period ended", "recorded in error, no crime", "ordered by the court")
