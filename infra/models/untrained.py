"""The error of every trained part that is missing or unusable."""


class NotTrained(Exception):
    """A trained part is missing, damaged or of another version; the message names the `sluice train` to run."""
