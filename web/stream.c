/*
 * A ring of messages, each made once by the maker thread when the change counter moves:
 *
 *        first_seq                      next_seq
 *   … |  window 812  | status 812 | alert 813 |         a listener is just the number of the
 *                                                       next message it wants
 *
 * A listener with nothing to send suspends its connection; a new message resumes all of them.
 * Suspending and resuming happen under the one lock, so that no wake-up is lost.
 */
#include "web/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/json_out.h"
#include "storage/alert_rows.h"
#include "storage/catalog.h"
#include "storage/series.h"
#include "storage/transition.h"
#include "web/handlers.h"

enum {
    N_MESSAGES = 256,
    MAX_MESSAGE_BYTES = 256 * 1024,
    BLOCK_BYTES = 16 * 1024,
    HEARTBEAT_MS = 15000,
    MAX_ALERTS = 100, /* in a message: a page that wants all of them asks for them */
    /* Commits closer than this share a message: each costs one send a listener (10 µs with the
       kernel's part). A page still shows each within a second: web/ui/follow.js. */
    GAP_MS = 250,
    CROWDED_GAP_MS = 500,
    CROWD = 250, /* listeners */
};

struct message {
    uint64_t change;
    char *text;
    size_t size;
};

struct listener {
    struct listener *previous, *next;
    struct stream *stream;
    struct MHD_Connection *connection;
    const void *owner;
    uint64_t seq;  /* the message it is at */
    size_t offset; /* bytes of it that are out */
    bool suspended, welcomed;
    unsigned beat; /* the heartbeat it has seen */
};

struct stream {
    pthread_mutex_t lock;
    pthread_t maker;
    bool maker_runs;
    atomic_bool stopping;
    struct web_options options;
    struct web_commands commands;
    struct api_context *api;
    struct listener *listeners;
    int n_listeners;
    struct message ring[N_MESSAGES];
    uint64_t first_seq, next_seq;
    unsigned beat;
    uint64_t change_at_start;
    struct web_health health; /* as last told */
    bool health_told;
    struct alerts_mark alerts; /* how far they were told */
    uint64_t stamp;            /* alerts_stamp when they were read last; 0: never */
    uint64_t releases;         /* of the experiments */
    bool wanted; /* somebody was away for too long: make a window message though nothing moved */
};

static const char hello[] = "retry: 2000\n\n";
static const char heartbeat[] = ": still here\n\n";

static void wake_all(struct stream *stream)
{
    for (struct listener *l = stream->listeners; l; l = l->next) {
        if (!l->suspended)
            continue;
        l->suspended = false;
        MHD_resume_connection(l->connection);
    }
}

static void put_message(struct stream *stream, uint64_t change, const char *event, struct buf *data)
{
    struct buf text;
    buf_init(&text, MAX_MESSAGE_BYTES);
    buf_printf(&text, "id: %" PRIu64 "\nevent: %s\ndata: ", change, event);
    buf_bytes(&text, data->data, data->size);
    buf_bytes(&text, "\n\n", 2);
    if (buf_failed(&text)) { /* too many models for one message: say only that something changed */
        buf_clear(&text);
        buf_printf(&text, "id: %" PRIu64 "\nevent: %s\ndata: {\"change\":%" PRIu64 "}\n\n", change,
                   event, change);
    }
    pthread_mutex_lock(&stream->lock);
    if (stream->next_seq - stream->first_seq == N_MESSAGES)
        free(stream->ring[stream->first_seq++ % N_MESSAGES].text);
    stream->ring[stream->next_seq++ % N_MESSAGES] =
        (struct message){change, (char *)text.data, text.size};
    wake_all(stream);
    pthread_mutex_unlock(&stream->lock);
}

struct model_writer {
    struct store *store;
    struct buf *out;
};

static int write_model(void *context, const struct model_row *model, struct err *err)
{
    struct model_writer *writer = context;
    int64_t complete = -1, labels = -1;
    int rc = series_complete(writer->store, model->name, &complete, &labels, err);
    if (rc)
        return rc;
    out_open(writer->out, '{');
    out_key_string(writer->out, "model", model->name);
    out_key_time(writer->out, "complete_up_to", complete);
    out_key_time(writer->out, "labels_complete_up_to", labels);
    out_close(writer->out, '}');
    return 0;
}

/* A database that cannot be read now tells no models; the pages then ask and show the error. */
static void write_models(struct stream *stream, struct buf *out)
{
    struct model_writer writer = {.out = out};
    if (context_store(stream->api, &writer.store, NULL) == 0)
        models_each(writer.store, write_model, &writer, NULL);
}

