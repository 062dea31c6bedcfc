// SPDX-License-Identifier: Apache-2.0
/*
 * takt-dra: claims of Kubernetes on one side, taktd's control socket on the other. The order of
 * start() is the order in which things depend on each other.
 */
#include "cluster/nodeplugin/nodeplugin.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <takt/takt.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "cluster/nodeplugin/door.h"
#include "cluster/nodeplugin/reclaim.h"
#include "cluster/nodeplugin/report.h"
#include "cluster/wire/nri/plugin.h"

/* A prepare asks the API server, and has to be answered within the kubelet's 45 s. */
#define KUBE_CALL_MS 10000

#define END_MS 5000 /* for calls under way when it is told to end */
#define END_LOOK_MS 20

enum exit_code {
	EXIT_USAGE = 64,
	EXIT_FAULT = 70,
};

struct options {
	const char *node, *kubeconfig, *socket, *kubelet_dir, *instance, *nri_socket;
	uint64_t max_utilisation_ppm;
};

static const char usage[] =
	"usage: takt-dra --node NAME [OPTION...]\n"
	"\n"
	"Serve claims of Kubernetes (Dynamic Resource Allocation) from taktd on this node.\n"
	"\n"
	"      --node NAME         the Node's name; default $NODE_NAME\n"
	"      --kubeconfig FILE   how to reach the API server; default: as a pod does\n"
	"      --socket PATH       taktd's control socket; default $TAKT_SOCKET, then\n"
	"                          " TAKT_SOCKET_DEFAULT "\n"
	"      --kubelet-dir PATH  the kubelet's folder; default /var/lib/kubelet\n"
	"      --instance NAME     of several at a time, as in a rolling update: this one's name,\n"
	"                          in the names of its sockets; default: the only one\n"
	"      --max-task-utilisation U\n"
	"                          no claim has more than this of a CPU for one thread: what\n"
	"                          is published is then what proves hard ones, too; default:\n"
	"                          none\n"
	"      --nri-socket PATH   the container runtime's socket for plugins, or none; default\n"
	"                          " NRI_SOCKET "\n"
	"  -h, --help              print this help\n"
	"      --version           print the version\n";

void plugin_log(const char *format, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	fprintf(stderr, "takt-dra: %s\n", line);
}

static uint64_t random_number(void *data)
{
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), 0) < 0)
		number = uv_hrtime();
	return number;
}

static bool read_utilisation(const char *text, uint64_t *ret_ppm)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value > 0 && value <= 1)) {
		plugin_log(
			"--max-task-utilisation %s: write a share of one CPU above 0 and up to 1, "
			"as in 0.3",
			text);
		return false;
	}
	/* Rounded up: a larger task leaves less. */
	*ret_ppm = (uint64_t)(value * PPM_ONE_CPU);
	*ret_ppm += *ret_ppm < value * PPM_ONE_CPU;
	return true;
}

