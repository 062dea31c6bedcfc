// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/path.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

static const struct kube_resource slices = { "resource.k8s.io", "v1", "resourceslices" };
static const struct kube_resource claims = { "resource.k8s.io", "v1", "resourceclaims" };
static const struct kube_resource nodes = { NULL, "v1", "nodes" };

static void check_path(const struct kube_ref *ref, const char *wanted)
{
	cleanup_free char *path = NULL;

	CHECK_EQ(kube_path(ref, &path, NULL), 0);
	CHECK_TEXT(path, wanted);
}

static void check_refused(const struct kube_ref *ref)
{
	struct err err = ERR_NULL;
	char *path = NULL;

	CHECK_EQ(kube_path(ref, &path, &err), -EINVAL);
	CHECK(path == NULL && err.text[0]);
}

TEST(paths_name_group_namespace_object_and_subresource)
{
	check_path(&(struct kube_ref){ .resource = slices },
		"/apis/resource.k8s.io/v1/resourceslices");
	check_path(&(struct kube_ref){ .resource = nodes, .name = "n1" }, "/api/v1/nodes/n1");
	check_path(&(struct kube_ref){ claims, "a", "b", "status" },
		"/apis/resource.k8s.io/v1/namespaces/a/resourceclaims/b/status");
}

TEST(parts_are_percent_encoded)
{
	check_path(&(struct kube_ref){ .resource = nodes, .name = "a b?c#d&\xc3\xa4" },
		"/api/v1/nodes/a%20b%3Fc%23d%26%C3%A4");
}

TEST(what_is_no_segment_of_a_path_is_refused)
{
	check_refused(&(struct kube_ref){ .resource = nodes, .name = "" });
	check_refused(&(struct kube_ref){ .resource = nodes, .name = "." });
	check_refused(&(struct kube_ref){ .resource = nodes, .name = ".." });
	check_refused(&(struct kube_ref){ .resource = nodes, .name = "a/b" });
	check_refused(&(struct kube_ref){ .resource = nodes, .name = "a%2fb" });
	check_refused(&(struct kube_ref){ .resource = nodes, .namespace = "../x", .name = "a" });
	check_refused(&(struct kube_ref){ .resource = nodes, .subresource = "status" });
	check_refused(&(struct kube_ref){ .resource = { "g", NULL, "x" } });
}

TEST(the_query_is_added_and_encoded)
{
	cleanup_free char *path = strdup("/x");

	CHECK_EQ(kube_path_add(&path, "fieldSelector", "spec.driver=rt.takt.dev,a=b c", NULL), 0);
	CHECK_EQ(kube_path_add(&path, "continue", NULL, NULL), 0);
	CHECK_EQ(kube_path_add(&path, "limit", "5", NULL), 0);
	CHECK_TEXT(path, "/x?fieldSelector=spec.driver%3Drt.takt.dev%2Ca%3Db%20c&limit=5");
}
