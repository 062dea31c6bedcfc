/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd and a service say to each other: sd_notify(3) and sd_listen_fds(3), by their
 * documented environment. Used by the agent's start and end.
 */
#pragma once

/* "READY=1", "STOPPING=1"; nothing where nobody listens. */
void notify_send(const char *text);

/* The one socket that was handed over; -1: none. */
int notify_listen_fd(void);
