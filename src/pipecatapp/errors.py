"""The exceptions of this program.

PipecatAppError
├── ConfigurationError      a setting, file or name is wrong; says which, why and what to do
│   ├── UnknownChoiceError  a name that no registry knows; lists the choices
│   └── MissingExtraError   an optional package is absent; carries the install command
├── StartError              a part of the program is broken and cannot be started; names it
├── ModelError              the language model could not answer
│   ├── ModelNotReadyError  it is still starting (loading, building, downloading)
│   ├── ModelUnreachableError   it was there and is gone, or answers nonsense
│   │   └── RequestRefusedError     the server is well, and refuses this request
│   ├── ExpertBusyError     all instances of an expert work, and as many requests wait as may
│   └── ContextOverflowError    the prompt does not fit its context
├── ToolError               a tool could not do its work; its text is fit for the model and for speech
│   └── NoWayBackError      what was changed is not as it was left, or is gone: it can never be taken back
├── ToolOffError            a tool cannot work on this PC at all, so it is not offered; says why and what to do
├── SchemaError             a JSON Schema of somebody else is broken, too large, or refers to something outside it
├── ApprovalError           a decision about a waiting call cannot be taken
│   ├── UnknownRequestError there is no such request
│   ├── SettledError        it was decided, has expired, or is another call than the one that was shown
│   └── UnfitDecisionError  what was decided does not fit: wrong arguments, or not to be answered this way
├── EngineError             no llama-server can be had or started on this PC
├── DownloadError           a file could not be fetched or does not match its checksum
│   ├── SourceUnreachableError  the hub or registry cannot be reached; nothing is wrong with the file
│   └── ChecksumError       what arrived is not the pinned file
├── StorageError            what must survive a restart could not be written or read
│   ├── InUseError          another process has it; stop that one, or ask it
│   ├── StaleAppendError    another writer was first, or has taken over: read again, or stop
│   ├── NotSavedError       most of the PCs that keep the journal do not answer, or another one is active
│   └── CompactedError      what is asked for of the journal is only there as a snapshot
└── SpeechError             speech recognition or synthesis failed
"""


class PipecatAppError(Exception):
    """Base of everything this program raises on purpose."""


class ConfigurationError(PipecatAppError):
    """A setting, file or name is wrong. The text names the thing, the reason and the next step."""


class UnknownChoiceError(ConfigurationError):
    """A name that is not in a registry."""

    def __init__(self, kind: str, name: str, choices: list[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; choose one of: {', '.join(sorted(choices))}")
        self.kind, self.name, self.choices = kind, name, choices


class MissingExtraError(ConfigurationError):
    """An optional package is needed and absent."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra that is not installed; run: pipecatapp extras install {extra}")
        self.extra = extra


class StartError(PipecatAppError):
    """A part of the program is broken and cannot be started. The text names it."""


class ModelError(PipecatAppError):
    """The language model could not answer."""


class ModelNotReadyError(ModelError):
    """The model is still starting. ``progress`` (0 to 1) is set when it is known."""

    def __init__(self, reason: str, progress: float | None = None) -> None:
        super().__init__(reason)
        self.progress = progress


class ModelUnreachableError(ModelError):
    """The model server is gone, hangs or answers nonsense."""


class RequestRefusedError(ModelUnreachableError):
    """The model server is well and does not take this request: it would be no use to send it again."""


class ExpertBusyError(ModelError):
    """An expert is full. The text says so in a sentence that can be spoken."""


class ContextOverflowError(ModelError):
    """The prompt does not fit the model's context."""


class ToolError(PipecatAppError):
    """A tool could not do its work. The text can be read to the model and to the person."""


class NoWayBackError(ToolError):
    """What was changed cannot be taken back any more."""


class ToolOffError(PipecatAppError):
    """A tool cannot work on this PC, so the model is not told of it. The text says why and what to do."""


class SchemaError(PipecatAppError):
    """A JSON Schema that somebody else wrote cannot be used. The text says why and repeats nothing of it."""


class ApprovalError(PipecatAppError):
    """A decision about a waiting call cannot be taken. The text says why."""


class UnknownRequestError(ApprovalError):
    """There is no such request."""


class SettledError(ApprovalError):
    """The request was decided already, has expired, or is for another call than the one that was shown."""


class UnfitDecisionError(ApprovalError):
    """The decision does not fit the request: arguments that the tool does not take, or a way that is not allowed."""


class DownloadError(PipecatAppError):
    """A file could not be fetched, or does not match its checksum."""


class SourceUnreachableError(DownloadError):
    """The hub or registry cannot be reached from here."""


class ChecksumError(DownloadError):
    """What arrived is not the pinned file."""


class EngineError(PipecatAppError):
    """No engine can be had or started on this PC. The text says why and what to do."""


class StorageError(PipecatAppError):
    """What must survive a restart could not be written or read. The text names file, reason and next step."""


class InUseError(StorageError):
    """Another process uses it, as only one may."""


class StaleAppendError(StorageError):
    """The journal has an event, or a term, that the writer does not know: nothing was appended."""


class NotSavedError(StorageError):
    """The journal lies on several PCs, and this one may not say now that something is saved. The text says why."""


class CompactedError(StorageError):
    """The journal no longer has the events of that time: take a snapshot and go on from there."""


class SpeechError(PipecatAppError):
    """Speech recognition or synthesis failed."""