static void tell_window(struct stream *stream, uint64_t change)
{
    struct buf data;
    buf_init(&data, MAX_MESSAGE_BYTES);
    out_open(&data, '{');
    out_key_int(&data, "change", (int64_t)change);
    out_key(&data, "models");
    out_open(&data, '[');
    write_models(stream, &data);
    out_close(&data, ']');
    out_close(&data, '}');
    put_message(stream, change, "window", &data);
    buf_finish(&data);
}

struct alert_writer {
    struct buf *out;
    int64_t n;
};

static int write_alert(void *context, const struct alert_row *row, struct err *err)
{
    (void)err;
    static const char *const states[] = {"inactive", "pending", "firing", "no_data"};
    struct alert_writer *writer = context;
    if (writer->n++ >= MAX_ALERTS)
        return 0;
    out_open(writer->out, '{');
    out_key_string(writer->out, "id", row->id);
    out_key_string(writer->out, "rule", row->rule);
    out_key_string(writer->out, "state", states[row->phase & 3]);
    out_key_string(writer->out, "model", row->model);
    out_key_string(writer->out, "severity", row->severity);
    out_key_time(writer->out, "since", row->since_ms);
    out_close(writer->out, '}');
    return 0;
}

/* The alerts that changed, newest first, at most MAX_ALERTS; how many fire says how things stand.
   `wanted`: somebody was away for too long, and is told though nothing changed. */
static void tell_alerts(struct stream *stream, uint64_t change, bool wanted)
{
    struct buf data;
    struct store *store;
    struct alert_writer writer = {.out = &data};
    struct alerts_mark mark = stream->alerts;
    int64_t n_firing = 0;
    uint64_t stamp;
    if (context_store(stream->api, &store, NULL) || alerts_stamp(store, &stamp, NULL) ||
        (stamp == stream->stamp && !wanted))
        return;
    buf_init(&data, MAX_MESSAGE_BYTES);
    out_open(&data, '{');
    out_key_int(&data, "change", (int64_t)change);
    out_key(&data, "alerts");
    out_open(&data, '[');
    bool known = alerts_changed(store, &mark, write_alert, &writer, NULL) == 0 &&
                 alerts_count_firing(store, &n_firing, NULL) == 0;
    out_close(&data, ']');
    out_key_int(&data, "more", writer.n > MAX_ALERTS ? writer.n - MAX_ALERTS : 0);
    out_key_int(&data, "firing", n_firing);
    out_close(&data, '}');
    if (known) {
        stream->stamp = stamp; /* from before they were read: what came between is read again */
        stream->alerts = mark;
    }
    if (known && (writer.n > 0 || wanted))
        put_message(stream, change, "alert", &data);
    buf_finish(&data);
}

static int skip_alert(void *context, const struct alert_row *row, struct err *err)
{
    (void)context, (void)row, (void)err;
    return 0;
}

/* What stands at the start is no news. */
static void remember_alerts(struct stream *stream)
{
    struct store *store;
    if (context_store(stream->api, &store, NULL) == 0)
        alerts_changed(store, &stream->alerts, skip_alert, NULL, NULL);
}

struct release_writer {
    struct buf *out;
    uint64_t fingerprint;
};

static int write_release(void *context, const struct experiment_row *row, struct err *err)
{
    (void)err;
    struct release_writer *writer = context;
    const int64_t facts[] = {row->seq, row->applying};
    uint64_t seed = XXH3_64bits_withSeed(row->name, strlen(row->name), writer->fingerprint);
    writer->fingerprint = XXH3_64bits_withSeed(facts, sizeof(facts), seed);
    out_open(writer->out, '{');
    out_key_string(writer->out, "name", row->name);
    out_key_string(writer->out, "model", row->model);
    out_key_string(writer->out, "state", row->state);
    out_key_int(writer->out, "step", row->step);
    out_key_double(writer->out, "weight", row->weight);
    out_key_time(writer->out, "since", row->since_ms);
    out_key_int(writer->out, "seq", row->seq);
    out_key_bool(writer->out, "applying", row->applying);
    out_close(writer->out, '}');
    return 0;
}

