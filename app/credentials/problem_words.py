"""The words of every problem code: what a trader reads, what support may answer, what an operator should know.

Placeholders: {exchange}, {key} and {secret} (the exchange's own field labels), {withdraw}, {transfer} and {trade} (its
tick boxes), {addresses} (this server's), {ends}, {skew}. A test demands an entry for every code.
"""

from collections.abc import Mapping
from dataclasses import dataclass

TRADER, NOBODY, EXCHANGE, OPERATOR = "trader", "nobody", "exchange", "operator"


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one code. `field` names the form field at fault: `key`, `secret` or a field's own name."""

    cause: str
    remedy: str
    reply: str
    operator: str
    who_acts: str = TRADER
    action: str = "none"
    field: str | None = None

    @property
    def is_mended_there(self) -> bool:
        """Whether the next step is taken on the exchange's page of keys."""
        return self.who_acts == TRADER and self.action in ("guide", "replace", "copy_address", "watch_only", "recheck")


WORDS: Mapping[str, Words] = {
    "withdraw_enabled": Words(
        cause="This key can move funds out of {exchange}.",
        remedy="At {exchange}, edit the key, untick {withdraw} and save. Then check again.",
        reply="Your {exchange} key has the box {withdraw} ticked, and Keydeck does not use keys that can move funds out. At"
        " {exchange}, edit the key, untick {withdraw} and save. Then press Check now in Keydeck. If you did not "
        "tick it yourself, delete the key.",
        operator="The key may withdraw. It is only re-checked, never used, until the trader turns that off.",
        action="guide",
    ),
    "transfer_enabled": Words(
        cause="This key can move funds between accounts at {exchange}, which it could not before.",
        remedy="Keydeck uses it for checks only. At {exchange}, edit the key, untick {transfer} and save, then check again. Or "
        "replace the key. If you did not change it yourself, delete it there.",
        reply="Your {exchange} key has gained the box {transfer}, which a key for balances only does not need, so Keydeck uses it"
        " for checks only. At {exchange}, edit the key, untick {transfer} and save. Then press Check now in Keydeck. If you did "
        "not tick it yourself, delete the key.",
        operator="The key has gained a right that its plan does not need. It is only re-checked until the trader acts.",
        action="guide",
    ),
    "invalid_key": Words(
        cause="{exchange} does not know this key.",
        remedy="See that {key} and {secret} are not swapped and copy both again. If that does not help, the key was switched "
        "off or deleted, or belongs to another site: create a new one at {exchange}.",
        reply="{exchange} does not know this key any more: it was deleted, switched off or replaced there, or copied "
        "incompletely. Create a new key at {exchange} and put it in with Replace key in Keydeck.",
        operator="The exchange does not know the key. Only the trader can mend this.",
        action="replace",
        field="key",
    ),
    "bad_signature": Words(
        cause="{exchange} knows the {key}, but the {secret} does not belong to it.",
        remedy="Copy the {secret} again and see that the two are not swapped. A lost {secret} cannot be shown again: create "
        "a new key.",
        reply="{exchange} knows your {key}, but the {secret} does not belong to it. Copy both parts again into Replace key."
        " If the {secret} is lost, create a new key at {exchange}: it is shown only once.",
        operator="The secret does not match the key. Only the trader can mend this.",
        action="replace",
        field="secret",
    ),
    "key_expired": Words(
        cause="{exchange} has ended this key.",
        remedy="Create a new key at {exchange} and put it in here. If it ended because it was bound to no address, bind the new "
        "one to {addresses}.",
        reply="Your {exchange} key has expired. Create a new one at {exchange} and put it in with Replace key in Keydeck. If it "
        "ended because it was bound to no address, bind the new one to {addresses}.",
        operator="The key reached the exchange's own end date. Only the trader can mend this.",
        action="replace",
    ),
    "ip_not_allowed": Words(
        cause="{exchange} refuses this key from this server's address.",
        remedy="Add {addresses} to the addresses allowed for the key at {exchange}, save, then check again.",
        reply="{exchange} refuses our requests because your key is limited to other addresses. At {exchange}, edit the key,"
        " add {addresses} to its allowed addresses and save. You need not enter the key again.",
        operator="The key is bound to other addresses. If many traders see this, compare KEYDECK_EGRESS with the real outgoing"
        " address.",
        action="copy_address",
    ),
    "permission_missing": Words(
        cause="Balances work, orders do not.",
        remedy="At {exchange}, edit the key, tick {trade} and save, then check again. Or use the key for balances only.",
        reply="Your {exchange} key may read balances but not trade. At {exchange}, edit the key, tick {trade} and save; "
        "leave {withdraw} empty. If you only want to see balances, choose that plan in Keydeck instead.",
        operator="The key lacks a right its plan needs. Only the trader can mend this.",
        action="watch_only",
    ),
    "account_blocked": Words(
        cause="{exchange} has blocked or locked this account.",
        remedy="Sign in at {exchange} and see what it asks of you, or write to its support. Then check again.",
        reply="{exchange} reports that your account there is blocked or locked. Sign in at {exchange} and follow what it "
        "asks, or write to its support. Your key in Keydeck can stay as it is.",
        operator="The exchange has blocked the trader's account. Nothing to do on this server.",
        action="recheck",
    ),
    "waiting": Words(
        cause="Balances work, orders do not yet: {exchange} waits for you to confirm the key, or {trade} is not ticked.",
        remedy="Follow the link in the e-mail {exchange} sent you (look in spam too); Keydeck looks again by itself. If there "
        "is no such e-mail, edit the key at {exchange}, tick {trade} and save.",
        reply="Your {exchange} key may not trade yet. {exchange} sends an e-mail to confirm the rights of a new key: follow its "
        "link (look in your spam folder too). If there is no such e-mail, edit the key at {exchange}, tick {trade} and save. "
        "Then press Check now in Keydeck.",
        operator="A new key may not trade yet: its trader has not followed the exchange's confirmation e-mail, or did not tick "
        "the box. It is looked at more often for a day.",
        action="recheck",
    ),
    "exchange_unavailable": Words(
        cause="{exchange} is not working properly at the moment.",
        remedy="Your key is not the problem, and there is nothing to do: Keydeck keeps trying.",
        reply="{exchange} is not working properly at the moment. Your key is not the problem and you need not do anything: "
        "Keydeck keeps trying and shows the last known values with their age.",
        operator="The exchange answers with its own failures. If it is one exchange for all traders, wait; if all of them, "
        "look at the network.",
        who_acts=EXCHANGE,
    ),
    "rate_limited": Words(
        cause="The limit on calls to {exchange} is reached for the moment.",
        remedy="There is nothing to do: checks go on more slowly.",
        reply="The limit on calls to {exchange} was reached. Nothing is wrong with your key; checks go on more slowly.",
        operator="The exchange refuses more calls from here, or Keydeck keeps below its limit. If it lasts, add ways out "
        "(KEYDECK_EGRESS) or raise KEYDECK_CHECK_INTERVAL_SECONDS.",
        who_acts=NOBODY,
    ),
    "maintenance": Words(
        cause="{exchange} is closed for maintenance.",
        remedy="Your key is not the problem. Keydeck tries again until {exchange} is back.",
        reply="{exchange} is closed for maintenance. Your key is not the problem; Keydeck tries again until {exchange} is back.",
        operator="The exchange announces maintenance. Nothing to do on this server.",
        who_acts=EXCHANGE,
    ),
    "unreachable": Words(
        cause="{exchange} did not answer in time.",
        remedy="Your key is not the problem. Wait a minute, then check again.",
        reply="{exchange} did not answer in time. Your key is not the problem; Keydeck keeps trying and shows the last "
        "known values with their age.",
        operator="No answer within the time limit. If all exchanges are affected, look at this server's network, name lookup "
        "and firewall.",
        who_acts=NOBODY,
        action="recheck",
    ),
    "clock_skew": Words(
        cause="{exchange} finds this server's clock wrong{skew}.",
        remedy="Tell the operator of this server. Nothing is wrong with your key.",
        reply="The clock of our server is off, so {exchange} refuses our requests. Nothing is wrong with your key; our "
        "operator is setting the clock.",
        operator="The exchange finds this server's clock wrong. Switch on time synchronisation (NTP) and check the time.",
        who_acts=OPERATOR,
    ),
    "number_refused": Words(
        cause="{exchange} has seen higher numbers from this key than ours.",
        remedy="Another program most likely uses the same key: each call needs a higher number than the last, so two overtake "
        "each other. Create a key at {exchange} for Keydeck alone and put it in here.",
        reply="{exchange} has seen higher numbers from your key than ours, most likely from another program with the same key, "
        "and refuses our calls. Create a key at {exchange} for Keydeck alone and put it in with Replace key in Keydeck.",
        operator="The exchange wants numbers that rise per key and has seen a higher one: most likely another program uses the "
        "key, and only the trader can mend that. If it meets many keys at once, look for a copy of this server or its database.",
        action="replace",
    ),
    "request_refused": Words(
        cause="{exchange} refuses what Keydeck asked of it.",
        remedy="Your key is not the problem. Tell the operator if it stays like this.",
        reply="{exchange} refuses a question that our software asked. Nothing is wrong with your key; our operator can see it.",
        operator="The exchange knows the call and refuses what it says: a fault of Keydeck, or the exchange has changed its API. "
        "Look for a newer version of Keydeck.",
        who_acts=OPERATOR,
        action="recheck",
    ),
    "unexpected_reply": Words(
        cause="{exchange} answered in a way Keydeck does not know.",
        remedy="Your key is not the problem. Tell the operator if it stays like this.",
        reply="{exchange} answered in a way our software does not know yet. Nothing is wrong with your key; our operator "
        "can see it.",
        operator="The exchange's answer has an unknown shape: it may have changed its API. Look for a newer version of Keydeck.",
        who_acts=OPERATOR,
        action="recheck",
    ),
    "no_way_out": Words(
        cause="This server's own way to {exchange} is not working.",
        remedy="Your key is not the problem. Tell the operator of this server if it stays like this.",
        reply="Our server's own connection on the way to {exchange} is not working. Nothing is wrong with your key; our "
        "operator can see it.",
        operator="A way out of KEYDECK_EGRESS fails before the exchange is reached: its local address is not on this machine, "
        "or its proxy does not answer or refuses.",
        who_acts=OPERATOR,
        action="recheck",
    ),
    "internal": Words(
        cause="The fault is on this server.",
        remedy="Nothing is wrong with your key. Try again; if it stays, tell the operator.",
        reply="Something failed on our server. Nothing is wrong with your key; our operator can see it.",
        operator="A fault of Keydeck itself. The log of that moment names it.",
        who_acts=OPERATOR,
        action="recheck",
    ),
    "withdraw_unverified": Words(
        cause="{exchange} did not tell whether {withdraw} is off.",
        remedy="Look at the key at {exchange} yourself and see that {withdraw} is empty.",
        reply="{exchange} does not tell us whether your key may withdraw. Open the key at {exchange} and see that "
        "{withdraw} is empty.",
        operator="The exchange gives no answer about withdrawal. KEYDECK_PROBES decides which harmless questions may be asked.",
        action="guide",
    ),
    "key_expiring": Words(
        cause="{exchange} ends this key on {ends}.",
        remedy="Replace it before that day. If it ends because it is bound to no address, binding it to {addresses} at "
        "{exchange} is enough.",
        reply="{exchange} ends your key on {ends}. Create a new key before that day and put it in with Replace key in Keydeck. "
        "If it ends because it is bound to no address, binding it to {addresses} at {exchange} is enough.",
        operator="The key nears the exchange's own end date. The trader has been told.",
        action="copy_address",
    ),
    "locked": Words(
        cause="This server cannot open the stored key.",
        remedy="Tell the operator. Or put the key in again with Replace key.",
        reply="Our server cannot open your stored key at the moment. It was not shown to anyone. Our operator is looking "
        "into it; putting the key in again with Replace key also helps.",
        operator="The sealed secrets do not open with this key ring. Run `keydeck doctor`, and restore the missing root key.",
        who_acts=OPERATOR,
        action="replace",
    ),
    "duplicate_key": Words(
        cause="This key is already connected.",
        remedy="Open the credential that holds it, or use another key.",
        reply="This key is already connected in your account. Open it in the list, or create another key at {exchange}.",
        operator="The trader tried to connect the same key twice. Nothing was stored.",
        field="key",
    ),
    "other_account": Words(
        cause="The new key belongs to another {exchange} account.",
        remedy="Create the new key in the same account, or connect this one as a credential of its own. The old key stays.",
        reply="The new key belongs to another {exchange} account than the old one, so the old key stays. Create a key in "
        "the same account, or connect the new one separately.",
        operator="A replacement from another exchange account was refused. The old key stays in use.",
        field="key",
    ),
    "invalid_input": Words(
        cause="Something in the form cannot be used.",
        remedy="Correct the marked field and send it again.",
        reply="Something in the form could not be used. The marked field says what.",
        operator="The trader's input was refused before any call. Nothing was stored.",
    ),
}
"""Every problem code that a credential, a check or an attempt can carry."""

UNSTORED = "Your key is not the problem, but it was not stored. Try again in a few minutes."
"""The remedy of weather for a key that is not stored: nobody checks it again by itself."""

UNEXPECTED_ADDRESS = "This server was set up to be seen as {expected}: tell its operator."
"""What is added where the exchange saw us come from an address that nobody expected."""


def _write_doubt(first: str) -> tuple[str, str, str]:
    """Return cause, remedy and reply for an answer with three reasons, of which the first differs."""
    reasons = (
        f"{{exchange}} gives the same answer for three reasons: {first}, it has no right to read yet, or "
        "it is bound to addresses without {addresses}."
    )
    return (
        "{exchange} refused every request of this key.",
        f"{reasons} Look at all three at {{exchange}}, save, then check again.",
        f"{reasons} Look at all three at {{exchange}} and save, then press Check now in Keydeck.",
    )


DOUBTS: Mapping[str, tuple[str, str, str]] = {
    "ip_not_allowed": _write_doubt("the key is switched off"),
    "invalid_key": _write_doubt(
        "the key is not known there (deleted, switched off, ended, copied incompletely, or of another site)"
    ),
}
