"""Revisions as callers see them."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from subscription_state.errors import InvalidRevision
from subscription_state.revision import Revision

epochs = st.binary(min_size=8, max_size=8).map(bytes.hex)
numbers = st.integers(0, 2**63 - 1)
revisions = st.builds(Revision, epoch=epochs, number=numbers)

KNOWN = Revision(epoch="00ff00ff00ff00ff", number=42)


@given(revisions)
def test_a_revision_survives_being_text(revision: Revision) -> None:
    assert Revision.parse(str(revision)) == revision


@given(revisions)
def test_its_text_needs_no_quoting_anywhere(revision: Revision) -> None:
    assert all(sign.isalnum() or sign in "-_" for sign in str(revision))


@given(revisions, epochs)
def test_another_history_is_told_apart(revision: Revision, epoch: str) -> None:
    assume(epoch != revision.epoch)

    other = Revision.parse(str(Revision(epoch=epoch, number=revision.number)))

    assert other.epoch != revision.epoch
    assert other != revision


@given(st.text())
@example("")
@example("AQ")
@example("é")
@example(str(KNOWN) + "=")
@example(str(KNOWN) + "\n")
@example("!" + str(KNOWN))
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRevision):
        Revision.parse(text)


@given(revisions, st.data())
def test_a_mangled_revision_is_refused(revision: Revision, data: st.DataObject) -> None:
    text = str(revision)
    at = data.draw(st.integers(0, len(text) - 1))
    sign = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    assume(sign != text[at])

    for mangled in (text[:at] + sign + text[at + 1 :], text[:at] + text[at + 1 :]):
        with pytest.raises(InvalidRevision):
            Revision.parse(mangled)


def test_an_inserted_sign_that_decoders_skip_is_refused() -> None:
    text = str(KNOWN)

    with pytest.raises(InvalidRevision):
        Revision.parse(text[:4] + "!" + text[4:])


def test_its_text_does_not_change_between_releases() -> None:
    assert str(KNOWN) == "AQD_AP8A_wD_AAAAAAAAACpk1W_y"
    assert Revision.parse("AQD_AP8A_wD_AAAAAAAAACpk1W_y") == KNOWN
