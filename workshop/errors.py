"""What can go wrong in the tool itself, and the exit codes that say so."""

EXIT_PASSED = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INFRA = 3


class Refusal(Exception):
    """One clear line for a person: what is wrong and what to do. Never shown with a traceback."""

    def __init__(self, message: str, code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.code = code


class InfraError(Refusal):
    """The workshop, not the learner, failed. It is never turned into points."""

    def __init__(self, message: str) -> None:
        super().__init__(message, EXIT_INFRA)
