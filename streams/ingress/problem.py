"""Problem details for HTTP APIs (RFC 9457): every refusal says what is wrong, and with which field."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """A refusal. `type` is `about:blank`: the status says the kind, `field` what to change."""

    type: str = "about:blank"
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What is wrong with this request.")
    field: str | None = Field(None, description="The header or the part of the body that is wrong.")


class Refused(Exception):
    """A request that ends with a problem."""

    def __init__(
        self, status: int, detail: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field = status, detail, field
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """The problem as it is sent."""
        title = HTTPStatus(self.status).phrase
        problem = Problem(title=title, status=self.status, detail=self.detail, field=self.field)
        return JSONResponse(problem.model_dump(exclude_none=True), self.status, self.headers, MEDIA_TYPE)
