/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an object lives on the API server: typed names in, a percent-encoded path out. Used by
 * whoever calls the client, and by the client itself for the query.
 */
#pragma once

#include "base/err.h"

struct kube_resource {
	const char *group; /* NULL or "": the core group */
	const char *version; /* "v1" */
	const char *plural; /* "resourceslices" */
};

/* Views: the texts are the caller's and are read during the call only. */
struct kube_ref {
	struct kube_resource resource;
	const char *namespace; /* NULL: of the cluster; for a list: of all namespaces */
	const char *name; /* NULL: the collection */
	const char *subresource; /* "status"; NULL: the object itself */
};

/*
 * "/apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME/SUBRESOURCE"; free() it. -EINVAL: a part is
 * missing, or is no segment of a path (empty, ".", "..", or with '/' or '%' in it). Source:
 * kubernetes/apimachinery, pkg/api/validation/path/name.go.
 */
int kube_path(const struct kube_ref *ref, char **ret, struct err *err);

/* Appends "?KEY=VALUE" or "&KEY=VALUE", the value percent-encoded; NULL for a value: nothing. */
int kube_path_add(char **path, const char *key, const char *value, struct err *err);