/* 1: go on. Else the exit status. */
static int read_options(struct options *o, int argc, char **argv, int *ret_status)
{
	static const struct option options[] = { { "node", required_argument, NULL, 'n' },
		{ "kubeconfig", required_argument, NULL, 'k' },
		{ "socket", required_argument, NULL, 's' },
		{ "kubelet-dir", required_argument, NULL, 'd' },
		{ "instance", required_argument, NULL, 'i' },
		{ "max-task-utilisation", required_argument, NULL, 'u' },
		{ "nri-socket", required_argument, NULL, 'r' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' }, {} };
	int key;

	while ((key = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (key == 'n')
			o->node = optarg;
		else if (key == 'k')
			o->kubeconfig = optarg;
		else if (key == 's')
			o->socket = optarg;
		else if (key == 'd')
			o->kubelet_dir = optarg;
		else if (key == 'i')
			o->instance = optarg;
		else if (key == 'u' && read_utilisation(optarg, &o->max_utilisation_ppm))
			continue;
		else if (key == 'r')
			o->nri_socket = optarg;
		else {
			if (key == 'h')
				fputs(usage, stdout);
			else if (key == 'v')
				puts("takt-dra " TAKT_VERSION);
			*ret_status = key == '?' || key == 'u' ? EXIT_USAGE : 0;
			return 0;
		}
	}
	if (optind == argc && o->node && *o->node)
		return 1;
	plugin_log(optind < argc ? "there are no arguments, only options (see --help)"
				 : "name this node by --node or $NODE_NAME");
	*ret_status = EXIT_USAGE;
	return 0;
}

static int open_kube(struct plugin *p, const char *kubeconfig, struct err *err)
{
	static const struct kube_client_options options = {
		.user_agent = "takt-dra/" TAKT_VERSION,
		.random = random_number,
		.timeout_ms = KUBE_CALL_MS,
	};
	cleanup_kube_config struct kube_config config = KUBE_CONFIG_NULL;
	int r = kubeconfig ? kube_config_read(kubeconfig, NULL, &config, err)
			   : kube_config_in_cluster(NULL, &config, err);

	return r < 0 ? r : kube_client_create(&p->kube, &p->loop, &config, &options, err);
}

/* The kubelet connects as soon as it sees the registration's socket: that comes last. */
static int open_sockets(struct plugin *p, struct err *err)
{
	const struct sockets *s = &p->sockets;
	int r;

	if (mkdir(s->folder, 0750) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "make %s", s->folder);
	sockets_sweep(s);
	p->owner = (struct kubelet_owner){ &errand_handler, s->endpoint, &p->health };
	r = listen_open(
		&p->dra, &p->loop, s->endpoint, kubelet_dra_methods, kubelet_n_dra_methods, p, err);
	if (r < 0)
		return r;
	return listen_open(&p->registration, &p->loop, s->registration,
		kubelet_registration_methods, kubelet_n_registration_methods, p, err);
}

static void on_ending(uv_timer_t *timer)
{
	struct plugin *p = container_of(timer, struct plugin, end_timer);

	if (listen_n_peers(p->dra) == 0 || uv_hrtime() >= p->end_ns)
		uv_stop(timer->loop);
}

/*
 * Without its socket the kubelet knows at once that we are gone, and asks us nothing new; what it
 * has asked is still answered. A second signal ends that.
 */
static void on_stop(uv_signal_t *signal, int number)
{
	struct plugin *p = signal->loop->data;

	if (uv_is_active((uv_handle_t *)&p->end_timer)) {
		uv_stop(signal->loop);
		return;
	}
	listen_close(TAKE(p->registration));
	health_end(&p->health);
	listen_drain(p->dra);
	p->end_ns = uv_hrtime() + END_MS * NSEC_PER_MSEC;
	uv_timer_start(&p->end_timer, on_ending, 0, END_LOOK_MS);
}

/* All that stop() stops, however far start() comes. */
static void init_handles(struct plugin *p)
{
	uv_timer_t *timers[] = { &p->checks.timer, &p->look.timer, &p->publish.timer,
		&p->reconcile_timer, &p->report_timer, &p->end_timer };

	for (size_t i = 0; i < ARRAY_SIZE(timers); i++)
		uv_timer_init(&p->loop, timers[i]);
	health_init(&p->health, &p->loop, p->node, &p->look.facts);
	uv_signal_init(&p->loop, &p->stop_term);
	uv_signal_init(&p->loop, &p->stop_int);
}

static int start(struct plugin *p, const struct options *o, struct err *err)
{
	int r;

	p->node = o->node;
	p->socket = o->socket && *o->socket ? o->socket : TAKT_SOCKET_DEFAULT;
	p->look.max_utilisation_ppm = o->max_utilisation_ppm;
	p->loop.data = p;
	init_handles(p);
	uv_signal_start(&p->stop_term, on_stop, SIGTERM);
	uv_signal_start(&p->stop_int, on_stop, SIGINT);
	r = open_kube(p, o->kubeconfig, err);
	if (r == 0)
		r = door_create(&p->door, &p->loop, p->socket, err);
	if (r == 0)
		r = publish_start(p, err);
	if (r == 0)
		r = look_start(p, err);
	if (r == 0)
		reclaim_soon(p);
	if (r == 0)
		checks_changed(p);
	if (r == 0)
		r = runtime_start(p, o->nri_socket, err);
	if (r == 0)
		r = open_sockets(p, err);
	return r;
}

static void close_handle(uv_handle_t *handle, void *context)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void stop(struct plugin *p)
{
	listen_close(p->registration);
	listen_close(p->dra);
	checks_stop(p);
	look_stop(p);
	publish_stop(p);
	reclaim_stop(p);
	errands_stop(p);
	report_stop(p);
	runtime_stop(p);
	door_destroy(p->door);
	kube_client_destroy(p->kube);
	uv_close((uv_handle_t *)&p->stop_term, NULL);
	uv_close((uv_handle_t *)&p->stop_int, NULL);
	uv_timer_stop(&p->end_timer);
	uv_timer_stop(&p->health.again);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	uv_walk(&p->loop, close_handle, NULL);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	uv_loop_close(&p->loop);
	runtime_free(p);
}

int main(int argc, char **argv)
{
	static struct plugin plugin = { .publish.turn_fd = -EBADF };
	struct options o = { .node = getenv("NODE_NAME"),
		.socket = getenv("TAKT_SOCKET"),
		.kubelet_dir = "/var/lib/kubelet",
		.nri_socket = NRI_SOCKET };
	struct err err = ERR_NULL;
	int status = 0, r;

	if (!read_options(&o, argc, argv, &status))
		return status;
	if (sockets_name(o.kubelet_dir, o.instance, &plugin.sockets, &err) < 0) {
		plugin_log("%s", err.text);
		return EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	uv_loop_init(&plugin.loop);
	r = start(&plugin, &o, &err);
	if (r == 0) {
		plugin_log("serving claims of node %s", plugin.node);
		uv_run(&plugin.loop, UV_RUN_DEFAULT);
	} else {
		plugin_log("%s", err.text);
	}
	stop(&plugin);
	return r < 0 ? EXIT_FAULT : 0;
}
