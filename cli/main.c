/* The program's entrance: a table of subcommands, help and version. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "common/text.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage;
    const char *summary;
} commands[] = {
    {"alert", command_alert,
     "list | history [--alert ID] | silences | deliveries | silence MATCHER… --duration D "
     "--comment WHY | unsilence ID | ack ID | again DELIVERY | test RECEIVER [-c FILE] [--json] "
     "[--url U] [--token-file F]",
     "what fires, who looks after it, who is told; test sends a real message to a receiver"},
    {"backup", command_backup, "(-c FILE | --db DB) OUT.db|-",
     "copies the database while the daemon goes on; - writes to standard output"},
    {"check", command_check, "FILE",
     "validates a configuration; names file, line and key of what is wrong"},
    {"demo", command_demo, "[--port N]",
     "everything in one process: an embedded Kafka, a simulated model, the dashboard"},
    {"experiment", command_experiment,
     "list | create FILE | plan FILE --base-rate P --harm-rate P --traffic N | "
     "start|pause|resume|jump|freeze|approve|promote|rollback E [--step N] [--reason TEXT] "
     "[--id KEY] [--url U] [--token-file F]",
     "operates experiments through the API; plan says what one will need"},
    {"export", command_export,
     "tensorboard --logdir DIR | csv | json (-c FILE | --db DB) [--model M] [--version V] "
     "[--metric a,b] [--from T] [--to T] [--window D]",
     "metrics, drift and distributions as TensorBoard's event files; metrics as CSV or JSON"},
    {"gate", command_gate,
     "experiment E | model M [--version V] [--window D] [--url U] [--token-file F] [--wait D] "
     "[--format json|text|junit|github|env] [--junit FILE] [--blessing DIR]",
     "a pipeline's gate; exit 0 passed, 1 failed, 2 usage, 3 undecided in time, 4 cannot reach"},
    {"query", command_query,
     "(-c FILE | --db DB) "
     "models|versions|slices|metrics|drift|changes|references|distribution|curves|explain|alerts|"
     "system|dead-letters|experiments|verdict|history|audit [--model M] [--version V] "
     "[--metric a,b] [--segment k:v] [--feature F] [--stream S] [--kind K] [--from T] [--to T] "
     "[--before_from T] [--before_to T] [--window D] [--step D] [--experiment E] [--csv]",
     "the REST answers as JSON, read straight from the database"},
    {"reference", command_reference,
     "load|forget -c FILE --model M [--version V] [--url U] [--token-file F] EVENTS.jsonl[.gz]|ID",
     "sets what drift is measured against, or takes it away: through the API while a daemon runs"},
    {"replay", command_replay, "-c FILE [--db DB] EVENTS.jsonl[.gz]…",
     "runs files of events through the very same pipeline, on event time; - is standard input"},
    {"serve", command_serve, "-c FILE [--web-dir DIR] [--accept-clock]",
     "the daemon: collector, alerts, HTTP; SIGHUP reloads, SIGTERM drains and commits"},
    {"token", command_token, "new NAME SCOPES [--expires 90d] [--file tokens.txt]",
     "makes a token of http.tokens; scopes are some of read, ingest, operate, admin"},
    {"verify", command_verify, "DB", "integrity of the database, down to each saved state"},
};
enum {
    N_COMMANDS = sizeof(commands) / sizeof(commands[0])
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = text_near(name, names, N_COMMANDS);
    struct err err;
    if (near)
        err_set(&err, ERR_USAGE, "unknown command \"%s\"; did you mean `assay %s`?", name, near);
    else
        err_set(&err, ERR_USAGE, "unknown command \"%s\"; see `assay help`", name);
    return fail(&err);
}

static int help(const char *name)
{
    if (name) {
        const struct command *command = find_command(name);
        if (!command)
            return unknown_command(name);
        printf("assay %s %s\n\n%s\n", command->name, command->usage, command->summary);
        return 0;
    }
    printf("Assay watches machine-learning models in production.\n\nUsage: assay COMMAND …\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    printf("\n`assay help COMMAND` shows its options. Exit codes: 0 done, 64 usage, 65 bad data, "
           "74 I/O.\n");
    return 0;
}

/* `assay serve --help`: what `assay help serve` says. */
static bool wants_help(int argc, char **argv)
{
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(NULL);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        printf("assay %s\n", ASSAY_VERSION);
        return 0;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL);

    const struct command *command = find_command(name);
    if (command && wants_help(argc, argv))
        return help(name);
    return command ? command->run(argc - 1, argv + 1) : unknown_command(name);
}
