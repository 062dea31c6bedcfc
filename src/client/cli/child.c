// SPDX-License-Identifier: Apache-2.0
#include "client/cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define EXIT_BY_SIGNAL 128 /* as sh(1) */
#define EXIT_GAVE_UP 125

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGUSR1, SIGUSR2,
	SIGTSTP, SIGCONT };

static sigset_t watched_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	return set;
}

int child_block_signals(sigset_t *ret_old, struct err *err)
{
	sigset_t set = watched_signals();

	/* Whoever started us may have had it ignored, and then wait(2) has nothing to wait for. */
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, ret_old) < 0)
		return err_set_errno(err, -errno, "block signals");
	return 0;
}

static _Noreturn void become(int go, int failed, char *const *argv, const sigset_t *mask)
{
	char byte;
	ssize_t n;
	int code;

	do
		n = read(go, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(EXIT_GAVE_UP);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	code = errno;
	n = write(failed, &code, sizeof(code));
	(void)n; /* an empty pipe takes an int */
	_exit(EXIT_GAVE_UP);
}

int child_start(struct child *ret, char *const *argv, const sigset_t *mask, struct err *err)
{
	int go[2] = { -1, -1 }, failed[2] = { -1, -1 };
	cleanup_fd int go_out = -1, failed_in = -1, go_in = -1, failed_out = -1;
	pid_t pid;

	/* Unlike a pipe's, its end is told without a signal. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0)
		return err_set_errno(err, -errno, "make a pair of sockets");
	go_in = go[0];
	go_out = go[1];
	if (pipe2(failed, O_CLOEXEC) < 0)
		return err_set_errno(err, -errno, "make a pipe");
	failed_in = failed[0];
	failed_out = failed[1];
	pid = fork();
	if (pid < 0)
		return err_set_errno(err, -errno, "make a process");
	if (pid == 0) {
		close(go_out); /* or it would never see its end */
		become(go_in, failed_out, argv, mask);
	}
	*ret = (struct child){ pid, TAKE_FD(go_out), TAKE_FD(failed_in) };
	return 0;
}

int child_go(struct child *c, struct err *err)
{
	ssize_t n = send(c->go, "", 1, MSG_NOSIGNAL);
	int code;

	if (n != 1)
		return err_set_errno(err, -errno, "let the command go");
	do
		n = read(c->failed, &code, sizeof(code));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(code))
		return err_set_errno(err, -code, "cannot be executed");
	return 0;
}

/*
 * What the terminal sends goes to its whole foreground group, so a child that is still in ours has
 * it already.
 */
static void forward(pid_t pid, const struct signalfd_siginfo *signal)
{
	if (signal->ssi_code == SI_KERNEL && getpgid(pid) == getpgrp())
		return;
	kill(pid, (int)signal->ssi_signo);
}

/* 1: it ended. */
static int look(struct child *c, int *ret, struct err *err)
{
	int status;
	pid_t pid = waitpid(c->pid, &status, WNOHANG | WUNTRACED);

	if (pid < 0)
		return err_set_errno(err, -errno, "wait for the command");
	if (pid == 0)
		return 0;
	if (WIFSTOPPED(status)) {
		raise(SIGSTOP); /* the shell sees its job stop; we go on when it lets us */
		kill(c->pid, SIGCONT);
		return 0;
	}
	c->pid = 0;
	*ret = WIFSIGNALED(status) ? EXIT_BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
	return 1;
}

int child_wait(struct child *c, int *ret, struct err *err)
{
	sigset_t set = watched_signals();
	cleanup_fd int fd = signalfd(-1, &set, SFD_CLOEXEC);
	int r;

	if (fd < 0)
		return err_set_errno(err, -errno, "wait for signals");
	while ((r = look(c, ret, err)) == 0) {
		struct signalfd_siginfo signal;
		ssize_t n = read(fd, &signal, sizeof(signal));

		if (n < 0 && errno != EINTR)
			return err_set_errno(err, -errno, "wait for signals");
		if (n == sizeof(signal) && signal.ssi_signo != SIGCHLD)
			forward(c->pid, &signal);
	}
	return r < 0 ? r : 0;
}

void child_fini(struct child *c)
{
	if (c->go >= 0)
		close(c->go);
	if (c->failed >= 0)
		close(c->failed);
	if (c->pid > 0)
		waitpid(c->pid, NULL, 0);
	*c = CHILD_NULL;
}
