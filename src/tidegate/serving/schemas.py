"""What the API takes and gives, as its OpenAPI document shows it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(description="A message.", examples=["house on fire on 5th street"])]
Name = Annotated[
    str | None,
    Field(default=None, max_length=200, description="Which model; by default the first one."),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PredictRequest(_Request):
    """One message in `text`, or many in `texts`."""

    text: Text | None = None
    texts: list[Text] | None = Field(
        default=None, description="Messages.", examples=[["house on fire", "lovely day"]]
    )
    model: Name

    @model_validator(mode="after")
    def _one_of_both(self) -> PredictRequest:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give text, or texts, and not both")
        return self

    @property
    def messages(self) -> list[str]:
        """The messages."""
        return [self.text] if self.text is not None else self.texts or []


class OneText(_Request):
    """One message, and the label to explain."""

    text: Text
    label: Annotated[
        str | None,
        Field(
            default=None, max_length=1_000,
            description="The label explained; by default the second of two, else the likeliest.",
        ),
    ]  # fmt: skip
    model: Name


class FeedbackRequest(_Request):
    """A message, and the label that it should have had."""

    text: Text
    label: Annotated[
        str | list[str],
        Field(description="The right label; multi-label: all that are right.", examples=["1"]),
    ]
    model: Name


class Prediction(BaseModel):
    """The answer to one message."""

    label: str | list[str] = Field(description="The label; multi-label: all that apply.")
    probabilities: dict[str, float] = Field(description="The probability of each label.")
    unknown: float = Field(description="The share of its words that the model does not know.")


class Predictions(BaseModel):
    """Answers, in the order of the messages."""

    model: str
    fingerprint: str = Field(description="Which model answered: it changes when one is reloaded.")
    predictions: list[Prediction]


class Token(BaseModel):
    """A piece of a message, and what it brought to the answer."""

    token: str
    start: int = Field(description="Where it begins in the text, in code points.")
    end: int
    known: bool
    read: bool
    contribution: float | None = Field(
        description="What it brought to the label's probability; null if it was not read."
    )


class Explanation(BaseModel):
    """What each token brought to the probability of a label."""

    model: str
    fingerprint: str
    text: str
    label: str = Field(description="The label that is explained.")
    decided: str | list[str]
    probability: float = Field(description="Of the label that is explained.")
    baseline: float = Field(description="Its probability for as many tokens that say nothing.")
    completeness_error: float = Field(
        description="How far the contributions are from adding up to probability − baseline."
    )
    tokens: list[Token]


class Walked(BaseModel):
    """A walk: every gate and state, token by token."""

    model: str
    fingerprint: str
    walk: dict[str, Any]


class ModelSummary(BaseModel):
    """A model that is served."""

    name: str
    kind: str
    labels: list[str]
    fingerprint: str
    engine: str = Field(description="What computes its answers: fast (tidegate-fast) or numpy.")


class ModelList(BaseModel):
    """The models that are served; the first is the default."""

    models: list[ModelSummary]


class ModelDetail(ModelSummary):
    """A model, its scores and its card."""

    thresholds: list[float]
    metrics: dict[str, Any] = Field(description="Scores on held-out rows, with their intervals.")
    calibration: dict[str, Any] | None = Field(
        description="Of held-out messages by their largest probability: how many were right."
    )
    engine_note: str = Field(description="The kernel's instructions, or why NumPy computes.")
    cell: str = Field(description="lstm, gru or rnn; only an LSTM can be walked.")
    takes_feedback: bool = Field(description="Whether corrections are kept here.")
    columns: dict[str, Any] = Field(description="The columns a file to be scored needs.")
    card: str = Field(description="The model card, in Markdown.")


class Reloaded(ModelSummary):
    """A model after it was read again."""

    changed: bool = Field(description="Whether it is another model than before.")


class Kept(BaseModel):
    """That a correction was kept."""

    kept: bool = True


class ProblemDetails(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
