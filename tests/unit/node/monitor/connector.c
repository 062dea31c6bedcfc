// SPDX-License-Identifier: Apache-2.0
#include "node/monitor/events.h"

#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "test.h"

/* The least of an event that is understood: four numbers after its head. */
#define SHORT_EVENT (offsetof(struct proc_event, event_data) + 16)
#define FORGED_TID 0x7ffffff0

/* What was told, as text: "fork 1 2 3, exec 2". */
struct told {
	struct event_handler handler;
	char text[512];
	pid_t awaited, forked_by; /* of a fork that gave `awaited` */
	bool forged;
};

__attribute__((format(printf, 2, 3))) static void note(
	struct event_handler *h, const char *format, ...)
{
	struct told *t = container_of(h, struct told, handler);
	size_t used = strlen(t->text);
	va_list ap;

	used += snprintf(t->text + used, sizeof(t->text) - used, "%s", used ? ", " : "");
	va_start(ap, format);
	vsnprintf(t->text + used, sizeof(t->text) - used, format, ap);
	va_end(ap);
}

static void forked(struct event_handler *h, pid_t parent, pid_t pid, pid_t tid)
{
	note(h, "fork %d %d %d", parent, pid, tid);
}

static void execed(struct event_handler *h, pid_t pid)
{
	note(h, "exec %d", pid);
}

static void named(struct event_handler *h, pid_t pid, pid_t tid, const char name[THREAD_NAME_LEN])
{
	note(h, "name %d %d %s", pid, tid, name);
}

static void exited(struct event_handler *h, pid_t pid, pid_t tid)
{
	note(h, "exit %d %d", pid, tid);
}

static void caught_up(struct event_handler *h)
{
}

static void lost(struct event_handler *h)
{
	note(h, "lost");
}

struct datagram {
	char bytes[1024];
	size_t len;
};

/* Adds a message that holds `len` bytes of the event. */
static struct nlmsghdr *add(struct datagram *d, const struct proc_event *e, size_t len)
{
	struct cn_msg message = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .len = len };
	struct nlmsghdr *head = (void *)(d->bytes + d->len);

	*head = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(sizeof(message) + len),
		.nlmsg_type = NLMSG_DONE };
	memcpy(NLMSG_DATA(head), &message, sizeof(message));
	memcpy((char *)NLMSG_DATA(head) + sizeof(message), e, len);
	d->len += NLMSG_ALIGN(head->nlmsg_len);
	return head;
}

static struct cn_msg *message_of(struct nlmsghdr *head)
{
	return NLMSG_DATA(head);
}

/* From memory that ends where it ends, so that a sanitizer sees a read beyond. */
static const char *told(const char *bytes, size_t len)
{
	static struct told t;
	char *exact = memcpy(malloc(len + !len), bytes, len);
	unsigned n;

	t = (struct told){ .handler = { forked, execed, named, exited, caught_up, lost } };
	n = event_parse((struct bytes){ exact, len }, &t.handler);
	free(exact);
	for (const char *at = t.text; *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : "")
		n--;
	CHECK_EQ(n, 0);
	return t.text;
}

static const char *told_of(struct proc_event e)
{
	struct datagram d = { .len = 0 };

	add(&d, &e, sizeof(e));
	return told(d.bytes, d.len);
}

static struct proc_event fork_event(pid_t parent, pid_t pid, pid_t tid)
{
	return (struct proc_event){
		.what = PROC_EVENT_FORK,
		.event_data.fork = { .parent_pid = parent + 1000,
			.parent_tgid = parent,
			.child_pid = tid,
			.child_tgid = pid },
	};
}

static struct proc_event exec_event(pid_t pid)
{
	return (struct proc_event){ .what = PROC_EVENT_EXEC,
		.event_data.exec = { .process_pid = pid + 1000, .process_tgid = pid } };
}

static struct proc_event comm_event(pid_t pid, pid_t tid, const char *name)
{
	struct proc_event e = { .what = PROC_EVENT_COMM,
		.event_data.comm = { .process_pid = tid, .process_tgid = pid } };

	memcpy(e.event_data.comm.comm, name, strnlen(name, sizeof(e.event_data.comm.comm)));
	return e;
}

static struct proc_event exit_event(pid_t pid, pid_t tid)
{
	return (struct proc_event){ .what = PROC_EVENT_EXIT,
		.event_data.exit = { .process_pid = tid, .process_tgid = pid, .exit_code = 3 } };
}

TEST(each_event_is_told_with_its_process_and_its_thread)
{
	CHECK_TEXT(told_of(fork_event(10, 20, 20)), "fork 10 20 20");
	CHECK_TEXT(told_of(fork_event(10, 10, 11)), "fork 10 10 11");
	CHECK_TEXT(told_of(exec_event(20)), "exec 20");
	CHECK_TEXT(told_of(comm_event(20, 21, "rt-loop")), "name 20 21 rt-loop");
	CHECK_TEXT(told_of(exit_event(20, 21)), "exit 20 21");
}

TEST(a_name_that_fills_its_field_ends_all_the_same)
{
	CHECK_TEXT(told_of(comm_event(1, 2, "0123456789abcdef")), "name 1 2 0123456789abcde");
}

