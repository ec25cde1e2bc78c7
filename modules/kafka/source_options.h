/* Options of the source, for source.c. SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_SOURCE_OPTIONS_H
#define KAFKA_SOURCE_OPTIONS_H

#include "client.h"
#include "start.h"

#define MEMBER "No group is joined: the database alone gives partitions to its readers."
#define WATERMARK "Write it in the statement: WATERMARK FOR column AS column - INTERVAL '5' SECOND."
#define METADATA "Declare the columns _key, _partition, _offset, _timestamp, _headers or _topic."
#define PRESSURE "Nothing is to be set: fetching stops where queued.max.bytes wait, and goes on when they are taken."
#define COMMIT "The group is told at checkpoints: broker.commit.on.checkpoint."

static const struct lam_option source_options[] = {
    CLIENT_OPTIONS,
    {.name = "topic", .type = LAM_OPTION_TEXT, .sentence = "Topics to read, with commas between.", .also = "topics"},
    {.name = "topic.pattern",
     .type = LAM_OPTION_TEXT,
     .sentence = "Regular expression of the topics to read, as there are when the source starts; in place of topic."},
    {.name = "group.id",
     .type = LAM_OPTION_TEXT,
     .sentence = "Group of consumers that is told where the source stands; the database's own places come first."},
    {.name = "startup.mode",
     .type = LAM_OPTION_ENUM,
     .values = START_MODES,
     .sentence = "Where to begin: where the group stands (the default with group.id), at the first message that is kept "
                 "(the default without), behind the last, at a time, or at offsets."},
    {.name = "auto.offset.reset",
     .type = LAM_OPTION_ENUM,
     .values = "earliest|latest|none",
     .sentence = "Where to begin in a partition where the group stands nowhere, or at a message that is no more there; "
                 "none: that is an error; by default at the first message that is kept.",
     .also = "offset.reset"},
    {.name = "startup.timestamp.ms",
     .type = LAM_OPTION_INT,
     .max = INT64_MAX,
     .sentence = "That time, in milliseconds since 1970."},
    {.name = "startup.specific.offsets",
     .type = LAM_OPTION_TEXT,
     .sentence =
         "Those offsets, as partition:offset with commas between; other partitions are read from the beginning."},
    {.name = "broker.commit.on.checkpoint",
     .type = LAM_OPTION_BOOL,
     .dflt = "true",
     .sentence = "Tell the group at checkpoints where the source stands."},
    {.name = "bounded",
     .type = LAM_OPTION_BOOL,
     .dflt = "false",
     .sentence = "End where the topics ended when the source was started."},
    {.name = "isolation.level",
     .type = LAM_OPTION_ENUM,
     .dflt = "read_committed",
     .values = "read_committed|read_uncommitted",
     .sentence = "Whether messages of transactions are given before these are committed."},
    {.name = "queued.max.bytes",
     .type = LAM_OPTION_SIZE,
     .dflt = "16 MiB",
     .min = 1024,
     .max = 2147482624,
     .sentence = "Bytes to fetch ahead, for each partition."},
    {.name = "fetch.min.bytes",
     .type = LAM_OPTION_SIZE,
     .dflt = "1",
     .min = 1,
     .max = 100000000,
     .sentence = "A broker answers when it has so much."},
    {.name = "fetch.max.bytes",
     .type = LAM_OPTION_SIZE,
     .dflt = "52428800",
     .min = 1000000,
     .max = 2147483135,
     .sentence = "Longest answer."},
    {.name = "fetch.max.wait.ms",
     .type = LAM_OPTION_DURATION,
     .dflt = "500 ms",
     .max = 299000000,
     .sentence = "A broker answers after that time at the latest; a second less than socket.timeout.ms at most.",
     .also = "fetch.wait.max.ms"},
    {.name = "max.partition.fetch.bytes",
     .type = LAM_OPTION_SIZE,
     .dflt = "1 MiB",
     .min = 1,
     .max = 1000000000,
     .sentence = "Part of an answer that one partition may take."},
    CLIENT_REFUSED("partition.assignment.strategy", MEMBER,
                   "session.timeout.ms|heartbeat.interval.ms|max.poll.interval.ms|group.instance.id"),
    CLIENT_REFUSED("enable.auto.commit", COMMIT, "auto.commit.interval.ms|commit.interval.ms|enable.auto.offset.store"),
    CLIENT_REFUSED("max.poll.records", "The option batch.rows says how many rows a batch has at most.", NULL),
    CLIENT_REFUSED("poll.timeout.ms", "Nothing is polled for: messages wake the source.", NULL),
    CLIENT_REFUSED("queued.max.messages.kbytes", "The option queued.max.bytes is the same, in bytes.", NULL),
    CLIENT_REFUSED("reader.channel.capacity", PRESSURE, "backpressure.high.watermark|backpressure.low.watermark"),
    CLIENT_REFUSED("include.metadata", METADATA, "include.headers"),
    CLIENT_REFUSED("event.time.column", WATERMARK, "max.out.of.orderness.ms|enable.watermark.tracking"),
    CLIENT_REFUSED("alignment.group.id", "Sources are not held to each other's pace.",
                   "alignment.max.drift.ms|alignment.mode"),
    CLIENT_REFUSED("max.deser.error.rate", "The option on_error says what becomes of a message that cannot be read.",
                   NULL),
};

#endif
