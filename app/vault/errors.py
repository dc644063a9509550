"""What the vault raises: one type for everything that cannot be opened, so that no caller can tell guesses apart."""


class VaultError(Exception):
    """A record cannot be sealed or opened. The text never holds a value, a key or a record."""


class KeyUnavailable(VaultError):
    """The record names a root key that this key ring does not hold, or holds as retired: our fault, not the trader's."""
