"""Turns of phrase that have a plainer form. `prose` looks for them in all that people read."""

PLAINER: list[tuple[str, str]] = [
    (r"\bat the (most|least|latest|earliest)\b", "at most, at least: without 'the'"),
    (r"\b(of|for|to|from|by|with) (which|whom|who)\b", "turn the clause round: 'which … of'"),
    (
        r"(?<![Tt]here )\b(is|are|was|were|be) no (number|error|file|folder|class|image|picture|package|model|text|TorchScript|row)s?\b",
        "is not a …",
    ),
    (r"\banew\b", "again"),
    (r"\bhangs? (on|from)\b", "depends on"),
    (r"\bheld against\b|\bholds? \w+ against\b", "compared with"),
    (r"\bin vain\b", "it does not help to …"),
    (r"\b[Ww]hoever\b", "anyone who, or name the one who does it"),
    (r"\bleaves? (one|it|them) away\b", "omit"),
    (r"\btells? apart\b|\btell \w+ classes apart\b", "distinguish"),
    (r"\bso (says|said)\b|\bsays? so\b", "say what it says"),
    (r"\bgoes on\b(?! the| from it)", "continues"),
    (r"\bit is told\b|\bis told\b|\bare told\b", "gets, is given"),
    (
        r"(^|[.;:] )Of (a|an|the|what|each|every|such|those|these) [\w ]{1,30}?,? (is|are|has|only|its|it)\b",
        "begin with the subject",
    ),
    (r"\bmake(s)? small\b", "minimizes"),
    (r"\blet(s|ting)? go of\b", "release"),
    (r"\b[Aa]s (?:the |its |their |a )?[\w']+ (has|have) (it|them)\b", "as in …"),
    (r"\bto blame\b", "the cause"),
    (r"\b[Ww]ithout a word\b", "without a message"),
    (r"\bnear(er)? (each other|one another)\b", "close to, similar to"),
    (r"\bonce more\b", "again"),
    (r"\b([Ss]ome|[Nn]o)body\b", "name the one: a user, a thread, no other code"),
    (r"(?<!\?)\bso many (?!that\b|as\b)", "this many"),
    (r"[,;] else (?!if\b)", "otherwise"),
    (r"\bin clear\b(?! text)", "in clear text"),
    (r"\bwhat is asked\b|\b(is|are) asked (of|for)\b", "needs, requests, calls"),
    (r"\b(learnt|misspelt|spoilt)\b", "learned, misspelled, spoiled"),
    (
        r"\bWhat (a|an|the) \w+ (gives|gave|says|said|wants|asks)\b",
        "name it: the result, the text, the requirements of …",
    ),
    (r"\bmust needs\b|\bshall\b|\bought to\b", "must, should"),
]
"""Turns of phrase, as regular expressions, and what to write."""