TEST(events_of_other_kinds_are_passed_over)
{
	CHECK_TEXT(told_of((struct proc_event){ .what = PROC_EVENT_NONE }), "");
	CHECK_TEXT(told_of((struct proc_event){ .what = PROC_EVENT_UID }), "");
	CHECK_TEXT(told_of((struct proc_event){ .what = PROC_EVENT_SID }), "");
	CHECK_TEXT(told_of((struct proc_event){ .what = PROC_EVENT_FORK | PROC_EVENT_EXEC }), "");
}

TEST(all_events_of_a_datagram_are_told_in_their_order)
{
	struct datagram d = { .len = 0 };
	struct proc_event events[] = { fork_event(10, 20, 20), exec_event(20),
		comm_event(20, 20, "b"), exit_event(20, 20) };

	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		add(&d, &events[i], SHORT_EVENT + i); /* all but the first are padded */
	CHECK_TEXT(told(d.bytes, d.len), "fork 10 20 20, exec 20, name 20 20 b, exit 20 20");
}

TEST(what_is_not_of_the_process_connector_is_passed_over)
{
	struct datagram d = { .len = 0 };
	struct proc_event e = fork_event(10, 20, 20);

	message_of(add(&d, &e, sizeof(e)))->id.idx = CN_IDX_PROC + 1;
	message_of(add(&d, &e, sizeof(e)))->id.val = CN_VAL_PROC + 1;
	add(&d, &e, sizeof(e))->nlmsg_type = NLMSG_ERROR;
	e = exec_event(20);
	add(&d, &e, sizeof(e));
	CHECK_TEXT(told(d.bytes, d.len), "exec 20");
}

TEST(a_cut_datagram_tells_what_is_whole)
{
	struct datagram d = { .len = 0 };
	struct proc_event first = fork_event(10, 20, 20), second = exec_event(20);
	size_t whole;

	add(&d, &first, sizeof(first));
	whole = d.len;
	add(&d, &second, sizeof(second));
	for (size_t len = 0; len < d.len; len++)
		CHECK_TEXT(told(d.bytes, len), len < whole ? "" : "fork 10 20 20");
	CHECK_TEXT(told(d.bytes, d.len), "fork 10 20 20, exec 20");
}

TEST(the_shorter_event_of_an_old_kernel_is_understood_and_less_is_not)
{
	struct datagram d = { .len = 0 };
	struct proc_event e = exit_event(20, 21);

	add(&d, &e, SHORT_EVENT);
	CHECK_TEXT(told(d.bytes, d.len), "exit 20 21");
	d.len = 0;
	add(&d, &e, SHORT_EVENT - 1);
	CHECK_TEXT(told(d.bytes, d.len), "");
}

TEST(a_length_that_lies_is_not_followed)
{
	struct datagram d = { .len = 0 };
	struct proc_event e = exit_event(20, 21);
	struct nlmsghdr *head = add(&d, &e, sizeof(e));
	uint32_t len = head->nlmsg_len;

	message_of(head)->len = UINT16_MAX;
	CHECK_TEXT(told(d.bytes, d.len), "exit 20 21");
	head->nlmsg_len = 0;
	CHECK_TEXT(told(d.bytes, d.len), "");
	head->nlmsg_len = len + 1;
	CHECK_TEXT(told(d.bytes, d.len), "");
	head->nlmsg_len = UINT32_MAX;
	CHECK_TEXT(told(d.bytes, d.len), "");
	d.len = 0;
	message_of(add(&d, &e, SHORT_EVENT - 1))->len = sizeof(e);
	CHECK_TEXT(told(d.bytes, d.len), "");
}

static void watch_fork(struct event_handler *h, pid_t parent, pid_t pid, pid_t tid)
{
	struct told *t = container_of(h, struct told, handler);

	if (tid == t->awaited)
		t->forked_by = parent;
	t->forged |= tid == FORGED_TID;
}

static void watch_exec(struct event_handler *h, pid_t pid)
{
}

static void watch_name(
	struct event_handler *h, pid_t pid, pid_t tid, const char name[THREAD_NAME_LEN])
{
}

static void watch_exit(struct event_handler *h, pid_t pid, pid_t tid)
{
}

/* A message of this process to the socket, as if a fork had been. */
static void forge(int to)
{
	struct sockaddr_nl address;
	socklen_t len = sizeof(address);
	struct datagram d = { .len = 0 };
	struct proc_event e = fork_event(1, FORGED_TID, FORGED_TID);
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);

	add(&d, &e, sizeof(e));
	CHECK_EQ(getsockname(to, (struct sockaddr *)&address, &len), 0);
	address.nl_groups = 0;
	CHECK_EQ(
		sendto(fd, d.bytes, d.len, 0, (struct sockaddr *)&address, sizeof(address)), d.len);
}

TEST(the_kernel_is_believed_and_another_process_that_sends_the_same_is_not)
{
	struct told t = { .handler = { watch_fork, watch_exec, watch_name, watch_exit, caught_up,
				  lost } };
	struct event_source *source;
	struct err err = ERR_NULL;
	struct pollfd readable = { .events = POLLIN };

	if (event_source_open(&source, &t.handler, &err) < 0)
		SKIP(err.text);
	readable.fd = event_source_fd(source);
	forge(readable.fd);
	t.awaited = fork();
	if (t.awaited == 0)
		_exit(0);
	while (!t.forked_by && poll(&readable, 1, 10000) > 0)
		event_source_read(source);
	CHECK_EQ(t.forked_by, getpid());
	CHECK(!t.forged);
	waitpid(t.awaited, NULL, 0);
	event_source_close(source);
}
