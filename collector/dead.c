/*
 * Rejected messages that wait for the commit of their offset: the reason, and the first 4 KiB.
 */
#include <string.h>

#include "collector/loop.h"
#include "common/grow.h"

/* The shape shows what is wrong with an event; the words may be a person's. */
static void mask(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= '0' && c <= '9')
            text[i] = '9';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            text[i] = 'x';
        else if (c >= 0x80)
            text[i] = '?';
    }
}

int dead_add(struct collector *collector, const struct partition *partition,
             const struct message *message, enum reject reason, const char *detail, struct err *err)
{
    size_t detail_size = detail ? strlen(detail) + 1 : 0;
    const enum dead_letter_payload kept = collector->options.config->dead_letter_payload;
    size_t size = message->payload && kept != PAYLOAD_NONE ? message->size : 0;
    if (size > DEAD_PAYLOAD_BYTES)
        size = DEAD_PAYLOAD_BYTES;
    int rc = grow(&collector->dead, &collector->dead_capacity, collector->n_dead + 1,
                  sizeof(*collector->dead), "collector: dead letters", err);
    if (!rc)
        rc = grow(&collector->dead_bytes, &collector->dead_bytes_capacity,
                  collector->dead_size + detail_size + size, 1, "collector: bytes of dead letters",
                  err);
    if (rc)
        return rc;
    char *at = collector->dead_bytes + collector->dead_size;
    if (detail_size)
        memcpy(at, detail, detail_size);
    if (size)
        memcpy(at + detail_size, message->payload, size);
    if (kept == PAYLOAD_MASKED)
        mask(at + detail_size, size);
    collector->dead[collector->n_dead++] = (struct rejected){
        .partition = id_set_find(&collector->partition_ids, partition->id),
        .reason = reason,
        .offset = message->offset,
        .at_ms = clock_wall_ms(collector->clock),
        .detail = collector->dead_size,
        .detail_size = (uint32_t)detail_size,
        .payload_size = (uint32_t)size,
    };
    collector->dead_size += detail_size + size;
    return 0;
}

int dead_write(struct collector *collector, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < collector->n_dead; i++) {
        const struct rejected *letter = &collector->dead[i];
        const struct partition *partition = collector->partitions[letter->partition];
        const char *detail = collector->dead_bytes + letter->detail;
        struct dead_letter_row row = {
            .topic = partition->topic,
            .partition = partition->number,
            .offset = letter->offset,
            .at_ms = letter->at_ms,
            .reason = reject_name(letter->reason),
            .detail = letter->detail_size ? detail : NULL,
            .payload = {detail + letter->detail_size, letter->payload_size},
        };
        rc = commit_dead_letter(collector->options.store, &row, err);
    }
    return rc;
}

void dead_clear(struct collector *collector)
{
    collector->n_dead = 0;
    collector->dead_size = 0;
}
