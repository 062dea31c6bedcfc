// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/exec.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define INFO_NAME "KUBERNETES_EXEC_INFO="

struct kube_run {
	uv_process_t process;
	uv_pipe_t out;
	uv_timer_t timer;
	unsigned open_handles;
	bool exited, output_ended, closing;
	int64_t exit_status;
	int signal;
	char *output;
	size_t used, size;
	char piece[4096];
	char *name;
	struct err err; /* the first thing that went wrong */
	void (*done)(void *data, int code, struct bytes output, const struct err *why);
	void *data;
};

static void run_free(struct kube_run *run)
{
	free(run->output);
	free(run->name);
	free(run);
}

static void on_closed(uv_handle_t *handle)
{
	struct kube_run *run = handle->data;

	if (--run->open_handles == 0)
		run_free(run);
}

static void close_all(struct kube_run *run)
{
	run->closing = true;
	uv_close((uv_handle_t *)&run->process, on_closed);
	uv_close((uv_handle_t *)&run->out, on_closed);
	uv_close((uv_handle_t *)&run->timer, on_closed);
}

static void judge(struct kube_run *run)
{
	if (run->err.code)
		return;
	if (run->signal)
		err_set(&run->err, -EIO, "%s was ended by signal %d", run->name, run->signal);
	else if (run->exit_status)
		err_set(&run->err, -EIO, "%s ended with status %d", run->name,
			(int)run->exit_status);
}

/* A child of the program may keep the pipe open: then the timer ends the wait. */
static void finish_if_done(struct kube_run *run)
{
	if (!run->exited || !run->output_ended || run->closing)
		return;
	judge(run);
	close_all(run);
	if (run->done)
		run->done(run->data, run->err.code, (struct bytes){ run->output, run->used },
			&run->err);
}

static void on_exit_of_program(uv_process_t *process, int64_t status, int signal)
{
	struct kube_run *run = process->data;

	run->exited = true;
	run->exit_status = status;
	run->signal = signal;
	finish_if_done(run);
}

static void give_up(struct kube_run *run)
{
	uv_read_stop((uv_stream_t *)&run->out);
	run->output_ended = true;
	if (!run->exited)
		uv_process_kill(&run->process, SIGKILL);
	finish_if_done(run);
}

static void on_timeout(uv_timer_t *timer)
{
	struct kube_run *run = timer->data;

	if (!run->err.code)
		err_set(&run->err, -ETIMEDOUT, "%s printed no credential in %d s", run->name,
			KUBE_EXEC_TIMEOUT_MS / 1000);
	give_up(run);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct kube_run *run = handle->data;

	*ret = uv_buf_init(run->piece, sizeof(run->piece));
}

static int keep(struct kube_run *run, const char *bytes, size_t n)
{
	if (run->used + n > KUBE_EXEC_OUTPUT_MAX)
		return err_set(&run->err, -EMSGSIZE, "%s printed more than %d bytes", run->name,
			KUBE_EXEC_OUTPUT_MAX);
	if (run->used + n > run->size) {
		size_t size = 2 * (run->used + n);
		char *grown = realloc(run->output, size);

		if (!grown)
			return err_set(&run->err, -ENOMEM, "out of memory");
		run->output = grown;
		run->size = size;
	}
	memcpy(run->output + run->used, bytes, n);
	run->used += n;
	return 0;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct kube_run *run = stream->data;

	if (n > 0 && keep(run, buf->base, (size_t)n) < 0) {
		give_up(run);
		return;
	}
	if (n >= 0)
		return;
	uv_read_stop(stream);
	run->output_ended = true;
	finish_if_done(run);
}

static void list_free(char ***list)
{
	free(*list);
}

#define cleanup_list __attribute__((cleanup(list_free)))

static bool same_name(const char *x, const char *y)
{
	size_t len = strcspn(x, "=");

	return strncmp(x, y, len) == 0 && y[len] == '=';
}

