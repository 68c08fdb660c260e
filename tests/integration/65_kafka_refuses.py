"""Kafka says no: to a dead letter, to a password, to one of the topics. Rows F15 and F16. Before it is asked, its client."""

from daemon import configuration, run_program
from database import check_identity, offsets, query, totals
from events import START, prediction
from kafka import Kafka, available, free_port, wait_until
from story import equal


def _events(n, first=0):
    return [(f"p{i}", prediction(f"p{i}", START + i, score=0.5).value) for i in range(first, first + n)]


def _letters(daemon):
    return query(daemon.database, "SELECT count(*), sum(sent) FROM dead_letter")[0]


def F15_a_dead_letter_topic_that_refuses_keeps_the_letters_here_and_the_flow_going(story):
    kafka = story.kafka()
    said = {"missing": "nobody took a letter within 10 s; is there such a topic?", "small": "Broker: Message size too large"}
    bad = "no event " * 40
    daemons = {}
    for fault in said:
        topic, dead = story.topic(f"in-{fault}"), story.topic(f"dead-{fault}")
        kafka.create_topic(topic)
        if fault == "small":
            kafka.create_topic(dead, config={"max.message.bytes": 120})
        kafka.produce(topic, [("bad", bad), *_events(500), ("bad", bad)])
        settings = configuration(kafka.brokers, [topic], story.topic(f"group-{fault}"), {"dead_letter": dead})
        daemons[fault] = (story.daemon(settings, fault).start(), topic, dead)

    def refused(fault):
        daemon, topic, dead = daemons[fault]
        story.caught_up(daemon, kafka, {topic: 1})
        wait_until(lambda: daemon.own("dead_letters_refused") > 0, 40, f"a refusal by the {fault} topic")
        equal((totals(daemon.database)["folded"], _letters(daemon)), (500, (2, 0)), fault)
        equal(daemon.log().count(f"dead-letter topic {dead}: {said[fault]}"), 1, daemon.log())
        kafka.produce(topic, _events(100, first=500))
        story.caught_up(daemon, kafka, {topic: 1})
        equal(totals(daemon.database)["folded"], 600, fault)
        equal(daemon.request("GET", "/-/ready")[0], 200, fault)
        return daemon, dead

    daemon, dead = refused("small")
    kafka.delete_topic(dead)
    kafka.create_topic(dead)  # somebody repairs it
    refused("missing")
    wait_until(lambda: _letters(daemon) == (2, 2), 60, "the letters, now that the topic takes them")
    equal(kafka.consume(dead), [bad, bad])


def _guarded_broker(story):
    """A broker with a second door that asks for a password, and an authorizer."""
    if available():
        story.skip(available())
    broker = Kafka()
    door, controller = free_port(), free_port()
    doors = f"PLAINTEXT://127.0.0.1:{broker.port},SASL_PLAINTEXT://127.0.0.1:{door}"
    broker.settings = {
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"{doors},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": doors,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule"
        ' required user_assay="right";',
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true",
    }
    story.at_end(broker.remove)
    broker.start()
    return broker, f"127.0.0.1:{door}"


def F16_a_refused_password_or_topic_is_said_plainly_and_the_other_topics_go_on(story):
    kafka, guarded = _guarded_broker(story)
    mine, secret = story.topic("mine"), story.topic("secret")
    kafka.create_topic(mine)
    kafka.create_topic(secret)
    kafka.produce(mine, _events(300))
    kafka.produce(secret, _events(10, first=1000))
    kafka.deny_topic(secret, "User:assay")
    sasl = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "assay"}

    wrong = {**sasl, "sasl.password": "wr0ng"}
    stranger = story.daemon(configuration(guarded, [mine], story.topic("a"), {"properties": wrong}), "stranger")
    stranger.start(wait=False)
    stranger.wait_answering()
    wait_until(lambda: "uthentication" in stranger.request("GET", "/-/ready")[1], 30, "the reason in /-/ready")
    status, text = stranger.request("GET", "/-/ready")
    equal(status, 503, text)
    assert "Authentication failed" in stranger.log(), stranger.log()
    assert "wr0ng" not in stranger.log() + text, "the password is shown"
    stranger.must_run()

    right = {**sasl, "sasl.password": "right"}
    settings = configuration(guarded, [mine, secret], story.topic("b"), {"properties": right})
    friend = story.daemon(settings, "friend")
    friend.start(wait=False)
    friend.wait_answering()
    wait_until(lambda: offsets(friend.database).get((mine, 0)) == 300, 60, "the topic that is allowed")
    wait_until(lambda: f"{secret}: " in friend.log(), 30, "a message about the other")
    status, text = friend.request("GET", "/-/ready")
    equal(status, 503, text)
    assert secret in text and "uthorization failed" in text, text
    equal(totals(friend.database)["folded"], 300)
    check_identity(friend.database)
    for daemon in (stranger, friend):
        lines = [line for line in daemon.log().splitlines() if "level=error" in line or "level=warning" in line]
        assert len(lines) < 60, f"{len(lines)} lines: it does not back off"


def a_property_that_the_client_refuses_is_named_before_anything_starts(story):
    refused = {
        "no.such.thing": ("5", 'No such configuration property: "no.such.thing"'),
        "fetch.wait.max.ms": ("soon", 'Invalid value for configuration property "fetch.wait.max.ms"'),
    }
    for key, (value, reason) in refused.items():
        daemon = story.daemon(configuration("127.0.0.1:1", ["t"], "g", {"properties": {key: value}}), key)
        path = daemon.write_configuration()
        for command in (("check", path), ("serve", "-c", path)):
            code, _, errors = run_program(*command, cwd=daemon.folder, timeout=20)
            equal(code, 65, (command, errors))
            line = 1 + next(i for i, text in enumerate(open(path, encoding="utf-8")) if key in text)
            equal(errors.strip(), f"assay: {path}:{line}: kafka.properties.{key}: {reason}")
