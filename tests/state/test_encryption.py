"""A sealed body is opened by its key, for its event, and by nothing else."""

import pytest

from subscription_state.encryption import SEALED, Key, Keyring
from subscription_state.errors import BodyDamaged, EncryptionKeyMissing

OLD, NEW = Key(b"o" * 32), Key(b"n" * 32)
BODY = b'{"id": "evt_1", "email": "jenny@example.com"}'


def test_what_is_sealed_is_opened_again_and_shows_nothing():
    keyring = Keyring([NEW, OLD])

    sealed = keyring.seal("evt_1", BODY)

    assert keyring.open("evt_1", sealed) == BODY
    assert sealed.startswith(NEW.mark)
    assert b"jenny" not in sealed


def test_the_first_key_seals_and_every_key_opens():
    sealed = Keyring([OLD]).seal("evt_1", BODY)

    rotated = Keyring([NEW, OLD])

    assert rotated.open("evt_1", sealed) == BODY
    assert rotated.seal("evt_1", BODY).startswith(NEW.mark)


def test_no_two_bodies_are_sealed_alike():
    keyring = Keyring([NEW])

    assert keyring.seal("evt_1", BODY) != keyring.seal("evt_1", BODY)


def test_without_a_key_a_body_is_stored_as_it_came():
    keyring = Keyring()

    assert keyring.seal("evt_1", BODY) == BODY
    assert keyring.mark is None


@pytest.mark.parametrize("body", [BODY, b" {}", b"\n\t{}", b"[]"])
def test_what_came_in_the_clear_is_read_for_ever(body):
    assert Keyring([NEW]).open("evt_1", body) == body


@pytest.mark.parametrize("keys", [[], [OLD]])
def test_a_key_that_is_gone_is_named(keys):
    sealed = Keyring([NEW]).seal("evt_1", BODY)

    with pytest.raises(EncryptionKeyMissing, match=NEW.key_id):
        Keyring(keys).open("evt_1", sealed)


def test_a_body_that_was_moved_to_another_event_is_not_opened():
    keyring = Keyring([NEW])
    sealed = keyring.seal("evt_1", BODY)

    with pytest.raises(BodyDamaged):
        keyring.open("evt_2", sealed)


@pytest.mark.parametrize("at", [-1, 9, 25])
def test_a_body_that_was_changed_is_not_opened(at):
    keyring = Keyring([NEW])
    sealed = bytearray(keyring.seal("evt_1", BODY))
    sealed[at] ^= 1

    with pytest.raises(BodyDamaged):
        keyring.open("evt_1", bytes(sealed))


@pytest.mark.parametrize("length", [9, 15, 21, 30, 40])
def test_a_body_that_was_cut_off_is_not_opened(length):
    keyring = Keyring([NEW])
    sealed = keyring.seal("evt_1", BODY)

    with pytest.raises(BodyDamaged):
        keyring.open("evt_1", sealed[:length])


@pytest.mark.parametrize("length", [1, 5])
def test_a_body_of_which_not_even_the_key_is_left_has_no_key(length):
    sealed = Keyring([NEW]).seal("evt_1", BODY)

    with pytest.raises(EncryptionKeyMissing):
        Keyring([NEW]).open("evt_1", sealed[:length])


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match="32 bytes"):
        Key(b"x" * length)


def test_a_keys_id_is_the_same_everywhere_and_tells_nothing_of_it():
    assert Key(b"o" * 32).key_id == OLD.key_id != NEW.key_id
    assert b"o" * 4 not in OLD.mark
    assert OLD.mark == SEALED + bytes.fromhex(OLD.key_id)
