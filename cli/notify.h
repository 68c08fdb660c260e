/*
 * Tells a service manager how the daemon is, when it wants to know (systemd: Type=notify,
 * WatchdogSec=).
 *
 * Shape    a line as sd_notify(3) has it: "READY=1", "WATCHDOG=1", "STOPPING=1"
 * Errors   none: nobody listening is as good as nobody asking
 * Threads  any
 * Source   sd_notify(3), the protocol: a datagram to the socket that NOTIFY_SOCKET names
 */
#pragma once

void notify(const char *line);
