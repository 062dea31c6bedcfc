/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two files of the configuration share: config.c makes it, kubeconfig.c reads the
 * document. For the files of this folder.
 */
#pragma once

#include "cluster/kube/config.h"

/* localhost, 127.0.0.0/8, ::1. */
bool kube_host_is_loopback(const char *host);

/* Fills server, host, port, loopback. -EINVAL with what to write instead. */
int kube_config_set_server(struct kube_config *c, const char *server, struct err *err);
