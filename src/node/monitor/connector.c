// SPDX-License-Identifier: Apache-2.0
/*
 * The process-event connector: netlink family NETLINK_CONNECTOR, multicast group CN_IDX_PROC
 * (Documentation/driver-api/connector.rst, drivers/connector/cn_proc.c). The kernel may drop
 * events when the socket's buffer is full and says so by ENOBUFS.
 */
#include "node/monitor/events.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define RECEIVE_BUFFER_BYTES (2 * 1024 * 1024)
#define DATAGRAM_MAX 4096
/* So that one burst does not keep the loop from its other clients. */
#define DATAGRAMS_AT_ONCE 16
/* The kernel answers within send(2); of other processes' events there may be many before that. */
#define ANSWER_MS 200
#define ANSWER_AMONG_MAX 4096

struct event_source {
	int fd;
	struct event_handler *handler;
	bool listening;
};

struct event {
	struct proc_event event;
	struct cn_msg message; /* its head: what follows it is the event */
};

/* Takes the next process event off the datagram, or skips what is none; false: it ends. */
static bool next_event(struct bytes *datagram, struct event *ret, bool *is_event)
{
	struct nlmsghdr head;
	size_t body, len;

	*ret = (struct event){ 0 };
	if (datagram->len < NLMSG_HDRLEN + sizeof(ret->message))
		return false;
	memcpy(&head, datagram->at, sizeof(head));
	memcpy(&ret->message, datagram->at + NLMSG_HDRLEN, sizeof(ret->message));
	if (head.nlmsg_len < NLMSG_HDRLEN + sizeof(ret->message) || head.nlmsg_len > datagram->len)
		return false;
	body = head.nlmsg_len - NLMSG_HDRLEN - sizeof(ret->message);
	len = ret->message.len < body ? ret->message.len : body;
	/* Older kernels send a shorter union; the fields read here begin it. */
	*is_event = head.nlmsg_type == NLMSG_DONE && ret->message.id.idx == CN_IDX_PROC &&
		    ret->message.id.val == CN_VAL_PROC &&
		    len >= offsetof(struct proc_event, event_data) + 16;
	if (*is_event)
		memcpy(&ret->event, datagram->at + NLMSG_HDRLEN + sizeof(ret->message),
			len < sizeof(ret->event) ? len : sizeof(ret->event));
	len = NLMSG_ALIGN(head.nlmsg_len);
	*datagram = bytes_skip(*datagram, len < datagram->len ? len : datagram->len);
	return true;
}

static ssize_t receive(int fd, char *buf, size_t size, int flags)
{
	struct sockaddr_nl from = { 0 };
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, buf, size, flags, (struct sockaddr *)&from, &len);

	/* Anybody may send to a netlink socket; the kernel's port is 0. */
	return n > 0 && from.nl_pid != 0 ? 0 : n;
}

/* id: what the answer is known by; all who listen get those of the others as well. */
static int subscribe(int fd, enum proc_cn_mcast_op op, uint32_t id)
{
	char request[NLMSG_HDRLEN + sizeof(struct cn_msg) + sizeof(op)] = { 0 };
	struct nlmsghdr head = { .nlmsg_len = sizeof(request), .nlmsg_type = NLMSG_DONE };
	struct cn_msg message = {
		.id = { .idx = CN_IDX_PROC, .val = CN_VAL_PROC },
		.ack = id,
		.len = sizeof(op),
	};

	memcpy(request, &head, sizeof(head));
	memcpy(request + NLMSG_HDRLEN, &message, sizeof(message));
	memcpy(request + NLMSG_HDRLEN + sizeof(message), &op, sizeof(op));
	return send(fd, request, sizeof(request), 0) < 0 ? -errno : 0;
}

static bool is_answer(const struct event *e, uint32_t id)
{
	return e->event.what == PROC_EVENT_NONE && e->message.ack == id + 1;
}

/*
 * 0, or the kernel's error. It says nothing at all to who is not in the initial PID and user
 * namespaces (cn_proc_mcast_ctl()): -ENOMSG.
 */
