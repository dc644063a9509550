"""A browser's own description of itself in words a person knows. A hint for people, never a proof."""

from dataclasses import dataclass

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iOS", True),
    ("iPad", "iOS", True),
    ("Android", "Android", True),
    ("Windows", "Windows", False),
    ("Mac OS X", "macOS", False),
    ("CrOS", "ChromeOS", False),
    ("Linux", "Linux", False),
)


@dataclass(frozen=True, slots=True)
class Device:
    name: str
    is_mobile: bool


def describe_device(user_agent: str) -> Device:
    """Return the device in words such as `Firefox on Linux`."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), None)
    system, is_mobile = next(((name, mobile) for mark, name, mobile in _SYSTEMS if mark in user_agent), (None, False))
    if browser and system:
        return Device(f"{browser} on {system}", is_mobile)
    return Device(browser or system or "Unknown browser", is_mobile)
