"""The local answerer is fitted to a help centre: by retrieval's order where that clearly answers more tickets."""

from pathlib import Path

import numpy as np
import pytest

from evals.train.answerer import Offer, fit_rank, save_rank
from infra.embeddings.scripted import HashingEmbedder
from infra.models.extractive import FILE, RANK, LocalExtractive
from infra.models.untrained import NotTrained
from processors.ports import Prompt
from processors.resolution import DraftReply, DraftRequest, ShownPassage

FIRST = Offer(np.array([1.0, 1.1, 0.2]), np.array([True, False, False]))  # the order is right, the reading is not
SECOND = Offer(np.array([1.0, 1.1, 0.2]), np.array([False, True, False]))
QUESTION = "Is the lid of the kettle hot?"
PASSAGES = tuple(
    ShownPassage(article_id="kettle", section_id=name, title="Kettle", heading=name, text=text)
    for name, text in (("base", "The base is warm."), ("lid", "The lid of the kettle is hot."))
)


@pytest.mark.parametrize(
    ("offers", "rank"), [([FIRST] * 20, 0.2), ([FIRST] * 3 + [SECOND] * 2, RANK), ([SECOND] * 20, RANK), ([], RANK)]
)
def test_the_order_weighs_more_where_it_clearly_answers_more(offers: list[Offer], rank: float) -> None:
    assert fit_rank(offers) == rank


@pytest.mark.parametrize(("rank", "section"), [(0.0, "lid"), (9.0, "base")])
async def test_the_answerer_goes_by_what_was_fitted(tmp_path: Path, rank: float, section: str) -> None:
    save_rank(rank, tmp_path)
    answerer = LocalExtractive.load(tmp_path, HashingEmbedder())
    request = DraftRequest(question=QUESTION, passages=PASSAGES)
    reply = await answerer.complete(Prompt(system="", user=request.model_dump_json(), hash=""), DraftReply, 9.0)
    assert reply.value.sentences[0].section_id == section


async def test_how_a_section_fits_does_not_depend_on_its_place() -> None:
    answerer = LocalExtractive(HashingEmbedder(), rank=9.0)
    there, back = [
        await answerer.fits(DraftRequest(question=QUESTION, passages=passages))
        for passages in (PASSAGES, PASSAGES[::-1])
    ]
    assert [fit for _, fit in there] == pytest.approx([fit for _, fit in reversed(back)])


def test_without_a_file_the_default_holds_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert LocalExtractive.load(tmp_path, HashingEmbedder()).name == "local/extractive"
    (tmp_path / FILE).write_text('{"rank": -1}')
    with pytest.raises(NotTrained, match="train gate"):
        LocalExtractive.load(tmp_path, HashingEmbedder())
