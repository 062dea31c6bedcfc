// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/event.h"

#include <errno.h>

#include "test.h"

static int parse(const char *text, struct kube_event *ret)
{
	return kube_event_parse((struct bytes){ text, strlen(text) }, ret, NULL);
}

TEST(an_event_has_a_type_an_object_and_its_names)
{
	cleanup_kube_event struct kube_event e = KUBE_EVENT_NULL;

	CHECK_EQ(parse("{\"type\": \"MODIFIED\", \"object\": {\"metadata\": {\"namespace\": \"n\","
		       "\"name\": \"a\", \"uid\": \"u\", \"resourceVersion\": \"7\"}}}",
			 &e),
		0);
	CHECK_EQ(e.type, KUBE_EVENT_MODIFIED);
	CHECK_TEXT(e.meta.namespace, "n");
	CHECK_TEXT(e.meta.name, "a");
	CHECK_TEXT(e.meta.uid, "u");
	CHECK_TEXT(e.meta.resource_version, "7");
}

TEST(a_bookmark_needs_a_version_only_and_an_error_nothing)
{
	cleanup_kube_event struct kube_event e = KUBE_EVENT_NULL, f = KUBE_EVENT_NULL;

	CHECK_EQ(parse("{\"type\": \"BOOKMARK\", \"object\": {\"metadata\": "
		       "{\"resourceVersion\": \"9\"}}}",
			 &e),
		0);
	CHECK_TEXT(e.meta.resource_version, "9");
	CHECK_EQ(parse("{\"type\": \"ERROR\", \"object\": {\"code\": 410}}", &f), 0);
	CHECK_EQ(f.type, KUBE_EVENT_ERROR);
}

TEST(what_is_no_event_is_refused)
{
	static const char *const texts[] = { "", "x", "[]", "{}", "{\"type\": \"ADDED\"}",
		"{\"type\": \"OTHER\", \"object\": {}}", "{\"type\": 1, \"object\": {}}",
		"{\"type\": \"ADDED\", \"object\": []}", "{\"type\": \"ADDED\", \"object\": {}}",
		"{\"type\": \"BOOKMARK\", \"object\": {}}",
		"{\"type\": \"ADDED\", \"object\": {\"metadata\": {\"name\": \"\", \"uid\": \"u\", "
		"\"resourceVersion\": \"1\"}}}",
		"{\"type\": \"ADDED\", \"object\": {\"metadata\": {\"name\": \"a\", \"uid\": \"u\", "
		"\"namespace\": \"x/y\", \"resourceVersion\": \"1\"}}}",
		"{\"type\": \"ADDED\", \"object\": {\"metadata\": {\"name\": \"a\", \"uid\": \"u\", "
		"\"resourceVersion\": \"00000000000000000000000000000000000000000000000000000000000"
		"0000000\"}}}" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct kube_event e = KUBE_EVENT_NULL;

		CHECK_EQ(parse(texts[i], &e), -EPROTO);
		CHECK(e.object == NULL);
	}
}

static enum kube_news put(struct kube_known *k, const char *name, const char *uid)
{
	struct kube_meta m = { "ns", name, uid, "1" };
	enum kube_news news = KUBE_NEWS_NOTHING;
	struct kube_gone gone;

	CHECK_EQ(kube_known_put(k, &m, &news, &gone, NULL), 0);
	if (news == KUBE_NEWS_REPLACED) {
		CHECK_TEXT(gone.name, name);
		CHECK(strcmp(gone.uid, uid) != 0);
	}
	return news;
}

static enum kube_news drop(struct kube_known *k, const char *name)
{
	struct kube_meta m = { "ns", name, "whatever", "1" };
	struct kube_gone gone;

	return kube_known_drop(k, &m, &gone);
}

TEST(an_object_is_added_once_then_modified_then_deleted_once)
{
	struct kube_known k;

	CHECK_EQ(kube_known_init(&k, NULL), 0);
	CHECK_EQ(put(&k, "a", "1"), KUBE_NEWS_ADDED);
	CHECK_EQ(put(&k, "a", "1"), KUBE_NEWS_MODIFIED);
	CHECK_EQ(put(&k, "a", "2"), KUBE_NEWS_REPLACED);
	CHECK_EQ(drop(&k, "a"), KUBE_NEWS_DELETED);
	CHECK_EQ(drop(&k, "a"), KUBE_NEWS_NOTHING);
	CHECK_EQ(put(&k, "a", "2"), KUBE_NEWS_ADDED);
	kube_known_fini(&k);
}

TEST(what_a_list_does_not_have_any_more_is_missing_once)
{
	struct kube_known k;
	struct kube_gone gone;

	CHECK_EQ(kube_known_init(&k, NULL), 0);
	put(&k, "a", "1");
	put(&k, "b", "2");
	put(&k, "c", "3");
	CHECK_EQ(kube_known_begin_list(&k, NULL), 0);
	CHECK_EQ(put(&k, "b", "2"), KUBE_NEWS_MODIFIED);
	CHECK_EQ(put(&k, "c", "4"), KUBE_NEWS_REPLACED);
	CHECK_EQ(put(&k, "d", "5"), KUBE_NEWS_ADDED);
	CHECK(kube_known_next_missing(&k, &gone));
	CHECK_TEXT(gone.namespace, "ns");
	CHECK_TEXT(gone.name, "a");
	CHECK_TEXT(gone.uid, "1");
	CHECK(!kube_known_next_missing(&k, &gone));
	CHECK_EQ(drop(&k, "a"), KUBE_NEWS_NOTHING);
	CHECK_EQ(drop(&k, "d"), KUBE_NEWS_DELETED);
	kube_known_fini(&k);
}

TEST(a_list_that_came_to_no_end_forgets_nothing)
{
	struct kube_known k;
	struct kube_gone gone;

	CHECK_EQ(kube_known_init(&k, NULL), 0);
	put(&k, "a", "1");
	CHECK_EQ(kube_known_begin_list(&k, NULL), 0);
	CHECK_EQ(put(&k, "b", "2"), KUBE_NEWS_ADDED);
	kube_known_abort_list(&k);
	CHECK_EQ(kube_known_begin_list(&k, NULL), 0);
	CHECK_EQ(put(&k, "b", "2"), KUBE_NEWS_MODIFIED);
	CHECK(kube_known_next_missing(&k, &gone));
	CHECK_TEXT(gone.name, "a");
	CHECK(!kube_known_next_missing(&k, &gone));
	kube_known_fini(&k);
}