static int await_answer(int fd, uint32_t id)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	char buf[DATAGRAM_MAX];

	for (unsigned i = 0; i < ANSWER_AMONG_MAX && poll(&readable, 1, ANSWER_MS) > 0; i++) {
		ssize_t n = receive(fd, buf, sizeof(buf), 0);
		struct bytes datagram = { buf, n > 0 ? n : 0 };
		bool is_event;
		struct event e;

		while (next_event(&datagram, &e, &is_event))
			if (is_event && is_answer(&e, id))
				return -(int)e.event.event_data.ack.err;
	}
	return -ENOMSG;
}

int event_source_open(struct event_source **ret, struct event_handler *h, struct err *err)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
	int bytes = RECEIVE_BUFFER_BYTES, r;
	cleanup_fd int fd =
		socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
	struct event_source *s;

	if (fd < 0)
		return err_set_errno(err, errno, "open the process-event connector");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_set_errno(err, errno, "bind the process-event connector");
	r = subscribe(fd, PROC_CN_MCAST_LISTEN, getpid());
	if (r == 0)
		r = await_answer(fd, getpid());
	if (r == -ENOMSG)
		return err_set(err, r,
			"the process-event connector does not answer: it serves the initial PID and "
			"user namespaces only");
	if (r < 0)
		return err_set_errno(err, r, "subscribe to the process-event connector");
	s = malloc(sizeof(*s));
	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	*s = (struct event_source){ .fd = TAKE_FD(fd), .handler = h, .listening = true };
	*ret = s;
	return 0;
}

void event_source_close(struct event_source *s)
{
	if (!s)
		return;
	subscribe(s->fd, PROC_CN_MCAST_IGNORE, 0);
	close(s->fd);
	free(s);
}

/* socket(7), SO_ATTACH_FILTER: a filter that takes 0 bytes of every datagram drops it. */
void event_source_listen(struct event_source *s, bool listen)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { 1, &drop };
	int unused = 0;

	if (listen == s->listening)
		return;
	s->listening = listen;
	if (listen)
		setsockopt(s->fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	else
		setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

int event_source_fd(const struct event_source *s)
{
	return s->fd;
}

static unsigned dispatch(const struct proc_event *e, struct event_handler *h)
{
	char name[THREAD_NAME_LEN] = { 0 };

	switch ((unsigned)e->what) {
	case PROC_EVENT_FORK:
		h->forked(h, e->event_data.fork.parent_tgid, e->event_data.fork.child_tgid,
			e->event_data.fork.child_pid);
		return 1;
	case PROC_EVENT_EXEC:
		h->execed(h, e->event_data.exec.process_tgid);
		return 1;
	case PROC_EVENT_COMM:
		memcpy(name, e->event_data.comm.comm, sizeof(name) - 1);
		h->named(h, e->event_data.comm.process_tgid, e->event_data.comm.process_pid, name);
		return 1;
	case PROC_EVENT_EXIT:
		h->exited(h, e->event_data.exit.process_tgid, e->event_data.exit.process_pid);
		return 1;
	default:
		return 0;
	}
}

unsigned event_parse(struct bytes datagram, struct event_handler *h)
{
	unsigned understood = 0;
	bool is_event;
	struct event e;

	while (next_event(&datagram, &e, &is_event))
		if (is_event)
			understood += dispatch(&e.event, h);
	return understood;
}

/*
 * After a loss the kernel drops every event until the queue is empty, and says so only once
 * (NETLINK_S_CONGESTED, net/netlink/af_netlink.c): so nothing comes in while it is emptied, and what
 * happens from then on is told of again.
 */
static void empty(struct event_source *s)
{
	char byte;

	while (receive(s->fd, &byte, sizeof(byte), 0) >= 0 || errno == ENOBUFS)
		;
}

bool event_source_read(struct event_source *s)
{
	for (unsigned i = 0;; i++) {
		bool enough = i == DATAGRAMS_AT_ONCE;
		char buf[DATAGRAM_MAX];
		ssize_t n = receive(s->fd, buf, sizeof(buf), enough ? MSG_PEEK : 0);

		if (n < 0 && errno == ENOBUFS) {
			empty(s);
			s->handler->lost(s->handler);
			return false;
		}
		if (n < 0) {
			s->handler->caught_up(s->handler);
			return false;
		}
		if (enough)
			return true;
		event_parse((struct bytes){ buf, n }, s->handler);
	}
}
