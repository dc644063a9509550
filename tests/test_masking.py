"""The masking type never shows its value: not printed, formatted, serialized, copied, compared, hashed or in an error."""

import copy
import json
import logging
import pickle
import traceback
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from app.masking import MASK, Secret

VALUE = "hunter2-hunter2"


class Form(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    secret_key: Secret


@pytest.mark.parametrize(
    "show",
    [
        repr, str, ascii, format, "{}".format, "{:>40}".format, "{0!r:.3}".format, lambda s: f"{s}{s!r}{s!s}{s:10}",
        lambda s: "%s %r" % (s, s),  # noqa: UP031
        lambda s: repr([s, {"k": s}, (s,)]), lambda s: json.dumps(s, default=str), lambda s: json.dumps({"k": s}, default=repr),
    ],
)  # fmt: skip
def test_no_way_of_printing_shows_it(show: Any) -> None:
    assert VALUE not in show(Secret(VALUE))
    assert VALUE[:3] not in show(Secret(VALUE)).replace(MASK, "")


def test_the_mask_has_one_length() -> None:
    assert str(Secret("")) == str(Secret("x" * 1000)) == MASK


def test_json_does_not_take_it_by_accident() -> None:
    with pytest.raises(TypeError) as caught:
        json.dumps(Secret(VALUE))
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret(VALUE), protocol)


def test_copies_are_the_same_object() -> None:
    secret = Secret(VALUE)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"k": [secret]})["k"][0] is secret


def test_it_has_nothing_to_look_into() -> None:
    secret = Secret(VALUE)
    with pytest.raises(TypeError):
        vars(secret)
    assert not hasattr(secret, "__value")
    with pytest.raises(TypeError):
        iter(secret)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        bytes(secret)  # type: ignore[call-overload]


def test_it_compares_only_with_secrets() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret(VALUE + "x")
    assert Secret("ключ") == Secret("ключ")
    assert Secret(VALUE) != VALUE
    assert VALUE != Secret(VALUE)  # noqa: SIM300
    with pytest.raises(TypeError):
        Secret("a") < Secret("b")  # type: ignore[operator]  # noqa: B015


def test_comparing_text_that_is_no_unicode_neither_fails_nor_shows_it() -> None:
    assert Secret("\ud800") == Secret("\ud800")
    assert Secret("\ud800") != Secret("\udfff")


def test_it_cannot_be_hashed_or_looked_up() -> None:
    with pytest.raises(TypeError):
        hash(Secret(VALUE))
    with pytest.raises(TypeError):
        {Secret(VALUE)}


def test_it_knows_its_length_only() -> None:
    assert len(Secret(VALUE)) == len(VALUE)
    assert not Secret("")


def test_a_model_takes_text_and_gives_the_mask() -> None:
    form = Form.model_validate_json(json.dumps({"secret_key": VALUE}))
    assert form.secret_key.reveal() == VALUE
    for shown in (form.model_dump_json(), repr(form), str(form), repr(form.model_dump()), repr(form.model_dump(mode="json"))):
        assert VALUE not in shown
        assert MASK in shown


@pytest.mark.parametrize(
    "entered", [{"secret_key": [VALUE]}, {"secret_key": {"v": VALUE}}, {"secret_key": VALUE * 1000}, [VALUE]]
)
def test_a_validation_error_does_not_show_it(entered: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate(entered)
    shown = str(caught.value) + repr(caught.value) + "".join(traceback.format_exception(caught.value))
    assert VALUE not in shown + json.dumps(caught.value.errors(include_input=False, include_context=False))


def test_a_secret_already_made_passes_through_a_model() -> None:
    secret = Secret(VALUE)
    assert Form(secret_key=secret).secret_key is secret


def test_the_json_schema_says_password_and_gives_no_example() -> None:
    for mode in ("validation", "serialization"):
        schema = TypeAdapter(Secret).json_schema(mode=mode)
        assert schema == {"type": "string", "format": "password", "writeOnly": True, "maxLength": 8192}


def test_a_log_line_shows_the_mask(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("keydeck.test").debug("given %s and %r", Secret(VALUE), {"k": Secret(VALUE)})
    assert VALUE not in caplog.text
    assert MASK in caplog.text


def test_an_exception_that_carries_it_shows_the_mask() -> None:
    assert VALUE not in "".join(traceback.format_exception(ValueError(Secret(VALUE))))
