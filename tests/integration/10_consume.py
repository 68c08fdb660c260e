"""Events go into Kafka, windows come out of the database and of REST."""

from compare import check_against_oracle, oracle_of
from daemon import Offline, configuration, models, run_program
from database import check_same_windows, check_sound, query, totals
from events import START, by_kind, label, prediction, stream, write_jsonl
from kafka import wait_until
from oracle import Model
from story import equal, short


def _flow(story, kafka, events, partitions=3, **sections):
    """A daemon that has consumed these events from two topics."""
    topics = story.topics(kafka, events, partitions)
    group = story.topic("group")
    daemon = story.daemon(configuration(kafka.brokers, list(topics), group, **sections))
    daemon.start()
    story.caught_up(daemon, kafka, topics)
    return daemon


@short
def ten_predictions_and_their_labels_make_one_window(story):
    events = []
    for i in range(10):
        events.append(prediction(f"p{i}", START + i, score=i / 10, prediction=int(i >= 5)))
        events.append(label(f"p{i}", START + 1000 + i, int(i >= 4)))

    daemon = _flow(story, story.kafka(), events)

    names = ["count", "tp", "fp", "tn", "fn", "accuracy", "roc_auc"]
    points = daemon.points("credit", names, "1m", START, START + 60_000)
    values = {name: points["v3", name, START]["value"] for name in names}
    equal(values, {"count": 10, "tp": 5, "fp": 0, "tn": 4, "fn": 1, "accuracy": 0.9, "roc_auc": 1.0})
    equal(points["v3", "accuracy", START]["labelled"], 10)
    equal(points["v3", "count", START]["lower"], None)
    assert 0.55 < points["v3", "accuracy", START]["lower"] < 0.9 < points["v3", "accuracy", START]["upper"]


def a_binary_stream_shows_what_the_oracle_computes(story):
    events = stream(4000, seed=11)

    daemon = _flow(story, story.kafka(), events)

    oracle = oracle_of({"credit": Model(segments=("country",))}, events)
    assert check_against_oracle(daemon, oracle, 3_600_000) > 200
    assert check_against_oracle(daemon, oracle, 60_000) > 5000
    check_sound(daemon.database)


@short
def a_multiclass_stream_shows_what_the_oracle_computes(story):
    events = stream(3000, seed=12, task="multiclass", model="pets")

    daemon = _flow(story, story.kafka(), events, models=models("multiclass", "pets"))

    oracle = oracle_of({"pets": Model("multiclass", segments=("country",))}, events)
    assert check_against_oracle(daemon, oracle) > 200


def a_regression_stream_shows_what_the_oracle_computes(story):
    events = stream(3000, seed=13, task="regression", model="prices")

    daemon = _flow(story, story.kafka(), events, models=models("regression", "prices"))

    oracle = oracle_of({"prices": Model("regression", segments=("country",))}, events)
    assert check_against_oracle(daemon, oracle) > 150


def the_list_of_models_counts_what_happened(story):
    events = stream(1000, seed=14)
    daemon = _flow(story, story.kafka(), events)
    oracle = oracle_of({"credit": Model()}, events)

    model = daemon.get("/api/v1/models/credit")

    equal(model["name"], "credit")
    equal(model["task"], "binary")
    equal(model["predictions"], len(oracle.predictions))
    equal(model["duplicates"], oracle.duplicates)
    equal(model["joined"], sum(oracle.label_of(i) is not None for i in oracle.predictions))
    listed = daemon.get("/api/v1/models")["items"]
    equal([m["name"] for m in listed], ["credit"])


def query_answers_what_rest_answers(story):
    daemon = _flow(story, story.kafka(), stream(500, seed=15))
    window = f"--metric accuracy,count --version * --from {START} --to {START + 7_200_000} --window 1h --step 1h"

    code, out, errors = run_program(
        "query", "-c", "assay.yaml", "metrics", "--model", "credit", *window.split(), cwd=daemon.folder
    )

    equal(code, 0, errors)
    path = "metric=accuracy,count&version=*&window=1h&step=1h"
    rest = daemon.request("GET", f"/api/v1/models/credit/metrics?{path}&from={START}&to={START + 7_200_000}")[1]
    equal(out.strip(), rest.strip())


def replay_of_the_same_events_gives_the_same_answers(story):
    kafka = story.kafka()
    events = stream(2000, seed=16)
    daemon = _flow(story, kafka, events, partitions=1)

    replayed = story.replay("replayed", configuration(), [write_jsonl(story.path("events.jsonl"), events)])

    equal(totals(replayed)["consumed"], len(events))
    other = Offline(replayed)
    for segment in (None, "country:de"):
        names = ["count", "accuracy", "roc_auc", "log_loss", "brier", "latency_p50", "latency_mean"]
        asked = ("credit", names, "1h", START, START + 7_200_000, segment)
        equal(other.points(*asked), daemon.points(*asked))


@short
def a_hangup_reads_the_configuration_again(story):
    kafka = story.kafka()
    daemon = _flow(story, kafka, stream(200, seed=17))
    topic = daemon.settings["kafka"]["topics"][0]["name"]
    kafka.produce(topic, [("n", prediction("n1", START, model="newcomer", score=0.5).value)])
    story.caught_up(daemon, kafka, {topic: 3})
    equal([m["name"] for m in daemon.get("/api/v1/models")["items"]], ["credit"])

    daemon.settings["models"] += models(name="newcomer")
    daemon.write_configuration()
    daemon.hangup()
    wait_until(lambda: "configuration read again" in daemon.log(), 20, "the reload")
    kafka.produce(topic, [("n", prediction("n2", START, model="newcomer", score=0.5).value)])

    def newcomer_counts():
        names = {m["name"]: m["predictions"] for m in daemon.get("/api/v1/models")["items"]}
        return names.get("newcomer") == 1

    wait_until(newcomer_counts, 20, "the newcomer's second prediction")
    equal(query(daemon.database, "SELECT reason FROM dead_letter"), [("unknown_model",)])


@short
def sigterm_drains_commits_and_leaves_with_code_0(story):
    kafka = story.kafka()
    events = stream(3000, seed=18)
    daemon = _flow(story, kafka, events)
    before = totals(daemon.database)

    equal(daemon.terminate(), 0)

    equal(totals(daemon.database), before)
    check_sound(daemon.database)
    daemon.start()
    equal(totals(daemon.database), before)


def batches_of_any_size_give_the_same_bits(story):
    """Promise 2: slow trickle and one gulp of the same log end in the same windows."""
    kafka = story.kafka()
    events = stream(3000, seed=19)
    topics = story.topics(kafka, events, 2, produce=False)
    parts = by_kind(events)
    trickled = story.daemon(configuration(kafka.brokers, list(topics), story.topic("g1")), "trickled").start()
    for i in range(6):
        for topic, kind in zip(topics, ("predictions", "labels")):
            n = len(parts[kind])
            kafka.produce(topic, parts[kind][i * n // 6 : (i + 1) * n // 6])
        story.caught_up(trickled, kafka, topics)

    gulped = story.daemon(configuration(kafka.brokers, list(topics), story.topic("g2")), "gulped").start()
    story.caught_up(gulped, kafka, topics)

    check_same_windows(gulped.database, trickled.database)
