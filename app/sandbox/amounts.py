"""Writes money the way exchanges do: plain decimal text, never an exponent, never a float."""

from decimal import ROUND_DOWN, Decimal, InvalidOperation

ZERO = Decimal(0)
_MOST_DIGITS = 15


def plain(amount: Decimal) -> str:
    """Return the amount without trailing zeros; zero is "0"."""
    text = format(amount, "f")
    trimmed = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if trimmed in ("", "-0") else trimmed


def fixed(amount: Decimal, *, places: int) -> str:
    """Return the amount with exactly this many decimals, cut off, never rounded up."""
    return format(amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN), "f")


def cut(amount: Decimal, *, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above the (positive) amount."""
    return (amount / step).to_integral_value(rounding=ROUND_DOWN) * step


def parse_positive(value: object) -> Decimal | None:
    """Return a positive amount of sane size (below 10 to the 15th, at most 20 decimals); None for anything else."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    is_sane = amount.is_finite() and amount > 0 and amount.adjusted() <= _MOST_DIGITS and amount.adjusted() >= -20
    return amount if is_sane else None


def parse_whole(text: str) -> int | None:
    """Return a whole number of at most 18 plain digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