/* Writes all experiments; their fingerprint, or 0 when they cannot be read now. */
static uint64_t write_releases(struct stream *stream, uint64_t change, struct buf *out)
{
    struct store *store;
    struct release_writer writer = {.out = out, .fingerprint = 1};
    out_open(out, '{');
    out_key_int(out, "change", (int64_t)change);
    out_key(out, "experiments");
    out_open(out, '[');
    bool known = context_store(stream->api, &store, NULL) == 0 &&
                 experiments_read(store, NULL, write_release, &writer, NULL) == 0;
    out_close(out, ']');
    out_close(out, '}');
    return known ? writer.fingerprint : 0;
}

/* All experiments, whenever one of them was created or moved: who missed a message lost nothing. */
static void tell_transitions(struct stream *stream, uint64_t change, bool wanted)
{
    struct buf data;
    buf_init(&data, MAX_MESSAGE_BYTES);
    uint64_t now = write_releases(stream, change, &data);
    if (now && (now != stream->releases || wanted)) {
        stream->releases = now;
        put_message(stream, change, "transition", &data);
    }
    buf_finish(&data);
}

/* What stands at the start is no news. */
static void remember_releases(struct stream *stream)
{
    struct buf data;
    buf_init(&data, MAX_MESSAGE_BYTES);
    stream->releases = write_releases(stream, 0, &data);
    buf_finish(&data);
}

static void tell_status(struct stream *stream, uint64_t change)
{
    struct web_health health = {.ready = !stream->commands.health};
    if (stream->commands.health)
        stream->commands.health(stream->commands.context, &health);
    bool same = stream->health_told && health.ready == stream->health.ready &&
                strcmp(health.reason, stream->health.reason) == 0;
    if (same)
        return;
    stream->health = health;
    stream->health_told = true;
    struct buf data;
    buf_init(&data, MAX_MESSAGE_BYTES);
    out_open(&data, '{');
    out_key_bool(&data, "ready", health.ready);
    out_key_string(&data, "reason", health.ready ? NULL : health.reason);
    out_close(&data, '}');
    put_message(stream, change, "status", &data);
    buf_finish(&data);
}

/* What is committed meanwhile shares a message. */
static void rest(struct stream *stream)
{
    int gap_ms = stream_count(stream) < CROWD ? GAP_MS : CROWDED_GAP_MS;
    changes_wait(stream->options.changes, UINT64_MAX, gap_ms);
}

static void *make_messages(void *argument)
{
    struct stream *stream = argument;
    pthread_setname_np(pthread_self(), "stream");
    struct changes *changes = stream->options.changes;
    uint64_t seen = stream->change_at_start;
    int64_t beat_at = clock_boot_ms(clock_system()) + HEARTBEAT_MS;
    while (!atomic_load(&stream->stopping)) {
        uint64_t now = changes_wait(changes, seen, 500);
        if (atomic_load(&stream->stopping))
            break;
        tell_status(stream, now);
        pthread_mutex_lock(&stream->lock);
        bool moved = now != seen, wanted = stream->wanted;
        stream->wanted = false;
        pthread_mutex_unlock(&stream->lock);
        if (moved || wanted) {
            tell_window(stream, now);
            tell_alerts(stream, now, wanted);
            tell_transitions(stream, now, wanted);
        }
        seen = now;
        if (clock_boot_ms(clock_system()) >= beat_at) {
            beat_at += HEARTBEAT_MS;
            pthread_mutex_lock(&stream->lock);
            stream->beat++;
            wake_all(stream);
            pthread_mutex_unlock(&stream->lock);
        }
        if (moved)
            rest(stream);
    }
    return NULL;
}

int stream_new(struct stream **out, const struct web_options *options,
               const struct api_options *api, struct err *err)
{
    AUTO(stream) struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return err_set(err, -ENOMEM, "web: no memory for event streams");
    pthread_mutex_init(&stream->lock, NULL);
    stream->options = *options;
    if (options->commands)
        stream->commands = *options->commands;
    int rc = api_open(&stream->api, api, err);
    if (rc)
        return rc;
    /* Read here, not by the thread: whoever connects before it runs must not miss anything. */
    stream->change_at_start = changes_now(options->changes);
    remember_releases(stream);
    remember_alerts(stream);
    if (pthread_create(&stream->maker, NULL, make_messages, stream))
        return err_set(err, -EAGAIN, "web: no thread for event streams");
    stream->maker_runs = true;
    *out = stream;
    stream = NULL; /* the caller owns it now */
    return 0;
}

void stream_stop(struct stream *stream)
{
    if (!stream)
        return;
    atomic_store(&stream->stopping, true);
    if (stream->maker_runs)
        pthread_join(stream->maker, NULL);
    stream->maker_runs = false;
    pthread_mutex_lock(&stream->lock);
    wake_all(stream);
    pthread_mutex_unlock(&stream->lock);
}

