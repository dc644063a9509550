"""Writes money the way exchanges do: plain decimal text, never an exponent, never a float."""

from decimal import ROUND_DOWN, Decimal

ZERO = Decimal(0)


def plain(amount: Decimal) -> str:
    """Return the amount without trailing zeros; zero is "0"."""
    text = format(amount, "f")
    trimmed = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if trimmed in ("", "-0") else trimmed


def fixed(amount: Decimal, *, places: int) -> str:
    """Return the amount with exactly this many decimals, cut off, never rounded up."""
    return format(cut(amount, step=Decimal(1).scaleb(-places)), "f")


def cut(amount: Decimal, *, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above the (positive) amount."""
    return (amount / step).to_integral_value(rounding=ROUND_DOWN) * step
