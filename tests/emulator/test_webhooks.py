import stripe

from tests.emulator.shop import Receiver, Shop


async def test_events_are_delivered_signed_and_drained(shop: Shop, receiver: Receiver) -> None:
    await shop.subscribe()

    drained = await shop.control("/deliveries/drain", {"timeout": 10})

    listed = await shop.events()
    assert drained == {"drained": True, "pending": 0, "held": 0}
    assert sorted(event.id for event in receiver.events) == sorted(event.id for event in listed)
    assert {event.api_version for event in receiver.events} == {"2026-10-28.endive"}
    assert {event.livemode for event in receiver.events} == {False}
    assert {event.pending_webhooks for event in listed} == {0}


async def test_a_refused_event_is_sent_again_with_a_fresh_signature(
    shop: Shop, receiver: Receiver
) -> None:
    receiver.answer = lambda count: 500 if count < 3 else 200

    await shop.product()
    await receiver.until(lambda: bool(receiver.events))

    (delivery,) = (await shop.control("/deliveries", method="GET"))["deliveries"]
    assert receiver.deliveries == 4
    assert delivery["state"] == "delivered"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 500, 500, 200]


async def test_a_redirect_is_no_success(shop: Shop, receiver: Receiver) -> None:
    receiver.answer = lambda count: 302 if count < 1 else 200

    await shop.product()
    await receiver.until(lambda: bool(receiver.events))

    assert receiver.deliveries == 2


async def test_an_event_waits_for_an_endpoint_that_is_down(shop: Shop, receiver: Receiver) -> None:
    down = "http://127.0.0.1:9/webhooks"
    (endpoint,) = (await shop.stripe.webhook_endpoints.list_async()).data
    await shop.stripe.webhook_endpoints.update_async(endpoint.id, {"url": down})
    product = await shop.product()

    stuck = await shop.control("/deliveries/drain", {"timeout": 0.3})
    pending = await shop.events(delivery_success=False)
    await shop.stripe.webhook_endpoints.update_async(endpoint.id, {"url": receiver.url})
    await receiver.until(lambda: bool(receiver.events))
    await shop.control("/deliveries/drain", {"timeout": 5})

    (delivery,) = (await shop.control("/deliveries", method="GET"))["deliveries"]
    assert stuck == {"drained": False, "pending": 1, "held": 0}
    assert [event.type for event in pending] == ["product.created"]
    assert receiver.events[0].data.object["id"] == product.id
    assert delivery["attempts"][0]["error"]
    assert not await shop.events(delivery_success=False)


async def test_blocked_events_are_held_and_go_out_when_unblocked(
    shop: Shop, receiver: Receiver
) -> None:
    await shop.control("/faults", {"webhooks": {"blocked": True}}, method="PUT")
    await shop.product()
    held = await shop.control("/deliveries/drain", {"timeout": 5})

    await shop.control("/faults", {}, method="PUT")
    await shop.control("/deliveries/drain", {"timeout": 5})

    assert held == {"drained": True, "pending": 0, "held": 1}
    assert receiver.types == ["product.created"]


async def test_blocked_events_can_be_lost_for_good(shop: Shop, receiver: Receiver) -> None:
    await shop.control("/faults", {"webhooks": {"blocked": True}}, method="PUT")
    await shop.product()
    await shop.control("/faults", {"webhooks": {"drop": True}}, method="PUT")
    await shop.price(await shop.product())
    await shop.control("/deliveries/drain", {"timeout": 5})

    lost = await shop.events(delivery_success=False)
    assert sorted(receiver.types) == ["price.created", "product.created"]
    assert [event.type for event in lost] == ["product.created"]


async def test_an_event_can_be_sent_again(shop: Shop, receiver: Receiver) -> None:
    await shop.product()
    (event,) = await shop.events()
    await shop.control("/deliveries/drain", {"timeout": 5})

    answer = await shop.control(f"/events/{event.id}/resend", {})
    await shop.control("/deliveries/drain", {"timeout": 5})

    assert [delivery["event"] for delivery in answer["deliveries"]] == [event.id]
    assert [received.id for received in receiver.events] == [event.id, event.id]