void stream_free(struct stream *stream)
{
    if (!stream)
        return;
    stream_stop(stream);
    for (size_t i = 0; i < N_MESSAGES; i++)
        free(stream->ring[i].text);
    api_close(stream->api);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

/* What to send now, and how much of it is there; NULL: nothing. Under the lock. */
static const char *pending_text(struct listener *l, size_t *size)
{
    struct stream *stream = l->stream;
    if (!l->welcomed) {
        *size = sizeof(hello) - 1;
        return hello;
    }
    if (l->seq < stream->first_seq && l->offset == 0) /* it was too slow: on with what there is */
        l->seq = stream->first_seq;
    if (l->seq < stream->first_seq)
        return NULL;
    if (l->seq < stream->next_seq) {
        *size = stream->ring[l->seq % N_MESSAGES].size;
        return stream->ring[l->seq % N_MESSAGES].text;
    }
    if (l->beat != stream->beat) {
        *size = sizeof(heartbeat) - 1;
        return heartbeat;
    }
    return NULL;
}

static void text_is_out(struct listener *l)
{
    l->offset = 0;
    if (!l->welcomed)
        l->welcomed = true;
    else if (l->seq < l->stream->next_seq)
        l->seq++;
    else
        l->beat = l->stream->beat;
}

static ssize_t read_stream(void *context, uint64_t position, char *to, size_t most)
{
    (void)position;
    struct listener *l = context;
    struct stream *stream = l->stream;
    if (atomic_load(&stream->stopping))
        return MHD_CONTENT_READER_END_OF_STREAM;
    pthread_mutex_lock(&stream->lock);
    size_t size = 0;
    const char *text = pending_text(l, &size);
    size_t n = 0;
    if (text) {
        n = size - l->offset < most ? size - l->offset : most;
        memcpy(to, text + l->offset, n);
        l->offset += n;
        if (l->offset == size)
            text_is_out(l);
    } else if (l->offset > 0) { /* half a message is out and the rest is gone */
        pthread_mutex_unlock(&stream->lock);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    } else {
        l->suspended = true;
        MHD_suspend_connection(l->connection);
    }
    pthread_mutex_unlock(&stream->lock);
    return (ssize_t)n;
}

static void close_stream(void *context)
{
    struct listener *l = context;
    struct stream *stream = l->stream;
    pthread_mutex_lock(&stream->lock);
    if (l->previous)
        l->previous->next = l->next;
    else
        stream->listeners = l->next;
    if (l->next)
        l->next->previous = l->previous;
    stream->n_listeners--;
    pthread_mutex_unlock(&stream->lock);
    free(l);
}

/* The first message after `last_id`; where that may be gone, or is yet to come (a backup was put
   back), a new one that tells it all. */
static uint64_t resume_at(struct stream *stream, uint64_t last_id)
{
    if (last_id == 0)
        return stream->next_seq;
    uint64_t seq = stream->next_seq;
    while (seq > stream->first_seq && stream->ring[(seq - 1) % N_MESSAGES].change > last_id)
        seq--;
    uint64_t now = changes_now(stream->options.changes);
    if (last_id > now || (seq == stream->first_seq && last_id < now))
        stream->wanted = true;
    return seq;
}

struct MHD_Response *stream_open(struct stream *stream, struct MHD_Connection *connection,
                                 uint64_t last_id, const void *owner)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    *l = (struct listener){.stream = stream, .connection = connection, .owner = owner};
    int64_t most = stream->options.config->http.max_streams_per_token;
    pthread_mutex_lock(&stream->lock);
    int64_t same = 0;
    for (struct listener *other = stream->listeners; other; other = other->next)
        same += other->owner == owner;
    bool fits = most <= 0 || same < most;
    if (fits) {
        l->seq = resume_at(stream, last_id);
        l->beat = stream->beat;
        l->next = stream->listeners;
        if (l->next)
            l->next->previous = l;
        stream->listeners = l;
        stream->n_listeners++;
    }
    pthread_mutex_unlock(&stream->lock);
    if (!fits) {
        free(l);
        return NULL;
    }
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
                                                                      read_stream, l, close_stream);
    if (!response)
        close_stream(l);
    return response;
}

int stream_count(struct stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    int n = stream->n_listeners;
    pthread_mutex_unlock(&stream->lock);
    return n;
}