static bool is_given(char *const *env, const char *entry)
{
	for (; *env; env++)
		if (same_name(*env, entry))
			return true;
	return false;
}

/* What the plugin is told, the kubeconfig's variables, and ours besides: views. */
static char **environment(const struct kube_exec *exec, char *info)
{
	size_t n = 0, more = 0;
	char **env;

	while (environ[n])
		n++;
	while (exec->env[more])
		more++;
	env = calloc(n + more + 2, sizeof(*env));
	if (!env)
		return NULL;
	n = 0;
	env[n++] = info;
	for (size_t i = 0; i < more; i++)
		env[n++] = exec->env[i];
	for (char **at = environ; *at; at++)
		if (!is_given(env, *at))
			env[n++] = *at;
	return env;
}

static char **arguments(const struct kube_exec *exec)
{
	size_t n = 0;
	char **argv;

	while (exec->args[n])
		n++;
	argv = calloc(n + 2, sizeof(*argv));
	if (!argv)
		return NULL;
	argv[0] = exec->command;
	memcpy(argv + 1, exec->args, n * sizeof(*argv));
	return argv;
}

static char *info_of(const struct kube_exec *exec)
{
	char *info = NULL;

	if (asprintf(&info,
		    INFO_NAME "{\"apiVersion\":\"%s\",\"kind\":\"ExecCredential\","
			      "\"spec\":{\"interactive\":false}}",
		    exec->api_version) < 0)
		return NULL;
	return info;
}

/* *process is a handle that has to be closed, whatever comes back. */
static int spawn(struct kube_run *run, const struct kube_exec *exec, char **argv, char **env)
{
	uv_stdio_container_t stdio[3] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
			.data.stream = (uv_stream_t *)&run->out },
		{ .flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO },
	};
	uv_process_options_t options = {
		.exit_cb = on_exit_of_program,
		.file = exec->command,
		.args = argv,
		.env = env,
		.stdio = stdio,
		.stdio_count = 3,
	};

	return uv_spawn(run->out.loop, &run->process, &options);
}

static int explain(const struct kube_exec *exec, int code, struct err *err)
{
	err_set_errno(err, code, "cannot run %s, the kubeconfig's exec command", exec->command);
	if (err && exec->install_hint) {
		size_t used = strlen(err->text);

		snprintf(err->text + used, sizeof(err->text) - used, "; %s", exec->install_hint);
	}
	return code;
}

static struct kube_run *run_new(const struct kube_exec *exec)
{
	struct kube_run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->name = strdup(exec->command);
	if (run->name)
		return run;
	free(run);
	return NULL;
}

int kube_run_start(struct kube_run **ret, uv_loop_t *loop, const struct kube_exec *exec,
	void (*done)(void *data, int code, struct bytes output, const struct err *why), void *data,
	struct err *err)
{
	cleanup_free char *info = info_of(exec);
	cleanup_list char **env = info ? environment(exec, info) : NULL;
	cleanup_list char **argv = arguments(exec);
	struct kube_run *run = env && argv ? run_new(exec) : NULL;
	int r;

	if (!run)
		return err_set(err, -ENOMEM, "out of memory");
	run->done = done;
	run->data = data;
	run->process.data = run->out.data = run->timer.data = run;
	uv_pipe_init(loop, &run->out, 0);
	uv_timer_init(loop, &run->timer);
	run->open_handles = 3;
	r = spawn(run, exec, argv, env);
	if (r < 0) {
		close_all(run);
		return explain(exec, r, err);
	}
	uv_timer_start(&run->timer, on_timeout, KUBE_EXEC_TIMEOUT_MS, 0);
	uv_read_start((uv_stream_t *)&run->out, on_alloc, on_read);
	*ret = run;
	return 0;
}

/* The handles stay until the program has ended, so that it leaves no zombie. */
void kube_run_cancel(struct kube_run *run)
{
	if (!run || run->closing)
		return;
	run->done = NULL;
	give_up(run);
}
