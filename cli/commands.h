/*
 * The subcommands of contract §3: each takes its own argc and argv (argv[0] is its name) and gives
 * the exit code. The table that names them is in cli/main.c.
 */
#pragma once

int command_serve(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_check(int argc, char **argv);
int command_query(int argc, char **argv);
int command_reference(int argc, char **argv);
int command_backup(int argc, char **argv);
int command_gate(int argc, char **argv);
int command_experiment(int argc, char **argv);
int command_token(int argc, char **argv);
int command_alert(int argc, char **argv);
int command_export(int argc, char **argv);
int command_verify(int argc, char **argv);
