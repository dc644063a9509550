"""HTX's refusals: the gateway's texts, and the two envelopes (v1 by err-code, v2 by number), mostly with HTTP 200."""

from dataclasses import dataclass, field

from app.sandbox.calls import Json

V2_NUMBER = "v2-number"
V2_INVALID_SIGNATURE = "v2-1003"
CODE_AS_TEXT = "code-as-text"
NO_MESSAGE = "no-message"
_NOT_VALID = "api-signature-not-valid"


@dataclass(eq=False)
class HtxRefusal(Exception):
    """A call HTX says no to. `number` is the v2 form's code, `extra` adds fields to the body."""

    code: str
    words: str
    number: int = 0
    status: int = 200
    extra: dict[str, Json] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, *, switches: set[str]) -> Json:
        """Return the body in the form HTX uses for this path, or the other known forms by switch."""
        is_v2 = path.startswith("/v2/")
        if is_v2 and V2_INVALID_SIGNATURE in switches and self.code == _NOT_VALID:
            return {"code": 1003, "message": "invalid signature", "data": None}
        if is_v2 and self.number and (V2_NUMBER in switches or not self.code):
            return self._write_number(switches)
        return {"status": "error", "err-code": self.code, "err-msg": self.words, "data": None, **self.extra}

    def _write_number(self, switches: set[str]) -> Json:
        body: dict[str, Json] = {"code": str(self.number) if CODE_AS_TEXT in switches else self.number}
        if NO_MESSAGE not in switches:
            body["message"] = self.words.removeprefix("Signature not valid: ")
        return body | {"data": None}


def refuse_signature(words: str, *, number: int = 0) -> HtxRefusal:
    """Return the refusal that HTX gives under one code for every trouble with a key; only the text tells them apart."""
    return HtxRefusal(_NOT_VALID, f"Signature not valid: {words}", number)


def wrong_key() -> HtxRefusal:
    return refuse_signature("Incorrect Access key [Access key错误]", number=12007)


def wrong_signature() -> HtxRefusal:
    return refuse_signature("Verification failure [校验失败]", number=12008)


def wrong_address(address: str) -> HtxRefusal:
    return refuse_signature(f"Incorrect IP address [IP地址错误]:{address}", number=12005)


def expired_key() -> HtxRefusal:
    return refuse_signature("API key has expired [API Key已经过期]", number=12004)


def no_permission() -> HtxRefusal:
    return refuse_signature("API key has no permission [API Key没有权限]")


def wrong_moment() -> HtxRefusal:
    words = "Invalid submission time or incorrect time format [无效的提交时间，或时间格式错误]"
    return refuse_signature(words, number=12001)


def blocked_account() -> HtxRefusal:
    return refuse_signature("Abnormal user status [用户状态不正常]", number=12009)


def too_many_calls() -> HtxRefusal:
    words = "Request exceeds the frequency limit"
    return HtxRefusal("base-request-exceed-frequency-limit", words, 1006, status=429, headers={"Retry-After": "2"})


def under_maintenance() -> HtxRefusal:
    return HtxRefusal("system-maintenance", "System is in maintenance!")


def bad_gateway_input() -> HtxRefusal:
    return HtxRefusal("gateway-internal-error", "Failed to load data. Try again later.")


def missing_field(name: str) -> HtxRefusal:
    return HtxRefusal("validation-constraints-required", f"Field is missing: {name}", 2003)