async def test_an_endpoint_gets_only_what_it_asked_for(shop: Shop, receiver: Receiver) -> None:
    (endpoint,) = (await shop.stripe.webhook_endpoints.list_async()).data
    await shop.stripe.webhook_endpoints.update_async(
        endpoint.id, {"enabled_events": ["checkout.session.completed"]}
    )

    await shop.subscribe()
    await shop.control("/deliveries/drain", {"timeout": 5})

    assert receiver.types == ["checkout.session.completed"]


async def test_a_disabled_or_deleted_endpoint_gets_nothing(shop: Shop, receiver: Receiver) -> None:
    (endpoint,) = (await shop.stripe.webhook_endpoints.list_async()).data
    await shop.stripe.webhook_endpoints.update_async(endpoint.id, {"disabled": True})
    await shop.product()
    deleted = await shop.stripe.webhook_endpoints.delete_async(endpoint.id)
    await shop.product()
    await shop.control("/deliveries/drain", {"timeout": 5})

    assert deleted.deleted is True
    assert receiver.deliveries == 0


async def test_deleting_an_endpoint_ends_its_retries(shop: Shop, receiver: Receiver) -> None:
    receiver.answer = lambda _count: 500
    (endpoint,) = (await shop.stripe.webhook_endpoints.list_async()).data
    await shop.product()
    await receiver.until(lambda: receiver.deliveries > 0)

    await shop.stripe.webhook_endpoints.delete_async(endpoint.id)
    drained = await shop.control("/deliveries/drain", {"timeout": 10})

    assert drained["drained"] is True


async def test_the_secret_is_shown_once(shop: Shop) -> None:
    created = await shop.stripe.webhook_endpoints.create_async(
        {"url": "https://example.com/hook", "enabled_events": ["*"]}
    )
    again = await shop.stripe.webhook_endpoints.retrieve_async(created.id)

    assert str(created.secret).startswith("whsec_")
    assert "secret" not in again


async def test_an_event_names_the_request_it_came_from(shop: Shop) -> None:
    await shop.stripe.products.create_async(
        {"name": "Pro"}, {"idempotency_key": "create-product-pro"}
    )

    (event,) = await shop.events()
    assert event.request.idempotency_key == "create-product-pro"
    assert event.request.id.startswith("req_")


async def test_a_snapshot_is_frozen_when_it_is_taken(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({"name": "Ada", "metadata": {"a": "1"}})

    await shop.stripe.customers.update_async(customer.id, {"name": "Grace", "metadata": {"b": "2"}})

    created, updated = await shop.events()
    assert created.data.object["name"] == "Ada"
    assert updated.data.previous_attributes.to_dict() == {"metadata": {"b": None}, "name": "Ada"}


async def test_an_update_that_changes_nothing_says_nothing(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({"name": "Ada"})

    await shop.stripe.customers.update_async(customer.id, {"name": "Ada"})

    assert await shop.event_types() == ["customer.created"]


async def test_the_signature_is_the_documented_one(shop: Shop, receiver: Receiver) -> None:
    await shop.product()
    await receiver.until(lambda: bool(receiver.events))

    moment, digest = receiver.signatures[0].split(",")
    assert moment.startswith("t=")
    assert digest.startswith("v1=")
    assert isinstance(receiver.events[0], stripe.Event)


async def test_blocking_also_stops_what_is_being_tried_again(
    shop: Shop, receiver: Receiver
) -> None:
    receiver.answer = lambda count: 500 if count < 1 else 200
    await shop.product()
    await receiver.until(lambda: receiver.deliveries == 1)

    await shop.control("/faults", {"webhooks": {"blocked": True}}, method="PUT")
    held = await shop.control("/deliveries/drain", {"timeout": 10})
    before = receiver.deliveries
    await shop.control("/faults", {}, method="PUT")
    await receiver.until(lambda: bool(receiver.events))

    assert held == {"drained": True, "pending": 0, "held": 1}
    assert (before, receiver.deliveries) == (1, 2)
