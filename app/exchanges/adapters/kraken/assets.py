"""Kraken's names of assets: old codes, and suffixes that say where a holding lies. What is not known stays as it is told.

The old codes are a closed list: a rule that strips X or Z would turn XTZ, ZRX and ZEC into other things.
"""

import re

_OLD_CODES = {
    "XXBT": "BTC",
    "XBT": "BTC",
    "XXDG": "DOGE",
    "XDG": "DOGE",
    "XETH": "ETH",
    "XETC": "ETC",
    "XLTC": "LTC",
    "XMLN": "MLN",
    "XREP": "REP",
    "XXLM": "XLM",
    "XXMR": "XMR",
    "XXRP": "XRP",
    "XZEC": "ZEC",
    "ZAUD": "AUD",
    "ZCAD": "CAD",
    "ZEUR": "EUR",
    "ZGBP": "GBP",
    "ZJPY": "JPY",
    "ZUSD": "USD",
}
_PLACES = {"S": "staked", "M": "opt-in rewards", "B": "yield-bearing", "F": "rewards"}  # a suffix, and its account here
_PLAIN = re.compile(r"[A-Z]{2,10}")


def place_asset(told: str) -> tuple[str, str]:
    """Return (account, asset) of a code in upper case: `XBT.M` is BTC in opt-in rewards.

    A code with another suffix (`.T` is an asset of its own), or with a number as in `DOT28.S`, stays whole in spot.
    """
    code, point, suffix = told.partition(".")
    if not point:
        return "spot", _OLD_CODES.get(told, told)
    if suffix in _PLACES and _PLAIN.fullmatch(code):
        return _PLACES[suffix], _OLD_CODES.get(code, code)
    return "spot", told
