/*
 * Which addresses a webhook may connect to: judged after name resolution, on the very address that
 * is connected to, so that no spelling and no DNS trick gets round it.
 *
 * Shape    never: unspecified, link-local (cloud metadata), multicast, broadcast, reserved ·
 *          only with allow_private: loopback, RFC 1918, carrier-grade NAT, unique-local ·
 *          IPv4 inside IPv6 (::ffff:127.0.0.1, 64:ff9b::/96, 6to4) is judged as the IPv4 address
 * Source   IANA special-purpose address registries; failure-matrix, security checklist line 8
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

bool address_allowed(const struct sockaddr *address, bool allow_private);
